package org.dit4j.vae;

import static org.bytedeco.pytorch.global.torch.silu_;
import static org.bytedeco.pytorch.global.torch.upsample_nearest2d;

import java.util.List;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Layers;
import org.dit4j.torch.ModuleArray;

/** (N, C, h, w) raw latents, after the 1×1 convolution over them → (N, 3, H, W) images. */
final class KlDecoder extends Module {
    private final Conv2dImpl convIn, convOut;
    private final ModuleArray<UpBlock> upBlocks;
    private final MidBlock midBlock;
    private final GroupNormImpl normOut;

    KlDecoder(AutoencoderKlConfig config) {
        List<Integer> channels = config.blockOutChannels();
        int groups = config.normNumGroups(), last = channels.size() - 1;
        convIn = register_module("conv_in", Layers.conv2d(config.latentChannels(), channels.get(last), 3, 1, 1, true));
        upBlocks = new ModuleArray<>(this, "up_blocks"); // applied after mid_block, but named before it
        for (int i = last; i >= 0; i--)
            upBlocks.add(new UpBlock(
                    channels.get(Math.min(i + 1, last)), channels.get(i), config.layersPerBlock() + 1, groups, i > 0));
        midBlock = register_module("mid_block", new MidBlock(channels.get(last), groups, config.midBlockAttention()));
        normOut = register_module("conv_norm_out", Layers.groupNorm(groups, channels.get(0), ResnetBlock.NORM_EPS));
        convOut = register_module("conv_out", Layers.conv2d(channels.get(0), config.outChannels(), 3, 1, 1, true));
    }

    Tensor forward(Tensor rawLatents) {
        Tensor x = midBlock.forward(convIn.forward(rawLatents));
        for (UpBlock block : upBlocks) x = block.forward(x);
        return Activations.pass(x, h -> convOut.forward(silu_(normOut.forward(h))));
    }

    /** The residual blocks of one resolution, then the step to twice of it. */
    private static final class UpBlock extends Module {
        private final ModuleArray<ResnetBlock> resnets;
        private final Upsample upsample; // null at the highest resolution

        UpBlock(int in, int out, int layers, int normNumGroups, boolean twice) {
            resnets = new ModuleArray<>(this, "resnets");
            for (int i = 0; i < layers; i++) resnets.add(new ResnetBlock(i == 0 ? in : out, out, normNumGroups));
            upsample = twice ? new ModuleArray<Upsample>(this, "upsamplers").add(new Upsample(out)) : null;
        }

        /** Consumes {@code x}. */
        Tensor forward(Tensor x) {
            for (ResnetBlock resnet : resnets) x = Activations.pass(x, resnet::forward);
            return upsample == null ? x : Activations.pass(x, upsample::forward);
        }
    }

    /** Every pixel becomes four, then a 3×3 convolution. */
    private static final class Upsample extends Module {
        private final Conv2dImpl conv;

        Upsample(int channels) {
            conv = register_module("conv", Layers.conv2d(channels, channels, 3, 1, 1, true));
        }

        Tensor forward(Tensor x) {
            return conv.forward(upsample_nearest2d(x, 2 * x.size(2), 2 * x.size(3)));
        }
    }
}
