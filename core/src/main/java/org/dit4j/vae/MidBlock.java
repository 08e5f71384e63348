package org.dit4j.vae;

import static org.bytedeco.pytorch.global.torch.scaled_dot_product_attention;

import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Layers;
import org.dit4j.torch.ModuleArray;

/** At the lowest resolution: a residual block, attention, a residual block. */
final class MidBlock extends Module {
    private final Attention attention; // null where the configuration has none
    private final ModuleArray<ResnetBlock> resnets;

    MidBlock(int channels, int normNumGroups, boolean withAttention) {
        attention = withAttention
                ? new ModuleArray<Attention>(this, "attentions").add(new Attention(channels, normNumGroups))
                : null;
        resnets = new ModuleArray<>(this, "resnets");
        for (int i = 0; i < 2; i++) resnets.add(new ResnetBlock(channels, channels, normNumGroups));
    }

    /** Consumes {@code x}. */
    Tensor forward(Tensor x) {
        x = Activations.pass(x, resnets.get(0)::forward);
        if (attention != null) x = Activations.pass(x, attention::forward);
        return Activations.pass(x, resnets.get(1)::forward);
    }

    /** Attention over all pixels with one head as wide as the channels, after a GroupNorm, with a residual. */
    private static final class Attention extends Module {
        private final GroupNormImpl norm;
        private final LinearImpl toQ, toK, toV, toOut;

        Attention(int channels, int normNumGroups) {
            norm = register_module("group_norm", Layers.groupNorm(normNumGroups, channels, ResnetBlock.NORM_EPS));
            toQ = register_module("to_q", Layers.linear(channels, channels));
            toK = register_module("to_k", Layers.linear(channels, channels));
            toV = register_module("to_v", Layers.linear(channels, channels));
            toOut = new ModuleArray<LinearImpl>(this, "to_out").add(Layers.linear(channels, channels));
        }

        Tensor forward(Tensor x) {
            Tensor tokens = norm.forward(x).flatten(2, 3).transpose(1, 2).unsqueeze(1); // (N, 1 head, h·w, channels)
            Tensor mixed = scaled_dot_product_attention(toQ.forward(tokens), toK.forward(tokens), toV.forward(tokens));
            return toOut.forward(mixed)
                    .squeeze(1)
                    .transpose(1, 2)
                    .reshape(x.shape())
                    .add(x);
        }
    }
}
