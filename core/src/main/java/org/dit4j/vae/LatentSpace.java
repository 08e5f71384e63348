package org.dit4j.vae;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Objects;

/**
 * Which latents a model has learned: those of one encoder, scaled in one way. Autoencoders with the same encoder, such as Stable Diffusion's
 * {@code sd-vae-ft-ema} and {@code sd-vae-ft-mse}, of which only the decoder was trained further, share them.
 *
 * <p>Two are equal by digest and scaling; the probe only helps to know an encoder again whose weights were rounded.
 *
 * @param encoderDigest as {@link LatentCodec#encoderDigest} gives it
 * @param probe as {@link LatentCodec#probe} gives it; empty where nobody took it
 */
public record LatentSpace(
        String encoderDigest,
        LatentScaling scaling,
        @JsonInclude(JsonInclude.Include.NON_EMPTY) List<Double> probe) {
    /** @throws IllegalArgumentException if the digest is no SHA-256 in hex, or there is no scale */
    public LatentSpace {
        if (scaling == null) throw new IllegalArgumentException("there is no scale of the latents");
        if (encoderDigest == null || !encoderDigest.matches("[0-9a-f]{64}"))
            throw new IllegalArgumentException("encoderDigest \"" + encoderDigest + "\" is no SHA-256 in hex");
        probe = probe == null ? List.of() : List.copyOf(probe);
    }

    /** Of an encoder that is known by its digest only. */
    public LatentSpace(String encoderDigest, LatentScaling scaling) {
        this(encoderDigest, scaling, List.of());
    }

    /** The latents of a codec. */
    public static LatentSpace of(LatentCodec codec) {
        return new LatentSpace(codec.encoderDigest(), codec.scaling(), codec.probe());
    }

    /** Whether these are the latents of one encoder, its weights perhaps rounded, at one scale. */
    public boolean isLike(LatentSpace other) {
        boolean sameEncoder = encoderDigest.equals(other.encoderDigest) || LatentProbe.close(probe, other.probe);
        return sameEncoder && scaling.equals(other.scaling);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LatentSpace space
                && encoderDigest.equals(space.encoderDigest)
                && scaling.equals(space.scaling);
    }

    @Override
    public int hashCode() {
        return Objects.hash(encoderDigest, scaling);
    }

    /** As {@link #of(String, double, double, List)} of files that have no probe. */
    public static LatentSpace of(String encoderDigest, double scale, double shift) {
        return of(encoderDigest, scale, shift, List.of());
    }

    /** As files of latents say it: latents = (rawLatents − shift) · scale. */
    public static LatentSpace of(String encoderDigest, double scale, double shift, List<Double> probe) {
        return new LatentSpace(encoderDigest, new LatentScaling(scale, shift), probe);
    }

    /**
     * @param whose what has these latents, as the message begins: "the latents", "the model"
     * @param otherwise what to do besides giving the right one, for the message
     * @throws IllegalArgumentException if {@code codec} has another encoder, one that was not only rounded, or another scale, saying what
     *     differs
     */
    public void requireThatOf(LatentCodec codec, String whose, String otherwise) {
        String digest = codec.encoderDigest();
        if (!digest.equals(encoderDigest) && !(!probe.isEmpty() && LatentProbe.close(probe, codec.probe())))
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
