package org.dit4j.kernels;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * What changes from one optimiser step to the next, on the device: a captured step reads it there, and nothing is baked into it. The caller
 * closes it.
 */
public final class OptimizerScalars implements AutoCloseable {
    private final Tensor step, learningRate, averageWeight;
    private final Lifetime lifetime = new Lifetime("this state of an optimiser", this::free);

    public OptimizerScalars(Device device) {
        step = scalar(device, ScalarType.Float);
        // LibTorch's kernel reads float32 on CUDA; on the CPU a double, which no rounding has touched
        learningRate = scalar(device, device.is_cuda() ? ScalarType.Float : ScalarType.Double);
        averageWeight = scalar(device, ScalarType.Float);
    }

    private static Tensor scalar(Device device, ScalarType dtype) {
        return TensorScope.keeping(
                () -> Tensors.to(Tensors.of(new double[1]), device).to(dtype));
    }

    /** Before a step: its learning rate, and the share of the new weights in the average. */
    public void set(double rate, double newShare) {
        lifetime.use(() -> {
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                learningRate.fill_(new Scalar(rate));
                averageWeight.fill_(new Scalar(newShare));
            }
            return null;
        });
    }

    /** (): the number of steps taken and not skipped, float32. */
    public Tensor step() {
        lifetime.requireOpen();
        return step;
    }

    /** (): float32 on CUDA, float64 on the CPU. */
    public Tensor learningRate() {
        lifetime.requireOpen();
        return learningRate;
    }

    /** (): 1 − decay, float32. */
    public Tensor averageWeight() {
        lifetime.requireOpen();
        return averageWeight;
    }

    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        step.close();
        learningRate.close();
        averageWeight.close();
    }
}
