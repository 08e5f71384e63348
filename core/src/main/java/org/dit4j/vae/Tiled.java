package org.dit4j.vae;

import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * A codec run on overlapping tiles. A tile counts fully in its middle and linearly less towards its edges; every result is the mean by
 * these weights.
 */
final class Tiled extends WrappedCodec {
    private final int tile, overlap; // in latent pixels

    Tiled(LatentCodec codec, int tileSize) {
        super(codec);
        int downsampling = codec.downsampling();
        if (tileSize < 4 * downsampling || tileSize % downsampling != 0)
            throw new IllegalArgumentException("tileSize is " + tileSize + " pixels; a multiple of " + downsampling
                    + ", at least " + 4 * downsampling);
        tile = tileSize / downsampling;
        overlap = tile / 4;
    }

    @Override
    public LatentDistribution encode(Tensor images) {
        int f = codec.downsampling();
        if (images.dim() != 4 || images.size(2) <= (long) tile * f && images.size(3) <= (long) tile * f)
            return codec.encode(images);
        Shapes.requireImages(images, Math.toIntExact(images.size(1)), f);
        Tensor first = TensorScope.local(() -> blend(images, f, 1, part -> moments(codec.encode(part))));
        boolean hasVariance = first.size(1) > codec.channels();
        if (!hasVariance) return LatentDistribution.ofMean(first);
        LatentDistribution distribution = LatentDistribution.ofMoments(first);
        first.close();
        return distribution;
    }

    /** (N, C or 2C, h, w): the mean and, where there is one, the logarithm of the variance. */
    private static Tensor moments(LatentDistribution distribution) {
        return distribution.hasVariance()
                ? Tensors.cat(1, distribution.mean(), distribution.logVariance())
                : distribution.mean();
    }

    @Override
    public Tensor decode(Tensor latents) {
        if (latents.dim() != 4 || latents.size(2) <= tile && latents.size(3) <= tile) return codec.decode(latents);
        return TensorScope.local(() -> blend(latents, 1, codec.downsampling(), codec::decode));
    }

    /** Runs {@code code} on tiles of {@code x}, whose side is {@code in} of its pixels per latent pixel, and of the result's {@code out}. */
    private Tensor blend(Tensor x, int in, int out, UnaryOperator<Tensor> code) {
        int[] tops = starts(x.size(2) / in), lefts = starts(x.size(3) / in);
        long height = Math.min(tile, x.size(2) / in), width = Math.min(tile, x.size(3) / in);
        Tensor sum = null, weights = null;
        try (NoGradGuard noGrad = new NoGradGuard()) {
            Tensor weight = ramps(height * out, overlap * out)
                    .unsqueeze(1)
                    .mul(ramps(width * out, overlap * out).unsqueeze(0));
            for (int top : tops)
                for (int left : lefts) {
                    Tensor coded = TensorScope.local(() -> code.apply(
                            x.narrow(2, (long) top * in, height * in).narrow(3, (long) left * in, width * in)));
                    if (sum == null) {
                        weight = Tensors.to(weight, coded.device());
                        long rows = x.size(2) / in * out, columns = x.size(3) / in * out;
                        sum = coded.new_zeros(x.size(0), coded.size(1), rows, columns);
                        weights = coded.new_zeros(rows, columns);
                    }
                    add(sum, coded.mul_(weight), top * out, left * out);
                    add(weights, weight, top * out, left * out);
                    coded.close();
                }
            return sum.div_(weights);
        }
    }

    private static void add(Tensor sum, Tensor part, long top, long left) {
        try (TensorScope scope = new TensorScope()) {
            sum.narrow(-2, top, part.size(-2)).narrow(-1, left, part.size(-1)).add_(part);
        }
    }

    /** Where the tiles along {@code size} latent pixels begin: as few as overlap enough, evenly apart. */
    private int[] starts(long size) {
        if (size <= tile) return new int[] {0};
        int count = Math.toIntExact((size - overlap + tile - overlap - 1) / (tile - overlap));
        int[] starts = new int[count];
        for (int i = 0; i < count; i++) starts[i] = Math.toIntExact(i * (size - tile) / (count - 1));
        return starts;
    }

    /** Rises from 0 to 1 within {@code overlap} pixels, stays, and falls likewise; never 0, so that a lone tile counts. */
    private static Tensor ramps(long size, int overlap) {
        float[] ramps = new float[Math.toIntExact(size)];
        for (int i = 0; i < size; i++) ramps[i] = (float) Math.min(1, Math.min(i + 0.5, size - i - 0.5) / overlap);
        return Tensors.of(ramps, size);
    }
}
