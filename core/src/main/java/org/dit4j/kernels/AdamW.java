package org.dit4j.kernels;

/**
 * The constants of an AdamW (Loshchilov and Hutter 2019).
 *
 * @param beta1 the share of the first moment that a step keeps
 * @param beta2 the share of the second moment that a step keeps
 * @param eps added to the root of the second moment
 * @param weightDecay times the learning rate, what a step takes off each weight
 */
public record AdamW(double beta1, double beta2, double eps, double weightDecay) {
    /** PyTorch's defaults, β = (0.9, 0.999) and ε = 1e-8. */
    public static AdamW withDecay(double weightDecay) {
        return new AdamW(0.9, 0.999, 1e-8, weightDecay);
    }
}
