package org.dit4j.run;

/**
 * How long a run goes, and how often something comes of it; in steps but for one.
 *
 * @param maxSteps optimiser steps in all
 * @param logEvery 100 as published
 * @param ckptEvery 50,000 as published; the last step always leaves a checkpoint
 * @param sampleEvery 0 is never; {@link #AUTO}
 * @param evalEvery how often to validate, if there are data for it; 0 is never; {@link #AUTO}
 * @param ckptSeconds a checkpoint is due also when the last is so old; 0 is never
 */
public record Cadence(long maxSteps, int logEvery, int ckptEvery, int sampleEvery, int evalEvery, int ckptSeconds) {
    /**
     * With the first log, and then with a log as often as samples and validation together take at most 5% of the wall
     * time; at the end too. A run so short that the first and the last alone take more has these two.
     */
    public static final int AUTO = -1;

    public Cadence {
        if (maxSteps < 1) throw new IllegalArgumentException("max steps " + maxSteps + " is below 1");
        if (logEvery < 1 || ckptEvery < 1 || sampleEvery < AUTO || evalEvery < AUTO || ckptSeconds < 0)
            throw new IllegalArgumentException("log every " + logEvery + ", checkpoint every " + ckptEvery
                    + ", sample every " + sampleEvery + ", validate every " + evalEvery
                    + " steps: the first two are at least 1, the others 0 or more, or -1 for AUTO; a checkpoint every "
                    + ckptSeconds + " seconds: 0 or more");
    }

    /** So many steps with the published logs and checkpoints, one also each half hour; samples and validation by {@link #AUTO}. */
    public static Cadence of(long maxSteps) {
        return new Cadence(maxSteps, 100, 50_000, AUTO, AUTO, 1800);
    }

    /** The same for another number of steps. */
    public Cadence withMaxSteps(long steps) {
        return new Cadence(steps, logEvery, ckptEvery, sampleEvery, evalEvery, ckptSeconds);
    }

    /** Another number of steps between logs. */
    public Cadence withLogEvery(int steps) {
        return new Cadence(maxSteps, steps, ckptEvery, sampleEvery, evalEvery, ckptSeconds);
    }

    /** Another number of steps between checkpoints. */
    public Cadence withCkptEvery(int steps) {
        return new Cadence(maxSteps, logEvery, steps, sampleEvery, evalEvery, ckptSeconds);
    }

    /** Another number of steps between grids of samples, and between validations. */
    public Cadence withLooks(int samples, int evals) {
        return new Cadence(maxSteps, logEvery, ckptEvery, samples, evals, ckptSeconds);
    }
}
