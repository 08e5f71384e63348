package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/** A reverse process whose steps are draws from normal distributions (Ho et al. 2020). */
public interface AncestralProcess extends ReverseProcess {
    /**
     * p(x(t−1) | x(t)) that a prediction for {@code x} stands for.
     *
     * @param clip whether the predicted x0 is clamped to [−1, 1], which suits pixels and not latents
     */
    Moments pMeanVariance(Tensor prediction, Tensor x, Tensor indices, boolean clip);

    /** One draw from {@code p}, made from normal noise (N, C, H, W); at index 0 its mean. */
    Tensor ancestralStep(Moments p, Tensor indices, Tensor noise);
}
