package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/** What solvers and bounds see of a network; guidance, captured graphs and autocast make denoisers from denoisers. */
@FunctionalInterface
public interface Denoiser {
    /**
     * The network's prediction for noisy latents.
     *
     * @param latents (N, C, H, W)
     * @param timestep of the diffusion that the network was trained on, not an index into a spacing; on the host, shared by all rows
     * @param condition of as many rows
     * @return (N, C, H, W), or (N, 2C, H, W) with a learned variance, in the scope around the call
     */
    Tensor predict(Tensor latents, double timestep, Condition condition);
}
