package org.dit4j.vae;

/**
 * Which latents a model has learned: those of one encoder, scaled in one way. Autoencoders with the same encoder, such as Stable Diffusion's
 * {@code sd-vae-ft-ema} and {@code sd-vae-ft-mse}, of which only the decoder was trained further, share them.
 *
 * @param encoderDigest as {@link LatentCodec#encoderDigest} gives it
 */
public record LatentSpace(String encoderDigest, LatentScaling scaling) {
    /** @throws IllegalArgumentException if the digest is no SHA-256 in hex, or there is no scale */
    public LatentSpace {
        if (scaling == null) throw new IllegalArgumentException("there is no scale of the latents");
        if (encoderDigest == null || !encoderDigest.matches("[0-9a-f]{64}"))
            throw new IllegalArgumentException("encoderDigest \"" + encoderDigest + "\" is no SHA-256 in hex");
    }

    /** As files of latents say it: latents = (rawLatents − shift) · scale. */
    public static LatentSpace of(String encoderDigest, double scale, double shift) {
        return new LatentSpace(encoderDigest, new LatentScaling(scale, shift));
    }

    /**
     * @param whose what has these latents, as the message begins: "the latents", "the model"
     * @param otherwise what to do besides giving the right one, for the message
     * @throws IllegalArgumentException if {@code codec} has another encoder or scale, saying what differs
     */
    public void requireThatOf(LatentCodec codec, String whose, String otherwise) {
        String digest = codec.encoderDigest();
        if (!digest.equals(encoderDigest))
            throw new IllegalArgumentException(whose + " another autoencoder, whose encoder has the digest "
                    + encoderDigest + "; this one's is " + digest
                    + ". Give that one, or one that differs in its decoder only" + otherwise);
        if (!codec.scaling().equals(scaling))
            throw new IllegalArgumentException(whose + " this encoder, but scaled by " + scaling.scale()
                    + " after a shift by " + scaling.shift() + "; this autoencoder's are scaled by "
                    + codec.scaling().scale() + " after "
                    + codec.scaling().shift() + ". Give the one of that scale" + otherwise);
    }
}
