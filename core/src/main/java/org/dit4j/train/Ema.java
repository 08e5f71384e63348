package org.dit4j.train;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;

/** The exponential moving average of the weights, from which a trained model samples. It starts as a copy of them. */
public final class Ema implements AutoCloseable {
    /**
     * How the decay develops.
     *
     * @param decay the share of the old average that one step keeps; 0.9999 as published
     * @param rampRatio 0: that decay from the first step on, as published. Above 0: the average's half-life is at most this share of the
     *     images trained so far, so that a short run forgets its initial network (Karras et al. 2022, appendix F, use 0.05)
     */
    public record Schedule(double decay, double rampRatio) {
        public Schedule {
            if (!(decay >= 0 && decay < 1))
                throw new IllegalArgumentException("EMA decay " + decay + " is outside [0, 1)");
            if (!(rampRatio >= 0))
                throw new IllegalArgumentException("EMA ramp ratio " + rampRatio + " is negative; 0 is no ramp");
        }

        /** The decay of a step of {@code batchSize} images after which {@code trainedImages} have been seen. */
        public double at(long trainedImages, int batchSize) {
            if (rampRatio == 0) return decay;
            double halfLife = Math.max(trainedImages * rampRatio, 1e-9);
            return Math.min(decay, Math.pow(0.5, batchSize / halfLife));
        }
    }

    private final FlatParameters parameters;
    private final Tensor average;

    public Ema(FlatParameters parameters) {
        this.parameters = parameters;
        average = TensorScope.keeping(() -> parameters.values().clone());
    }

    /** average ← decay · average + (1 − decay) · weights. */
    public void update(double decay) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            average.lerp_(parameters.values(), new Scalar(1 - decay));
        }
    }

    /** As {@link #update(double)}, but nothing changes where {@code skip}, a float32 scalar on the device, is 1 and not 0. */
    void update(double decay, Tensor skip) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor weight = skip.neg().add(new Scalar(1f)).mul(new Scalar(1 - decay));
            average.lerp_(parameters.values(), weight);
        }
    }

    /** The flat average, in the layout of the parameters. */
    public Tensor average() {
        return average;
    }

    @Override
    public void close() {
        average.close();
    }
}
