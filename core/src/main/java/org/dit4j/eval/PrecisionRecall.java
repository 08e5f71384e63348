package org.dit4j.eval;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Kynkäänniemi et al. (2019), <i>Improved Precision and Recall Metric for Assessing Generative Models</i>. Around each picture of a set lies a
 * ball that reaches to its k-th nearest neighbour in the set.
 *
 * @param precision share of the samples that lie in a ball of the reference
 * @param recall share of the reference that lies in a ball of the samples
 * @param k neighbours
 */
public record PrecisionRecall(double precision, double recall, int k) {
    /** As papers have it. */
    public static final int PUBLISHED_K = 3;

    /** Rounding of a distance, as a part of the squares that it is the difference of. */
    private static final double SLACK = 1e-12;

    /**
     * Distances are computed in float64, a block at a time.
     *
     * @param sample (N, D)
     * @param reference (M, D)
     * @throws IllegalArgumentException if a set has not more than k pictures, or they are not of one D
     */
    public static PrecisionRecall of(Tensor sample, Tensor reference, int k) {
        Distances.requireComparable(sample, reference);
        if (k < 1) throw new IllegalArgumentException("k is " + k + "; at least 1");
        if (Math.min(sample.size(0), reference.size(0)) <= k)
            throw new IllegalArgumentException("precision and recall by " + k + " neighbours of " + sample.size(0)
                    + " samples and a reference of " + reference.size(0) + "; each needs more than " + k);
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor sampleReach = reach(sample, k), referenceReach = reach(reference, k);
            Tensor covered = Tensors.empty(ScalarType.Bool, reference.size(0)).zero_();
            long[] inside = {0};
            Distances.squared(sample, reference, (first, squares) -> {
                inside[0] += squares.le(referenceReach).any(1).sum().item_long();
                Tensor reaches = sampleReach.narrow(0, first, squares.size(0)).unsqueeze(1);
                covered.logical_or_(squares.le(reaches).any(0));
            });
            return new PrecisionRecall(
                    (double) inside[0] / sample.size(0), (double) covered.sum().item_long() / reference.size(0), k);
        }
    }

    /** (N) squares of the radii; the picture itself is the nearest, at distance 0. */
    private static Tensor reach(Tensor set, int k) {
        return TensorScope.local(() -> {
            Tensor reach = Tensors.empty(ScalarType.Double, set.size(0));
            Distances.squared(
                    set,
                    set,
                    (first, squares) -> reach.narrow(0, first, squares.size(0))
                            .copy_(squares.kthvalue(k + 1, 1, false).get0()));
            // a tie counts as inside
            return reach.add_(Distances.squaredNorms(set), new Scalar(SLACK));
        });
    }
}
