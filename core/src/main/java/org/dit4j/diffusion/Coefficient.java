package org.dit4j.diffusion;

/** The tables of a Gaussian diffusion, one number per timestep. ᾱ is the cumulative product of 1 − β. */
public enum Coefficient {
    /** The timestep of the original diffusion, which the network knows. */
    ORIGINAL_TIMESTEP,
    /** β of the kept timesteps, 1 − ᾱ(t) / ᾱ(kept timestep before). */
    BETA,
    LOG_BETA,
    /** ᾱ. */
    ALPHA_CUMPROD,
    /** ᾱ of the timestep before; 1 at the first. */
    ALPHA_CUMPROD_PREVIOUS,
    /** ᾱ of the timestep after; 0 at the last. */
    ALPHA_CUMPROD_NEXT,
    /** √ᾱ. */
    SQRT_ALPHA_CUMPROD,
    /** √(1 − ᾱ). */
    SQRT_ONE_MINUS_ALPHA_CUMPROD,
    /** ln(1 − ᾱ). */
    LOG_ONE_MINUS_ALPHA_CUMPROD,
    /** √(1 / ᾱ). */
    SQRT_RECIP_ALPHA_CUMPROD,
    /** √(1 / ᾱ − 1). */
    SQRT_RECIPM1_ALPHA_CUMPROD,
    /** Variance of q(x(t−1) | x(t), x0); 0 at the first. */
    POSTERIOR_VARIANCE,
    /**
     * Logarithm of the posterior variance; at the first timestep, where that is 0, of the second's. Where there is one timestep only, of
     * its β, the larger of the two bounds between which learned variances lie.
     */
    POSTERIOR_LOG_VARIANCE_CLIPPED,
    /** Weight of x0 in the mean of q(x(t−1) | x(t), x0). */
    POSTERIOR_MEAN_X0,
    /** Weight of x(t) in the mean of q(x(t−1) | x(t), x0). */
    POSTERIOR_MEAN_XT,
    /** The fixed large variance: β, but at the first timestep the second's posterior variance. */
    LARGE_VARIANCE,
    LARGE_LOG_VARIANCE
}
