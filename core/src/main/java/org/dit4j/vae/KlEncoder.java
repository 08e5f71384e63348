package org.dit4j.vae;

import static org.bytedeco.pytorch.global.torch.constant_pad_nd;
import static org.bytedeco.pytorch.global.torch.silu_;

import java.util.List;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.GroupNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Layers;
import org.dit4j.torch.ModuleArray;

/** (N, 3, H, W) images → (N, 2C, h, w) moments, before the 1×1 convolution over them. */
final class KlEncoder extends Module {
    final Conv2dImpl convIn, convOut;
    final ModuleArray<DownBlock> downBlocks;
    final MidBlock midBlock;
    final GroupNormImpl normOut;

    KlEncoder(AutoencoderKlConfig config) {
        List<Integer> channels = config.blockOutChannels();
        int groups = config.normNumGroups(), last = channels.size() - 1;
        convIn = register_module("conv_in", Layers.conv2d(config.inChannels(), channels.get(0), 3, 1, 1, true));
        downBlocks = new ModuleArray<>(this, "down_blocks");
        for (int i = 0; i <= last; i++)
            downBlocks.add(new DownBlock(
                    channels.get(Math.max(i - 1, 0)), channels.get(i), config.layersPerBlock(), groups, i < last));
        midBlock = register_module("mid_block", new MidBlock(channels.get(last), groups, config.midBlockAttention()));
        normOut = register_module("conv_norm_out", Layers.groupNorm(groups, channels.get(last), ResnetBlock.NORM_EPS));
        convOut = register_module(
                "conv_out", Layers.conv2d(channels.get(last), 2L * config.latentChannels(), 3, 1, 1, true));
    }

    Tensor forward(Tensor images) {
        Tensor x = convIn.forward(images);
        for (DownBlock block : downBlocks) x = block.forward(x);
        x = midBlock.forward(x);
        return Activations.pass(x, h -> convOut.forward(silu_(normOut.forward(h))));
    }

    /** The residual blocks of one resolution, then the step to half of it. */
    static final class DownBlock extends Module {
        final ModuleArray<ResnetBlock> resnets;
        final Downsample downsample; // null at the lowest resolution

        DownBlock(int in, int out, int layers, int normNumGroups, boolean halve) {
            resnets = new ModuleArray<>(this, "resnets");
            for (int i = 0; i < layers; i++) resnets.add(new ResnetBlock(i == 0 ? in : out, out, normNumGroups));
            downsample = halve ? new ModuleArray<Downsample>(this, "downsamplers").add(new Downsample(out)) : null;
        }

        /** Consumes {@code x}. */
        Tensor forward(Tensor x) {
            for (ResnetBlock resnet : resnets) x = Activations.pass(x, resnet::forward);
            return downsample == null ? x : Activations.pass(x, downsample::forward);
        }
    }

    /** A 3×3 convolution with stride 2. */
    static final class Downsample extends Module {
        final Conv2dImpl conv;

        Downsample(int channels) {
            conv = register_module("conv", Layers.conv2d(channels, channels, 3, 2, 0, true));
        }

        Tensor forward(Tensor x) {
            // padded at the right and at the bottom only: with one pixel all round every output would be half a pixel
            // off
            return conv.forward(constant_pad_nd(x, 0, 1, 0, 1));
        }
    }
}
