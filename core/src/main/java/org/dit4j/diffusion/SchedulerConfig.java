package org.dit4j.diffusion;

import java.util.stream.IntStream;

/**
 * How diffusers' {@code DDIMScheduler} goes through a diffusion. Its timesteps are "leading", the multiples of T / steps, so that the last is
 * never visited. Before the first timestep lies the image, ᾱ = 1 ({@code set_alpha_to_one}).
 *
 * @param stepsOffset added to every timestep visited
 * @param clip whether the predicted x0 is clamped to [−1, 1] at every step; false for latents
 */
public record SchedulerConfig(int stepsOffset, boolean clip) {
    /** What is written beside a converted DiT. */
    public static final SchedulerConfig PUBLISHED = new SchedulerConfig(0, false);

    /** @throws IllegalArgumentException if the offset is negative */
    public SchedulerConfig {
        if (stepsOffset < 0)
            throw new IllegalArgumentException("stepsOffset is " + stepsOffset + "; 0 or more, and usually 0 or 1");
    }

    /**
     * The timesteps that so many steps visit, rising.
     *
     * @param numTimesteps of the diffusion, T
     * @throws IllegalArgumentException if there are not that many
     */
    public int[] timesteps(int numTimesteps, int steps) {
        if (steps < 1 || steps > numTimesteps)
            throw new IllegalArgumentException(steps + " steps; this model has 1 to " + numTimesteps);
        int stride = numTimesteps / steps;
        if ((steps - 1L) * stride + stepsOffset >= numTimesteps)
            throw new IllegalArgumentException(steps + " steps reach beyond the last of " + numTimesteps
                    + " timesteps, because all are shifted by " + stepsOffset + "; take fewer");
        return IntStream.range(0, steps).map(i -> i * stride + stepsOffset).toArray();
    }
}
