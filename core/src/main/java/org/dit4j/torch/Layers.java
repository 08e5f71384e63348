package org.dit4j.torch;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.GroupNormOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;

/** LibTorch's layers without their mutable option objects. Make them outside any step's scope. */
public final class Layers {
    static {
        Backend.configure();
    }

    private Layers() {}

    /** (…, in) → (…, out). */
    public static LinearImpl linear(long in, long out, boolean bias) {
        Backend.load();
        return TensorScope.local(() -> {
            LinearOptions options = new LinearOptions(in, out);
            options.bias().put(bias);
            return new LinearImpl(options);
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
            return new Conv2dImpl(options);
        });
    }

    /** int64 indices below {@code rows} → rows of {@code width} numbers. */
    public static EmbeddingImpl embedding(long rows, long width) {
        Backend.load();
        return new EmbeddingImpl(rows, width);
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
