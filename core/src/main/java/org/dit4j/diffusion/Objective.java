package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/**
 * What a network is trained to do, and all that the trainer knows of it. An objective draws its times, makes the noisy input, and says the
 * loss of a prediction and its derivative; there it stops, and the network takes the derivative from there.
 *
 * <p>Times are (N), int64 of a process in discrete timesteps, float32 of a continuous one; the network is given them as they are.
 */
public interface Objective {
    /**
     * The times of training samples: each depends on (seed, sample) alone.
     *
     * @return (samples.length) on the CPU
     */
    Tensor times(long seed, long... samples);

    /**
     * Times at given places of the whole range, for who wants it covered evenly.
     *
     * @param places each in [0, of)
     * @return (places.length) on the CPU: 0 is the cleanest time, {@code of} would be the noisiest
     */
    Tensor timesAt(double[] places, int of);

    /** T, in whose parts times are reported: the number of timesteps, or what a continuous range counts as. */
    int numTimesteps();

    /** Which of {@code numBuckets} equal parts of the range each time is in, from 0, the cleanest; {@code times} are on the CPU. */
    int[] buckets(Tensor times, int numBuckets);

    /** x0 with the noise of each row's time: (N, C, H, W) each, times (N) on their device → (N, C, H, W). */
    Tensor noised(Tensor x0, Tensor noise, Tensor times);

    /**
     * The loss of a prediction and its gradient.
     *
     * @param prediction (N, C, H, W) or (N, 2C, H, W), in any floating dtype; taken as a constant
     * @param x0 (N, C, H, W)
     * @param xt (N, C, H, W), what {@link #noised} made of x0, noise and times
     * @param noise (N, C, H, W)
     * @param times (N) on the tensors' device
     * @return tensors in the scope around the call
     */
    Loss loss(Tensor prediction, Tensor x0, Tensor xt, Tensor noise, Tensor times);
}
