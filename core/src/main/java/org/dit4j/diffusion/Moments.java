package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/** A normal distribution of x(t−1), and the x0 that it supposes. */
public final class Moments {
    private final Tensor mean, variance, logVariance, x0;

    Moments(Tensor mean, Tensor variance, Tensor logVariance, Tensor x0) {
        this.mean = mean;
        this.variance = variance;
        this.logVariance = logVariance;
        this.x0 = x0;
    }

    /** (N, C, H, W). */
    public Tensor mean() {
        return mean;
    }

    /** Broadcastable to (N, C, H, W); at the first timestep of a fixed small variance 0, although the logarithm is clipped. */
    public Tensor variance() {
        return variance;
    }

    /** Broadcastable to (N, C, H, W). */
    public Tensor logVariance() {
        return logVariance;
    }

    /** (N, C, H, W). */
    public Tensor x0() {
        return x0;
    }
}
