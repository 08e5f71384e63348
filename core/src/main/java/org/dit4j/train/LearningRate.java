package org.dit4j.train;

/**
 * A constant rate after a linear rise.
 *
 * @param rate the constant, 1e-4 as published
 * @param warmupSteps how many steps rise to it; 0, as published, is none
 */
public record LearningRate(double rate, int warmupSteps) {
    public LearningRate {
        if (!(rate > 0) || Double.isInfinite(rate))
            throw new IllegalArgumentException("learning rate " + rate + " is not positive");
        if (warmupSteps < 0)
            throw new IllegalArgumentException("warm-up of " + warmupSteps + " steps is negative; 0 is none");
    }

    /** The rate of a step, counted from 1. */
    public double at(long step) {
        return step >= warmupSteps ? rate : rate * step / warmupSteps;
    }
}
