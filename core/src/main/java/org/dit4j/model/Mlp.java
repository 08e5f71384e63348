package org.dit4j.model;

import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Layers;
import org.dit4j.torch.TensorScope;

/** Two linear layers with GELU in its tanh approximation between them. */
public final class Mlp extends Module {
    private final LinearImpl fc1;
    private final LinearImpl fc2;

    Mlp(int hiddenSize, int mlpHidden) {
        fc1 = register_module("fc1", Layers.linear(hiddenSize, mlpHidden));
        fc2 = register_module("fc2", Layers.linear(mlpHidden, hiddenSize));
    }

    /** (N, T, D) → (N, T, D). */
    public Tensor forward(Tensor x) {
        return TensorScope.local(() -> {
            Tensor hidden = fc1.forward(x);
            return fc2.forward(KernelLookup.of(x).gelu(hidden));
        });
    }
}
