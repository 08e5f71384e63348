package org.dit4j.eval;

import org.bytedeco.pytorch.InterpolateFuncOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.kBicubic;
import org.bytedeco.pytorch.kBilinear;
import org.dit4j.torch.TensorScope;

/** PyTorch's {@code interpolate(antialias=True)}: kernels that grow with the reduction, as Pillow's, in floating point. */
final class AntialiasedResize {
    private AntialiasedResize() {}

    /** (N, C, H, W) → (N, C, height, width). */
    static Tensor bilinear(Tensor x, long height, long width) {
        return TensorScope.local(() -> {
            InterpolateFuncOptions options = options(height, width);
            options.mode().put(new kBilinear());
            return torch.interpolate(x, options);
        });
    }

    /** (N, C, H, W) → (N, C, height, width). */
    static Tensor bicubic(Tensor x, long height, long width) {
        return TensorScope.local(() -> {
            InterpolateFuncOptions options = options(height, width);
            options.mode().put(new kBicubic());
            return torch.interpolate(x, options);
        });
    }

    private static InterpolateFuncOptions options(long height, long width) {
        InterpolateFuncOptions options = new InterpolateFuncOptions();
        options.size().put(new LongVector(height, width));
        options.align_corners().put(false);
        options.antialias().put(true);
        return options;
    }
}
