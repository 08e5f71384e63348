package org.dit4j.sample;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Guidance makes a denoiser from a denoiser; solvers never hear of it. */
public final class Guidance {
    /** The channels that the published models guide, of four. */
    public static final int PUBLISHED_CHANNELS = 3;

    private Guidance() {}

    /**
     * Classifier-free guidance (Ho and Salimans 2022) of the first {@code channels} channels: unconditional + scale · (conditional −
     * unconditional). The rest, a variance included, stays the conditional prediction. The denoiser is called once with 2N rows.
     *
     * @param scale 1 is the denoiser itself, 0 the unconditional prediction
     * @param nullLabel the label that stands for no class: the number of classes
     * @param channels {@link #PUBLISHED_CHANNELS}, or all channels of the latents
     */
    public static Denoiser classifierFree(Denoiser denoiser, double scale, long nullLabel, int channels) {
        if (!(scale >= 0 && scale < Double.POSITIVE_INFINITY))
            throw new IllegalArgumentException("guidance scale is " + scale + "; 1 is none, usual are 1 … 10");
        if (channels < 1) throw new IllegalArgumentException("guided channels are " + channels + "; at least 1");
        if (scale == 1) return denoiser;
        return (latents, timestep, condition) -> TensorScope.local(() -> {
            long n = latents.size(0);
            if (channels > latents.size(1))
                throw new IllegalArgumentException(
                        "guided channels are " + channels + ", but the latents are " + Tensors.shape(latents));
            Tensor both = denoiser.predict(Tensors.cat(0, latents, latents), timestep, condition.andNull(nullLabel));
            Tensor conditional = both.narrow(0, 0, n), unconditional = both.narrow(0, n, n);
            Tensor guided =
                    unconditional.narrow(1, 0, channels).lerp(conditional.narrow(1, 0, channels), new Scalar(scale));
            return Tensors.cat(1, guided, conditional.narrow(1, channels, conditional.size(1) - channels));
        });
    }

    /**
     * Guidance in an interval only (Kynkäänniemi et al. 2024): {@code guided} where low ≤ timestep ≤ high, elsewhere {@code plain}.
     *
     * @param low and {@code high}: timesteps of the original diffusion, 0 is the image
     */
    public static Denoiser within(double low, double high, Denoiser guided, Denoiser plain) {
        if (!(low <= high))
            throw new IllegalArgumentException("the guidance interval is " + low + " … " + high + "; low first");
        return (latents, timestep, condition) ->
                (low <= timestep && timestep <= high ? guided : plain).predict(latents, timestep, condition);
    }
}
