package org.dit4j.sample;

import org.bytedeco.pytorch.Tensor;

/** Where a solver is after one of its steps. Its tensors live as long as the call of the listener. */
public final class Step {
    private final int number, numSteps;
    private final double timestep;
    private final Tensor x, x0;

    Step(int number, int numSteps, double timestep, Tensor x, Tensor x0) {
        this.number = number;
        this.numSteps = numSteps;
        this.timestep = timestep;
        this.x = x;
        this.x0 = x0;
    }

    /** Steps done, from 1 to {@link #numSteps}. */
    public int number() {
        return number;
    }

    public int numSteps() {
        return numSteps;
    }

    /** What the network was told: a timestep of the diffusion that it was trained on. */
    public double timestep() {
        return timestep;
    }

    /** (N, C, H, W): the latents after the step. */
    public Tensor x() {
        return x;
    }

    /** (N, C, H, W): what the network takes the result to be; the preview. */
    public Tensor x0() {
        return x0;
    }
}
