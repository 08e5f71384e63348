package org.dit4j.vae;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/**
 * What lies between an autoencoder's numbers and the transformer's: latents = (rawLatents − shift) · scale, so that latents have a
 * standard deviation of about 1.
 */
public record LatentScaling(double scale, double shift) {
    static {
        Backend.configure();
    }

    /** Stable Diffusion 1 and 2, and with them the published DiTs (Rombach et al., 2022, appendix G). */
    public static final LatentScaling STABLE_DIFFUSION = new LatentScaling(0.18215, 0);

    /** TAESD, whose encoder was trained to give the scaled latents directly. */
    public static final LatentScaling TAESD = new LatentScaling(1, 0);

    /** @throws IllegalArgumentException if the scale is not a positive number or the shift is not a number */
    public LatentScaling {
        if (!(scale > 0 && Double.isFinite(scale)))
            throw new IllegalArgumentException("scale is " + scale + "; a positive number");
        if (!Double.isFinite(shift)) throw new IllegalArgumentException("shift is " + shift + "; a finite number");
    }

    /** The autoencoder's latents → those the transformer sees, of the same shape. */
    public Tensor toLatents(Tensor rawLatents) {
        return TensorScope.local(() -> rawLatents.sub(new Scalar(shift)).mul_(new Scalar(scale)));
    }

    /** The transformer's latents → those the autoencoder decodes, of the same shape. */
    public Tensor toRawLatents(Tensor latents) {
        return TensorScope.local(() -> latents.div(new Scalar(scale)).add_(new Scalar(shift)));
    }
}
