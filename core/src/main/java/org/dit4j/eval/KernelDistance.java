package org.dit4j.eval;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * KID, Bińkowski et al. (2018), <i>Demystifying MMD GANs</i>: the unbiased estimate of the squared maximum mean discrepancy by the kernel
 * (x · y / D + 1)³. Small values may be negative.
 *
 * @param mean over the subsets
 * @param deviation over the subsets, of the population; 0 where there is one
 * @param subsets their number
 * @param subsetSize pictures of each set in a subset
 */
public record KernelDistance(double mean, double deviation, int subsets, long subsetSize) {
    /** As papers have it. */
    public static final int PUBLISHED_SUBSETS = 100, PUBLISHED_SUBSET_SIZE = 1000;

    /**
     * Of all pictures at once, in float64.
     *
     * @param a (N, D)
     * @param b (M, D)
     * @throws IllegalArgumentException if a set has not two pictures, or they are not of one D
     */
    public static double of(Tensor a, Tensor b) {
        Distances.requireComparable(a, b);
        long n = a.size(0), m = b.size(0);
        if (Math.min(n, m) < 2)
            throw new IllegalArgumentException("KID of " + n + " and " + m + " pictures; at least 2 of each");
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            double withinA = kernelSum(a, a) - diagonalSum(a), withinB = kernelSum(b, b) - diagonalSum(b);
            return withinA / n / (n - 1) + withinB / m / (m - 1) - 2 * kernelSum(a, b) / n / m;
        }
    }

    /**
     * The mean over random subsets, drawn without putting back.
     *
     * @param size of each subset of each set; at most all
     */
    public static KernelDistance ofSubsets(Tensor a, Tensor b, int subsets, int size, long seed) {
        Distances.requireComparable(a, b);
        if (subsets < 1 || size < 2 || size > Math.min(a.size(0), b.size(0)))
            throw new IllegalArgumentException("KID by " + subsets + " subsets of " + size + " of " + a.size(0)
                    + " and " + b.size(0) + " pictures; at least one subset, of 2 to "
                    + Math.min(a.size(0), b.size(0)));
        double sum = 0, squares = 0;
        for (int i = 0; i < subsets; i++) {
            try (TensorScope scope = new TensorScope()) {
                double value = of(chosen(a, size, seed, 2 * i), chosen(b, size, seed, 2 * i + 1));
                sum += value;
                squares += value * value;
            }
        }
        double mean = sum / subsets;
        return new KernelDistance(mean, Math.sqrt(Math.max(0, squares / subsets - mean * mean)), subsets, size);
    }

    /** The first steps of a shuffle. */
    private static Tensor chosen(Tensor set, int size, long seed, int number) {
        int all = Math.toIntExact(set.size(0));
        long[] order = new long[all];
        for (int i = 0; i < all; i++) order[i] = i;
        for (int i = 0; i < size; i++) {
            int other = i + Noise.below(all - i, seed, Purpose.DATA_ORDER, ((long) number << 32) + i);
            long picked = order[other];
            order[other] = order[i];
            order[i] = picked;
        }
        return set.index_select(0, Tensors.of(java.util.Arrays.copyOf(order, size), size));
    }

    private static double kernelSum(Tensor a, Tensor b) {
        double[] sum = {0};
        Distances.products(
                a,
                b,
                (first, products) -> sum[0] += kernel(products, a.size(1)).sum().item_double());
        return sum[0];
    }

    private static double diagonalSum(Tensor a) {
        try (TensorScope scope = new TensorScope()) {
            return kernel(Distances.squaredNorms(a), a.size(1)).sum().item_double();
        }
    }

    private static Tensor kernel(Tensor products, long width) {
        return products.div_(new Scalar((double) width)).add_(new Scalar(1.0)).pow(new Scalar(3));
    }
}
