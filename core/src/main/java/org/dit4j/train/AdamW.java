package org.dit4j.train;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.kernels.Ops;
import org.dit4j.torch.TensorScope;

/** AdamW (Loshchilov and Hutter 2019) over flat buffers by LibTorch's fused operator, with PyTorch's defaults β = (0.9, 0.999), ε = 1e-8. */
public final class AdamW implements AutoCloseable {
    static final double BETA_1 = 0.9, BETA_2 = 0.999, EPS = 1e-8;

    private final FlatParameters parameters;
    private final double weightDecay;
    private final Tensor firstMoments;
    private final Tensor secondMoments;
    private final Tensor step;

    public AdamW(FlatParameters parameters, double weightDecay) {
        this.parameters = parameters;
        this.weightDecay = weightDecay;
        firstMoments = TensorScope.keeping(() -> torch.zeros_like(parameters.values()));
        secondMoments = TensorScope.keeping(() -> torch.zeros_like(parameters.values()));
        step = TensorScope.keeping(
                () -> torch.zeros(new long[0], parameters.values().options()).to(ScalarType.Float));
    }

    /** One step with the gradients that stand in the buffer. */
    public void step(double learningRate) {
        try (TensorScope scope = new TensorScope()) {
            step(learningRate, torch.zeros_like(step));
        }
    }

    /** As {@link #step(double)}, but nothing changes where {@code skip}, a float32 scalar on the device, is 1 and not 0. */
    void step(double learningRate, Tensor skip) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            step.add_(new Scalar(1f)).sub_(skip);
            Ops.fusedAdamW(
                    parameters.values(),
                    parameters.gradients(),
                    firstMoments,
                    secondMoments,
                    step,
                    skip,
                    learningRate,
                    BETA_1,
                    BETA_2,
                    weightDecay,
                    EPS);
        }
    }

    public Tensor firstMoments() {
        return firstMoments;
    }

    public Tensor secondMoments() {
        return secondMoments;
    }

    /** The number of steps taken, a float32 scalar on the parameters' device. */
    public Tensor stepCount() {
        return step;
    }

    @Override
    public void close() {
        firstMoments.close();
        secondMoments.close();
        step.close();
    }
}
