package org.dit4j.diffusion;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.torch.Tensors;

/** The network without weights of the golden set: cat([a·x + 0.1·roll(x, 1, rows), tanh(0.5·x − a)], channels), a = cos(t / 1000). */
public final class StandIn {
    private StandIn() {}

    /** (N, C, H, W) and original timesteps (N) → (N, 2C, H, W). */
    public static Tensor of(Tensor x, Tensor timesteps) {
        Tensor a = timesteps.to(ScalarType.Float).div(new Scalar(1000)).cos().view(-1, 1, 1, 1);
        Tensor rolled = x.roll(new long[] {1}, 2).mul(new Scalar(0.1));
        Tensor variance = x.mul(new Scalar(0.5)).sub(a).tanh();
        return Tensors.cat(1, a.mul(x).add(rolled), variance);
    }

    /** Without a learned variance the first half only. */
    public static Tensor of(Tensor x, Tensor timesteps, Variance variance) {
        Tensor both = of(x, timesteps);
        return variance.isLearned() ? both : both.narrow(1, 0, x.size(1));
    }

    public static Denoiser denoiser() {
        return (latents, timestep, condition) ->
                of(latents, Tensors.to(Tensors.of(new double[] {timestep}, 1), latents.device()));
    }

    static boolean hasFirst(Tensor timesteps) {
        for (long t : Tensors.toLongs(timesteps)) if (t == 0) return true;
        return false;
    }
}
