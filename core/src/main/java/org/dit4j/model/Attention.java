package org.dit4j.model;

import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Layers;
import org.dit4j.torch.TensorScope;

/** Multi-head self-attention with one projection to queries, keys and values. */
public final class Attention extends Module {
    private final int numHeads;
    private final LinearImpl qkv;
    private final LinearImpl proj;

    Attention(int hiddenSize, int numHeads) {
        this.numHeads = numHeads;
        qkv = register_module("qkv", Layers.linear(hiddenSize, 3L * hiddenSize));
        proj = register_module("proj", Layers.linear(hiddenSize, hiddenSize));
    }

    /** (N, T, D) → (N, T, D). */
    public Tensor forward(Tensor x) {
        return TensorScope.local(() -> {
            long n = x.size(0), t = x.size(1), d = x.size(2);
            // rows of the projection: all of Q, then K, then V; within each, head by head
            TensorVector parts = qkv.forward(x)
                    .view(n, t, 3, numHeads, d / numHeads)
                    .permute(2, 0, 3, 1, 4)
                    .unbind(0); // three of (N, heads, T, D/heads)
            Tensor mixed = KernelLookup.of(x).attention(parts.get(0), parts.get(1), parts.get(2));
            return proj.forward(mixed.transpose(1, 2).reshape(n, t, d));
        });
    }
}
