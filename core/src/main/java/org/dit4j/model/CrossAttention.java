package org.dit4j.model;

import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Layers;
import org.dit4j.torch.TensorScope;

/** Multi-head attention of image tokens to conditioning tokens: four D × D projections with bias, two of them stacked. */
public final class CrossAttention extends Module {
    private final int numHeads;
    private final LinearImpl q;
    private final LinearImpl kv;
    private final LinearImpl proj;

    CrossAttention(int hiddenSize, int numHeads) {
        this.numHeads = numHeads;
        q = register_module("q", Layers.linear(hiddenSize, hiddenSize));
        kv = register_module("kv", Layers.linear(hiddenSize, 2L * hiddenSize));
        proj = register_module("proj", Layers.linear(hiddenSize, hiddenSize));
    }

    /** (N, T, D) queries over (N, S, D) context → (N, T, D). */
    public Tensor forward(Tensor x, Tensor context) {
        return TensorScope.local(() -> {
            long n = x.size(0), t = x.size(1), d = x.size(2), s = context.size(1);
            Tensor queries = q.forward(x).view(n, t, numHeads, d / numHeads).transpose(1, 2); // (N, heads, T, D/heads)
            TensorVector keysValues = kv.forward(context)
                    .view(n, s, 2, numHeads, d / numHeads)
                    .permute(2, 0, 3, 1, 4)
                    .unbind(0); // two of (N, heads, S, D/heads)
            Tensor mixed = KernelLookup.of(x).attention(queries, keysValues.get(0), keysValues.get(1));
            return proj.forward(mixed.transpose(1, 2).reshape(n, t, d));
        });
    }
}
