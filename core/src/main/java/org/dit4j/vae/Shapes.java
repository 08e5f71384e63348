package org.dit4j.vae;

import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Tensors;

/** The checks that every codec makes of what it is given. */
final class Shapes {
    private Shapes() {}

    static void requireImages(Tensor images, int channels, int downsampling) {
        if (images.dim() != 4
                || images.size(0) < 1
                || images.size(1) != channels
                || images.size(2) < downsampling
                || images.size(3) < downsampling
                || images.size(2) % downsampling != 0
                || images.size(3) % downsampling != 0)
            throw new IllegalArgumentException("images are " + Tensors.shape(images) + "; this autoencoder takes (N, "
                    + channels + ", H, W) with H and W multiples of " + downsampling);
        requireFloating("images", images, "x / 127.5 - 1 of the bytes");
    }

    static void requireLatents(Tensor latents, int channels) {
        if (latents.dim() != 4
                || latents.size(0) < 1
                || latents.size(1) != channels
                || latents.size(2) < 1
                || latents.size(3) < 1)
            throw new IllegalArgumentException(
                    "latents are " + Tensors.shape(latents) + "; this autoencoder takes (N, " + channels + ", h, w)");
        requireFloating("latents", latents, "scaled latents");
    }

    private static void requireFloating(String what, Tensor tensor, String wanted) {
        if (!tensor.is_floating_point())
            throw new IllegalArgumentException(
                    what + " are of type " + tensor.scalar_type() + "; give floating-point numbers, " + wanted);
    }
}
