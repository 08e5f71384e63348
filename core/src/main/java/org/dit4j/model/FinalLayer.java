package org.dit4j.model;

import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Layers;
import org.dit4j.torch.ModuleArray;

/** The decoder: a last LayerNorm (adaptive in the adaLN designs) and a linear map of each token to its p × p × 2C numbers. */
public final class FinalLayer extends Module {
    private final LayerNormImpl norm;
    private final LinearImpl linear;
    private final LinearImpl modulation;

    FinalLayer(int hiddenSize, long outputsPerToken, boolean adaptive) {
        norm = adaptive ? null : register_module("norm_final", Norms.affine(hiddenSize));
        linear = register_module("linear", Layers.linear(hiddenSize, outputsPerToken));
        modulation = adaptive
                ? new ModuleArray<LinearImpl>(this, "adaLN_modulation")
                        .put("1", Layers.linear(hiddenSize, 2L * hiddenSize))
                : null;
    }

    LinearImpl linear() {
        return linear;
    }

    LinearImpl modulation() {
        return modulation;
    }

    /** (N, T, D) → (N, T, p·p·outChannels); {@code c} is SiLU(t + y), (N, D), and unused where the layer is not adaptive. */
    public Tensor forward(Tensor x, Tensor c) {
        if (modulation == null) return linear.forward(norm.forward(x));
        TensorVector m = modulation.forward(c).chunk(2, 1); // shift, then scale, each (N, D)
        return linear.forward(KernelLookup.of(x).modulate(Norms.plain(x), m.get(0), m.get(1)));
    }
}
