package org.dit4j.train;

/**
 * How the decay of the exponential moving average of the weights develops, from which a trained model samples. The average starts as a copy
 * of them.
 *
 * @param decay the share of the old average that one step keeps; 0.9999 as published
 * @param rampRatio 0: that decay from the first step on, as published. Above 0: the average's half-life is at most this share of the
 *     images trained so far, so that a short run forgets its initial network (Karras et al. 2022, appendix F, use 0.05)
 */
public record EmaSchedule(double decay, double rampRatio) {
    /** An average that has more of its untrained beginning draws noise. */
    private static final double MOST_UNTRAINED = 0.05;

    public EmaSchedule {
        if (!(decay >= 0 && decay < 1)) throw new IllegalArgumentException("EMA decay " + decay + " is outside [0, 1)");
        if (!(rampRatio >= 0))
            throw new IllegalArgumentException("EMA ramp ratio " + rampRatio + " is negative; 0 is no ramp");
    }

    /** The share of the average that is still the untrained weights after so many steps. */
    public double untrained(long steps, int batchSize) {
        if (rampRatio == 0) return Math.pow(decay, steps);
        double share = 1;
        for (long step = 1; step <= steps && share > 0; step++) share *= at(step * batchSize, batchSize);
        return share;
    }

    /** From about which step on the average is worth looking at: at most {@value #MOST_UNTRAINED} of it is untrained. Two digits count. */
    public long matureAfter(int batchSize) {
        if (rampRatio == 0) return decay == 0 ? 0 : twoDigits(Math.log(MOST_UNTRAINED) / Math.log(decay));
        double share = 1;
        long step = 0;
        while (share > MOST_UNTRAINED) share *= at(++step * batchSize, batchSize);
        return twoDigits(step);
    }

    private static long twoDigits(double steps) {
        double unit = Math.max(1, Math.pow(10, Math.floor(Math.log10(steps)) - 1));
        return (long) (Math.ceil(steps / unit) * unit);
    }

    /** The decay of a step of {@code batchSize} images after which {@code trainedImages} have been seen. */
    public double at(long trainedImages, int batchSize) {
        if (rampRatio == 0) return decay;
        double halfLife = Math.max(trainedImages * rampRatio, 1e-9);
        return Math.min(decay, Math.pow(0.5, batchSize / halfLife));
    }
}
