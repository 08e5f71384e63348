package org.dit4j.sample;

import org.bytedeco.pytorch.Tensor;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Where a solver's noise comes from. */
@FunctionalInterface
public interface StepNoise {
    /**
     * Normal noise for a solver's step, asked for once the network has been called.
     *
     * @param step from 0, the noisiest
     * @param x (N, C, H, W) the latents
     * @return (N, C, H, W) float32 on their device, in the scope around the call
     */
    Tensor draw(int step, Tensor x);

    /** Told instead of {@link #draw} where a step uses no noise; numbers that are drawn in order must be drawn all the same. */
    default void skip(int step, Tensor x) {}

    /**
     * The default: the noise of row i depends on (seed, indices[i], step) alone, so that an image is the same whatever else is in its batch.
     *
     * @param indices of the images, one for each row
     */
    static StepNoise byIndex(long seed, long... indices) {
        return (step, x) -> {
            if (x.size(0) != indices.length)
                throw new IllegalArgumentException(
                        "noise for " + indices.length + " images, but the latents are " + Tensors.shape(x));
            return TensorScope.local(() -> KernelLookup.of(x)
                    .normal(seed, Purpose.SAMPLE_STEP, step, indices, x.device(), x.size(1), x.size(2), x.size(3)));
        };
    }
}
