package org.dit4j.vae;

import static org.bytedeco.pytorch.global.torch.silu_;

import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Layers;

/** x, or a 1×1 convolution of it where the channels change, + conv₂(silu(norm₂(conv₁(silu(norm₁(x)))))). */
final class ResnetBlock extends Module {
    /** Of every GroupNorm here; PyTorch's own default, 1e-5, gives another network. */
    static final double NORM_EPS = 1e-6;

    private final GroupNormImpl norm1, norm2;
    private final Conv2dImpl conv1, conv2;
    private final Conv2dImpl shortcut; // null where the channels stay

    ResnetBlock(int in, int out, int normNumGroups) {
        norm1 = register_module("norm1", Layers.groupNorm(normNumGroups, in, NORM_EPS));
        conv1 = register_module("conv1", Layers.conv2d(in, out, 3, 1, 1, true));
        norm2 = register_module("norm2", Layers.groupNorm(normNumGroups, out, NORM_EPS));
        conv2 = register_module("conv2", Layers.conv2d(out, out, 3, 1, 1, true));
        shortcut = in == out ? null : register_module("conv_shortcut", Layers.conv2d(in, out, 1, 1, 0, true));
    }

    Tensor forward(Tensor x) {
        Tensor h = conv1.forward(silu_(norm1.forward(x)));
        h = conv2.forward(silu_(norm2.forward(h)));
        return h.add_(shortcut == null ? x : shortcut.forward(x));
    }
}
