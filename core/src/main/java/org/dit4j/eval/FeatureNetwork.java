package org.dit4j.eval;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Pictures → features. It builds no graph for autograd, may be used by several threads at once, and frees all it makes but its result, which
 * belongs to the scope around the call.
 */
public interface FeatureNetwork extends AutoCloseable {
    /**
     * (N, 3, H, W) uint8, on any device → (N, D) float32 for each tap that this network has, on the network's device. The features of a picture
     * do not depend on the others but for the last bits, and not at all at one N.
     *
     * @throws IllegalArgumentException if the pictures are of another shape or type
     */
    Map<Tap, Tensor> features(Tensor pictures);

    /** What the features depend on. */
    FeatureSpace space();

    /** Frees the weights once nobody uses them any more; who asks later gets an {@link IllegalStateException}. */
    @Override
    void close();
}
