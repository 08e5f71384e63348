package org.dit4j.torch;

import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.GroupNormOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;

/** LibTorch's layers without their mutable option objects. Make them outside any step's scope. */
public final class Layers {
    static {
        Backend.configure();
    }

    private static final ThreadLocal<Boolean> WITHOUT_WEIGHTS = ThreadLocal.withInitial(() -> false);

    private Layers() {}

    /**
     * A network whose weights come from elsewhere: what {@code make} builds on this thread is not initialised, which for a large network
     * takes longer than reading it, and takes over {@code weights}, which nobody else may change then. Those that share memory, or are not
     * of the layers' dtype, are copied.
     *
     * @param make builds on the CPU
     * @param weights every parameter by name, on the CPU
     * @throws IllegalArgumentException naming every missing and unexpected key and every wrong shape
     */
    public static <M extends Module> M withWeights(Map<String, Tensor> weights, Supplier<M> make) {
        WITHOUT_WEIGHTS.set(true);
        M network;
        try {
            network = make.get();
        } finally {
            WITHOUT_WEIGHTS.remove();
        }
        try {
            StateDict.adopt(network, weights);
            return network;
        } catch (RuntimeException e) {
            network.close();
            throw e;
        }
    }

    /** Whether the layers that are made on this thread now hold arbitrary numbers, for {@link #withWeights}. */
    public static boolean areLeftUninitialised() {
        return WITHOUT_WEIGHTS.get();
    }

    /** Memory for a parameter; LibTorch's layers have no constructor that leaves it as it is, but small ones are made at once. */
    private static void reshape(Tensor parameter, long... shape) {
        try (TensorScope scope = new TensorScope()) {
            parameter.set_data(Tensors.empty(Tensors.dtype(parameter), shape));
        }
    }

    /** (…, in) → (…, out). */
    public static LinearImpl linear(long in, long out, boolean bias) {
        Backend.load();
        return TensorScope.local(() -> {
            LinearOptions options = new LinearOptions(in, out);
            options.bias().put(bias);
            if (!areLeftUninitialised()) return new LinearImpl(options);
            options.in_features().put(1);
            options.out_features().put(1);
            LinearImpl layer = new LinearImpl(options);
            layer.options().in_features().put(in);
            layer.options().out_features().put(out);
            reshape(layer.weight(), out, in);
            if (bias) reshape(layer.bias(), out);
            return layer;
        });
    }

    /** (…, in) → (…, out), with bias. */
    public static LinearImpl linear(long in, long out) {
        return linear(in, out, true);
    }

    /** (N, in, H, W) → (N, out, H′, W′), with the same kernel size, stride and padding in both directions. */
    public static Conv2dImpl conv2d(long in, long out, long kernel, long stride, long padding, boolean bias) {
        Backend.load();
        return TensorScope.local(() -> {
            Conv2dOptions options = new Conv2dOptions(in, out, new LongPointer(kernel, kernel));
            options.stride().put(new LongPointer(stride, stride));
            options.padding().put(new LongPointer(padding, padding));
            options.bias().put(bias);
            if (!areLeftUninitialised()) return new Conv2dImpl(options);
            options.in_channels().put(1);
            options.out_channels().put(1);
            Conv2dImpl layer = new Conv2dImpl(options);
            reshape(layer.weight(), out, in, kernel, kernel);
            if (bias) reshape(layer.bias(), out);
            return layer;
        });
    }

    /** int64 indices below {@code rows} → rows of {@code width} numbers. */
    public static EmbeddingImpl embedding(long rows, long width) {
        Backend.load();
        if (!areLeftUninitialised()) return new EmbeddingImpl(rows, width);
        EmbeddingImpl layer = new EmbeddingImpl(1, 1);
        reshape(layer.weight(), rows, width);
        return layer;
    }

    /** (N, channels, …) of the same shape, normalised over groups of channels, with a scale and a shift per channel. */
    public static GroupNormImpl groupNorm(long groups, long channels, double eps) {
        Backend.load();
        return TensorScope.local(() -> {
            GroupNormOptions options = new GroupNormOptions(groups, channels);
            options.eps().put(eps);
            return new GroupNormImpl(options);
        });
    }
}
