package org.dit4j.model;

import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LayerNormOptions;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.TensorScope;

/** LayerNorm as DiT uses it, with ε = 1e-6 where nothing else is said. */
final class Norms {
    static final double EPS = 1e-6;

    private Norms() {}

    /** (N, T, D) → (N, T, D) without scale and shift of its own: the conditioning brings them. */
    static Tensor plain(Tensor x) {
        return plain(x, EPS);
    }

    /** As {@link #plain(Tensor)} with another ε. */
    static Tensor plain(Tensor x, double eps) {
        return torch.layer_norm(x, new long[] {x.size(-1)}, new TensorOptional(), new TensorOptional(), eps, true);
    }

    /** With learned scale and shift, for the designs that are not modulated. */
    static LayerNormImpl affine(int hiddenSize) {
        return TensorScope.local(() -> {
            LayerNormOptions options = new LayerNormOptions(new LongVector(new long[] {hiddenSize}));
            options.eps().put(EPS);
            return new LayerNormImpl(options);
        });
    }
}
