package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/**
 * A way back from noise to data in steps, as a deterministic solver needs it: where it stops, what a prediction there stands for, and how
 * to go from one stop to the next. Indices are (N) or (1) int64 on the latents' device, from 0, the cleanest, to
 * {@link #numTimesteps} − 1. Results belong to the scope around the call.
 */
public interface ReverseProcess {
    /** The number of stops. */
    int numTimesteps();

    /** What the network is told at a stop: a timestep of the process that it was trained on, whole or not. */
    double networkTime(int index);

    /** The x0 that a prediction for {@code x} stands for; clamped to [−1, 1] if {@code clip}. (N, C, H, W). */
    Tensor predictedX0(Tensor prediction, Tensor x, Tensor indices, boolean clip);

    /**
     * From {@code x} at these stops to the next cleaner ones, given the predicted {@code x0}.
     *
     * @param eta 0 is deterministic, 1 as random as an ancestral step
     * @param noise normal (N, C, H, W); not used, and may be null, where eta is 0
     */
    Tensor ddimStep(Tensor x0, Tensor x, Tensor indices, double eta, Tensor noise);

    /** From {@code x} to the next noisier stops; from the last to pure noise. */
    Tensor ddimReverseStep(Tensor x0, Tensor x, Tensor indices);
}
