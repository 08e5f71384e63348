package org.dit4j.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** A codec run on a few items of the batch at a time. */
final class Sliced extends WrappedCodec {
    private final int maxBatch;

    Sliced(LatentCodec codec, int maxBatch) {
        super(codec);
        if (maxBatch < 1) throw new IllegalArgumentException("maxBatch is " + maxBatch + "; at least 1");
        this.maxBatch = maxBatch;
    }

    @Override
    public LatentDistribution encode(Tensor images) {
        if (images.dim() == 0 || images.size(0) <= maxBatch) return codec.encode(images);
        List<LatentDistribution> parts = slices(images, codec::encode);
        Tensor mean = cat(parts.stream().map(LatentDistribution::mean).toList());
        Tensor logVariance = parts.get(0).hasVariance()
                ? cat(parts.stream().map(LatentDistribution::logVariance).toList())
                : null;
        parts.forEach(LatentDistribution::close);
        return new LatentDistribution(mean, logVariance);
    }

    @Override
    public Tensor decode(Tensor latents) {
        if (latents.dim() == 0 || latents.size(0) <= maxBatch) return codec.decode(latents);
        return TensorScope.local(() -> cat(slices(latents, codec::decode)));
    }

    private <R> List<R> slices(Tensor batch, Function<Tensor, R> part) {
        List<R> results = new ArrayList<>();
        for (long from = 0; from < batch.size(0); from += maxBatch) {
            Tensor slice = batch.narrow(0, from, Math.min(maxBatch, batch.size(0) - from));
            results.add(part.apply(slice));
            slice.close();
        }
        return results;
    }

    private static Tensor cat(List<Tensor> parts) {
        return Tensors.cat(0, parts.toArray(Tensor[]::new));
    }
}
