package org.dit4j.jobs;

import java.io.IOException;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.data.Dataset;
import org.dit4j.eval.PictureSource;
import org.dit4j.io.Images;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.LatentCodec;

/** What an autoencoder makes of encoded pictures' means, for a feature network: the best that a model on these latents can draw. Closing it leaves both open. */
public final class DecodedPictures implements PictureSource {
    /** A decoder's activations are far larger than a feature network's. */
    private static final int DECODED_AT_ONCE = 8;

    private final Dataset latents;
    private final LatentCodec codec;
    private final long size;

    /**
     * The first {@code size} of encoded pictures.
     *
     * @throws IllegalArgumentException if these are no latents, of another autoencoder, or not so many
     */
    public DecodedPictures(Dataset latents, LatentCodec codec, long size) {
        LatentEncoder.requireMadeBy(
                codec,
                latents.latents().orElseThrow(() -> new IllegalArgumentException(latents.describe() + ": no latents")));
        if (size < 1 || size > latents.size())
            throw new IllegalArgumentException(size + " pictures of " + latents.describe());
        this.latents = latents;
        this.codec = codec;
        this.size = size;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public Tensor read(long from, int count) throws IOException {
        int length = latents.channels() * latents.height() * latents.width();
        float[] means = new float[Math.multiplyExact(count, length)];
        for (int i = 0; i < count; i++) latents.pixels(from + i, means, i * length);
        return TensorScope.local(() -> {
            Tensor batch = Tensors.of(means, count, latents.channels(), latents.height(), latents.width());
            Tensor decoded = codec.sliced(DECODED_AT_ONCE).decode(batch);
            return Tensors.to(Images.toLevels(decoded).contiguous(), Backend.device("cpu"));
        });
    }

    @Override
    public String digest() throws IOException {
        String both = latents.fingerprint().digest() + " decoded by " + codec.encoderDigest();
        return Sha256.hex(both.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    @Override
    public String describe() {
        return latents.describe() + ", decoded";
    }

    @Override
    public void close() {
        // nothing of its own
    }
}
