package org.dit4j.model;

import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Layers;

/** Patchify: a linear map of each p × p patch to a token, stored as the convolution that it is in the reference. */
public final class PatchEmbed extends Module {
    private final Conv2dImpl proj;

    PatchEmbed(int patchSize, int inChannels, int hiddenSize) {
        proj = register_module("proj", Layers.conv2d(inChannels, hiddenSize, patchSize, patchSize, 0, true));
    }

    Conv2dImpl proj() {
        return proj;
    }

    /** (N, C, H, W) → (N, h·w, D), tokens in row-major order. */
    public Tensor forward(Tensor x) {
        return proj.forward(x).flatten(2, -1).transpose(1, 2);
    }
}
