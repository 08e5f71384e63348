package org.dit4j.eval;

import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Mean and covariance of features, in float64: what Fréchet distances are between. */
public final class Gaussian {
    static {
        Backend.configure();
    }

    private final long count;
    private final double[] mean, covariance;

    /**
     * @param count of samples it is of; 0 where nobody knows
     * @param mean D numbers
     * @param covariance D · D numbers
     * @throws IllegalArgumentException if the sizes do not fit or there is something else than finite numbers
     */
    public Gaussian(long count, double[] mean, double[] covariance) {
        if (mean.length == 0 || (long) mean.length * mean.length != covariance.length)
            throw new IllegalArgumentException("a mean of " + mean.length + " numbers and a covariance of "
                    + covariance.length + "; it has the square of the mean's");
        if (!Arrays.stream(mean).allMatch(Double::isFinite)
                || !Arrays.stream(covariance).allMatch(Double::isFinite))
            throw new IllegalArgumentException("statistics with numbers that are not finite");
        this.count = count;
        this.mean = mean.clone();
        this.covariance = covariance.clone();
    }

    /** Samples it is of; 0 where nobody knows. */
    public long count() {
        return count;
    }

    /** D. */
    public int width() {
        return mean.length;
    }

    /** (D) float64, in the scope around the call. */
    public Tensor mean() {
        return Tensors.of(mean, mean.length);
    }

    /** (D, D) float64, in the scope around the call. */
    public Tensor covariance() {
        return Tensors.of(covariance, mean.length, mean.length);
    }

    /** Whether all numbers are the same. */
    public boolean hasSameNumbers(Gaussian other) {
        return Arrays.equals(mean, other.mean) && Arrays.equals(covariance, other.covariance);
    }

    /**
     * Takes features block by block. Means and products are of each block's deviations from its own mean, and blocks are put together as Chan,
     * Golub and LeVeque (1979) do, so that nothing cancels; the same blocks in the same order give the same bits.
     */
    public static final class Fit implements AutoCloseable {
        private final int width;
        private final Tensor mean, scatter;
        private final Lifetime lifetime = new Lifetime("this fit", this::free);
        private long count;

        /** Of no samples yet, of {@code width} features each. */
        public Fit(int width) {
            if (width < 1) throw new IllegalArgumentException("width is " + width + "; at least 1");
            this.width = width;
            mean = zeros(width);
            scatter = zeros(width, width);
        }

        private static Tensor zeros(long... shape) {
            return TensorScope.keeping(
                    () -> Tensors.empty(ScalarType.Double, shape).zero_());
        }

        /** Takes (N, D) features of any floating type. */
        public void add(Tensor features) {
            lifetime.use(() -> {
                addNow(features);
                return null;
            });
        }

        private void addNow(Tensor features) {
            if (features.dim() != 2 || features.size(1) != width)
                throw new IllegalArgumentException("features are (N, " + width + "), given " + Tensors.shape(features));
            if (features.size(0) == 0) return;
            try (TensorScope scope = new TensorScope()) {
                Tensor rows = features.detach().to(Backend.device("cpu"), ScalarType.Double, false, false, null);
                Tensor rowMean = rows.mean(0);
                Tensor deviations = rows.sub(rowMean);
                put(rows.size(0), rowMean, deviations.t().matmul(deviations));
            }
        }

        /** Takes what another has taken, as if it came after what is here. */
        public void add(Fit other) {
            if (other.width != width)
                throw new IllegalArgumentException("statistics of " + other.width + " features, here are " + width);
            if (other.count == 0) return;
            lifetime.use(() -> other.lifetime.use(() -> {
                try (TensorScope scope = new TensorScope()) {
                    put(other.count, other.mean, other.scatter);
                }
                return null;
            }));
        }

        private synchronized void put(long added, Tensor addedMean, Tensor addedScatter) {
            double total = count + added;
            Tensor step = addedMean.sub(mean);
            scatter.add_(addedScatter);
            scatter.addr_(step, step, new Scalar(1.0), new Scalar(count * (added / total)));
            mean.add_(step, new Scalar(added / total));
            count += added;
        }

        /**
         * Mean and covariance of N − 1.
         *
         * @throws IllegalStateException if there are not two samples
         */
        public Gaussian result() {
            if (count < 2)
                throw new IllegalStateException("a covariance of " + count + " samples; at least 2, and far more");
            return lifetime.use(() -> {
                try (TensorScope scope = new TensorScope()) {
                    // the product of a matrix with itself need not be symmetric to the last bit
                    Tensor covariance = scatter.add(scatter.t()).div_(new Scalar(2.0 * (count - 1)));
                    return new Gaussian(count, Tensors.toDoubles(mean), Tensors.toDoubles(covariance));
                }
            });
        }

        @Override
        public void close() {
            lifetime.close();
        }

        private void free() {
            mean.close();
            scatter.close();
        }
    }
}
