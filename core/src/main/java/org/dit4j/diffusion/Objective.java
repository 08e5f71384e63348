package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/**
 * What a network is trained to do. It stops at the prediction: it gives the loss and its derivative by the prediction, and the network takes
 * it from there.
 */
public interface Objective {
    /** x0 with the noise of each row's timestep: (N, C, H, W) each, timesteps (N) on their device → (N, C, H, W). */
    Tensor noised(Tensor x0, Tensor noise, Tensor timesteps);

    /**
     * The loss of a prediction and its gradient.
     *
     * @param prediction (N, C, H, W) or (N, 2C, H, W), in any floating dtype; taken as a constant
     * @param x0 (N, C, H, W)
     * @param xt (N, C, H, W), what {@link #noised} made of x0, noise and timesteps
     * @param noise (N, C, H, W)
     * @param timesteps (N) on the tensors' device
     * @return tensors in the scope around the call
     */
    Loss loss(Tensor prediction, Tensor x0, Tensor xt, Tensor noise, Tensor timesteps);
}
