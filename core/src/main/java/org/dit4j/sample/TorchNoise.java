package org.dit4j.sample;

import java.util.Arrays;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;

/**
 * Noise in the order of the published scripts, to repeat their seeded runs: LibTorch's generator, seeded as by {@code torch.manual_seed},
 * draws for the whole batch at every step, used or not; and a guided batch is twice as large, its conditional rows first. A generator of its
 * own, which nothing else in the process disturbs; for one thread at a time.
 *
 * <p>The published scripts draw the start from it first: {@code noise.normal(N, C, H, W)}.
 */
public final class TorchNoise implements StepNoise, AutoCloseable {
    private final Generator generator;
    private final Device device;
    private final boolean guided;
    private final Lifetime lifetime;

    /**
     * @param device of the latents: a CUDA device draws other numbers than the CPU. Stays the caller's.
     * @param guided whether the published script would have doubled the batch for guidance
     */
    public TorchNoise(long seed, Device device, boolean guided) {
        this.device = device;
        this.guided = guided;
        generator = TensorScope.keeping(() -> generator(seed, device));
        lifetime = new Lifetime("this noise", generator::close);
    }

    private static Generator generator(long seed, Device device) {
        if (!device.is_cuda()) return torch.make_generator_cpu(seed);
        Generator generator = torch_cuda.make_generator_cuda((byte) Math.max(device.index(), 0));
        generator.set_current_seed(seed);
        return generator;
    }

    /** The next normal numbers, float32 on the device. */
    public Tensor normal(long... shape) {
        return lifetime.use(() -> TensorScope.local(() -> torch.torch_randn(
                shape,
                new GeneratorOptional(generator),
                new TensorOptions(device).dtype(new ScalarTypeOptional(ScalarType.Float)))));
    }

    @Override
    public Tensor draw(int step, Tensor x) {
        long[] shape = x.shape();
        if (!guided) return normal(shape);
        long[] doubled = Arrays.copyOf(shape, shape.length);
        doubled[0] *= 2;
        return TensorScope.local(() -> normal(doubled).narrow(0, 0, shape[0]));
    }

    @Override
    public void skip(int step, Tensor x) {
        try (TensorScope scope = new TensorScope()) {
            draw(step, x);
        }
    }

    @Override
    public void close() {
        lifetime.close();
    }
}
