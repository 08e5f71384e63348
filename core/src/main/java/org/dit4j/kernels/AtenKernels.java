package org.dit4j.kernels;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** LibTorch's own operators, on every device: what every other implementation is compared with, and may take over where it has nothing faster. */
public class AtenKernels implements Kernels {
    @Override
    public String name() {
        return "aten";
    }

    @Override
    public Tensor modulate(Tensor x, Tensor shift, Tensor scale) {
        return x.mul(scale.unsqueeze(1).add(new Scalar(1))).add(shift.unsqueeze(1));
    }

    @Override
    public Tensor gatedAdd(Tensor residual, Tensor branch, Tensor gate) {
        return residual.add(branch.mul(gate.unsqueeze(1)));
    }

    @Override
    public Tensor gelu(Tensor x) {
        return torch.gelu(x, "tanh");
    }

    @Override
    public Tensor attention(Tensor queries, Tensor keys, Tensor values) {
        return torch.scaled_dot_product_attention(queries, keys, values);
    }

    @Override
    public void adamWEma(
            Tensor values,
            Tensor weights,
            Tensor gradients,
            Tensor firstMoments,
            Tensor secondMoments,
            Tensor average,
            Tensor skip,
            OptimizerScalars scalars,
            AdamW settings) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            scalars.step().add_(new Scalar(1f)).sub_(skip);
            Ops.fusedAdamW(
                    values,
                    gradients,
                    firstMoments,
                    secondMoments,
                    scalars.step(),
                    skip,
                    scalars.learningRate(),
                    settings);
            average.lerp_(values, skip.neg().add(new Scalar(1f)).mul(scalars.averageWeight()));
            if (weights.data_ptr().address() != values.data_ptr().address()) weights.copy_(values);
        }
    }

    @Override
    public Tensor ancestralUpdate(Tensor mean, Tensor logVariance, Tensor mask, Tensor noise) {
        return TensorScope.local(() -> {
            Tensor deviation = logVariance.mul(new Scalar(0.5)).exp();
            return mean.add(mask.mul(deviation).mul(noise));
        });
    }

    @Override
    public Tensor ddimUpdate(
            Tensor x0, Tensor noiseInX, Tensor signal, Tensor direction, Tensor mask, Tensor sigma, Tensor noise) {
        return TensorScope.local(() -> {
            Tensor mean = x0.mul(signal).add(direction.mul(noiseInX));
            return noise == null ? mean : mean.add(mask.mul(sigma).mul(noise));
        });
    }

    @Override
    public Tensor normal(long seed, Purpose purpose, int sub, long[] indices, Device device, long... shape) {
        return TensorScope.local(() -> Tensors.to(Noise.normal(seed, purpose, sub, indices, shape), device));
    }
}
