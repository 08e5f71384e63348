package org.dit4j.cuda;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.kernels.AdamW;
import org.dit4j.kernels.AtenKernels;
import org.dit4j.kernels.OptimizerScalars;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** One kernel for AdamW, average and rounded weights, and the noise made on the card; the rest is LibTorch's. */
public final class CudaKernels extends AtenKernels {
    private final CudaModule steps = CudaModule.of("trunk.cu", "-DD=" + CudaFusedKernels.ANY);
    private final CudaModule noise = CudaModule.of("noise.cu", "-fmad=false");

    @Override
    public String name() {
        return "cuda";
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
        boolean rounded = Tensors.dtype(weights) == ScalarType.BFloat16;
        if (Tensors.dtype(values) != ScalarType.Float
                || !rounded && weights.data_ptr().address() != values.data_ptr().address()) {
            super.adamWEma(values, weights, gradients, firstMoments, secondMoments, average, skip, scalars, settings);
            return;
        }
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            scalars.step().add_(new Scalar(1f)).sub_(skip);
            long count = values.numel();
            Tensor shared = torch.empty(new long[] {3}, scalars.step().options(), new MemoryFormatOptional());
            steps.launch(
                    "adamw_scalars",
                    1,
                    1,
                    1,
                    1,
                    scalars.step(),
                    scalars.learningRate(),
                    settings.beta1(),
                    settings.beta2(),
                    shared);
            steps.launch(
                    "adamw_ema",
                    (count + 1023) / 1024,
                    1,
                    1,
                    256,
                    values,
                    rounded ? weights : null,
                    gradients,
                    firstMoments,
                    secondMoments,
                    average,
                    skip,
                    shared,
                    scalars.averageWeight(),
                    (float) settings.beta1(),
                    (float) settings.beta2(),
                    (float) (1 - settings.beta1()),
                    (float) (1 - settings.beta2()),
                    (float) settings.eps(),
                    (float) settings.weightDecay(),
                    count);
        }
    }

    @Override
    public Tensor normal(long seed, Purpose purpose, int sub, long[] indices, Device device, long... shape) {
        return TensorScope.local(() -> {
            long[] all = new long[shape.length + 1];
            all[0] = indices.length;
            System.arraycopy(shape, 0, all, 1, shape.length);
            Tensor out = torch.empty(
                    all,
                    new TensorOptions(ScalarType.Float).device(new DeviceOptional(device)),
                    new MemoryFormatOptional());
            long row = out.numel() / Math.max(1, indices.length), blocks = indices.length * ((row + 3) / 4);
            // pinned, so that the host does not wait for what the card does before
            Tensor places =
                    Tensors.of(indices, indices.length).pin_memory().to(device, ScalarType.Long, true, false, null);
            noise.launch(
                    "normal",
                    (blocks + 127) / 128,
                    1,
                    1,
                    128,
                    seed,
                    Noise.stream(purpose, sub),
                    places,
                    out,
                    indices.length,
                    Math.toIntExact(row));
            return out;
        });
    }
}
