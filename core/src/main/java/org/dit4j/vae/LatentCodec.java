package org.dit4j.vae;

import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * An autoencoder between images and latents. Encoding and decoding build no graph for autograd, may run on several threads at once, and
 * free all they make but their result, which belongs to the scope around the call.
 */
public interface LatentCodec extends AutoCloseable {
    /** Channels of the latents, C. */
    int channels();

    /** Image pixels per latent pixel, in each direction. */
    int downsampling();

    /** Between raw latents, which {@link #encode} gives, and latents, which {@link #decode} takes. */
    LatentScaling scaling();

    /**
     * (N, 3, H, W) images in [−1, 1], on any device → raw latents (N, C, h, w), float32, on the codec's device.
     *
     * @throws IllegalArgumentException if the images are of another shape or not of a floating-point type
     */
    LatentDistribution encode(Tensor images);

    /**
     * (N, C, h, w) latents, scaled, on any device → (N, 3, H, W) images, float32, on the codec's device; in [−1, 1], but for overshoot,
     * which is not clamped.
     *
     * @throws IllegalArgumentException if the latents are of another shape or not of a floating-point type
     */
    Tensor decode(Tensor latents);

    /**
     * SHA-256, in hex, of what the latents depend on: the encoder's weights by name, rounded to bfloat16, so that it is the same for
     * every file format and precision the codec was read from or runs in.
     */
    String encoderDigest();

    /**
     * What the encoder makes of a fixed picture, in a few numbers: two codecs with about the same ones give the same latents, although the
     * weights of one were rounded and {@link #encoderDigest} differs.
     */
    default List<Double> probe() {
        return LatentProbe.of(this::encode, downsampling());
    }

    /** Moves the weights, and computes in this type: float32, or bfloat16. */
    void to(Device device, ScalarType dtype);

    /** Frees the weights once nobody encodes or decodes any more; who asks later gets an {@link IllegalStateException}. */
    @Override
    void close();

    /** This codec, run on at most {@code maxBatch} images at a time: less memory, the same result. Closing it closes this one. */
    default LatentCodec sliced(int maxBatch) {
        return new Sliced(this, maxBatch);
    }

    /**
     * This codec, run on square tiles of {@code tileSize} image pixels that overlap by a quarter and are blended: memory that does not
     * grow with the image. What fits one tile is coded as a whole; larger images come out slightly different, because what a network
     * sees beyond a tile is lost to it. Closing it closes this one.
     *
     * @param tileSize a multiple of {@link #downsampling}, at least four times it
     */
    default LatentCodec tiled(int tileSize) {
        return new Tiled(this, tileSize);
    }
}
