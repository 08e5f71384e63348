package org.dit4j;

import java.awt.image.BufferedImage;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.Images;
import org.dit4j.torch.TensorScope;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LinearRgb;

/** From what a network draws to pictures: pixels as they are, latents by an autoencoder or by a projection to colours. Owns nothing. */
public final class PictureDecoder {
    /** How many latents are decoded at once: an autoencoder's activations are far larger than the network's. */
    private static final int DECODED_AT_ONCE = 8;

    /** Of a network that draws pixels. */
    public static final PictureDecoder PIXELS = new PictureDecoder(0, pixels -> pixels, 1);

    /** 0 is any. */
    private final int channels;

    private final UnaryOperator<Tensor> decode;
    private final int downsampling;

    private PictureDecoder(int channels, UnaryOperator<Tensor> decode, int downsampling) {
        this.channels = channels;
        this.decode = decode;
        this.downsampling = downsampling;
    }

    /** By an autoencoder, which is moved to {@code device} in float32, and stays the caller's to close. */
    public static PictureDecoder of(LatentCodec codec, Device device) {
        try (TensorScope scope = new TensorScope()) {
            codec.to(device, ScalarType.Float);
        }
        return new PictureDecoder(codec.channels(), codec.sliced(DECODED_AT_ONCE)::decode, codec.downsampling());
    }

    /** Small pictures, one pixel for each of the latents'. */
    public static PictureDecoder of(LinearRgb colours) {
        return new PictureDecoder(colours.channels(), colours::preview, 1);
    }

    /** @throws IllegalArgumentException if the network draws latents of another number of channels */
    void requireChannels(int drawn) {
        if (channels != 0 && channels != drawn)
            throw new IllegalArgumentException("the model draws " + drawn + " channels, the autoencoder has latents of "
                    + channels + "; a model on pixels needs none");
    }

    /** Pixels of a picture for each of the network's, in each direction. */
    public int downsampling() {
        return downsampling;
    }

    /** (N, C, h, w) → (N, 3 or 1, H, W) float32 pictures in [−1, 1] but for overshoot, in the scope around the call. */
    public Tensor decode(Tensor drawn) {
        return decode.apply(drawn);
    }

    /** (N, C, h, w) → N pictures: for previews. */
    public List<BufferedImage> pictures(Tensor drawn) {
        try (TensorScope scope = new TensorScope()) {
            return Images.fromTensor(decode(drawn));
        }
    }
}
