package org.dit4j.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;

class GaussianTest {
    private static Tensor features(int n, int d) {
        return torch.randn(n, d)
                .to(ScalarType.Double)
                .add(new Scalar(1000.0)); // far from 0, where squares would cancel
    }

    private static Gaussian of(Tensor features, int block) {
        try (Gaussian.Fit fit = new Gaussian.Fit((int) features.size(1))) {
            for (long from = 0; from < features.size(0); from += block)
                fit.add(features.narrow(0, from, Math.min(block, features.size(0) - from)));
            return fit.result();
        }
    }

    @Test
    void blocksOfAnySizeAndPartsPutTogetherGiveTheSame() {
        try (TensorScope scope = new TensorScope()) {
            Tensor features = features(300, 7);
            Gaussian whole = of(features, 300), small = of(features, 13);
            Tensor deviations = features.sub(features.mean(0));
            Tensor expected = deviations.t().matmul(deviations).div(new Scalar(299.0));
            assertTrue(Golden.relativeError(expected, whole.covariance()) < 1e-12);
            assertTrue(Golden.relativeError(whole.covariance(), small.covariance()) < 1e-12);
            assertTrue(Golden.relativeError(whole.mean(), small.mean()) < 1e-14);
            try (Gaussian.Fit left = new Gaussian.Fit(7);
                    Gaussian.Fit right = new Gaussian.Fit(7);
                    Gaussian.Fit empty = new Gaussian.Fit(7)) {
                left.add(features.narrow(0, 0, 100));
                right.add(features.narrow(0, 100, 200));
                left.add(right);
                left.add(empty);
                Gaussian merged = left.result();
                assertEquals(300, merged.count());
                assertTrue(Golden.relativeError(whole.covariance(), merged.covariance()) < 1e-12);
            }
            assertTrue(of(features, 13).hasSameNumbers(small), "the same blocks give the same bits");
        }
    }

    @Test
    void theDistanceIsNeverNegativeNorNoNumber() {
        try (TensorScope scope = new TensorScope()) {
            Tensor features = features(40, 60); // singular: fewer samples than dimensions
            Gaussian one = of(features, 40);
            Gaussian nearlyTheSame = of(features.add(new Scalar(1e-9)), 7);
            double distance = FrechetDistance.of(one, nearlyTheSame);
            assertTrue(distance >= 0 && distance < 1e-4, "" + distance);
            assertEquals(0, FrechetDistance.of(one, of(features, 40)));
            Gaussian point = new Gaussian(0, new double[] {1, 2}, new double[4]);
            Gaussian other = new Gaussian(0, new double[] {4, 6}, new double[4]);
            assertEquals(25, FrechetDistance.of(point, other), 1e-12);
        }
    }

    @Test
    void whatCannotBeComparedIsRefused() {
        Gaussian two = new Gaussian(0, new double[2], new double[4]);
        Gaussian three = new Gaussian(0, new double[3], new double[9]);
        assertTrue(assertThrows(IllegalArgumentException.class, () -> FrechetDistance.of(two, three))
                .getMessage()
                .contains("2 and of 3 features"));
        assertThrows(
                IllegalArgumentException.class, () -> new Gaussian(0, new double[] {Double.NaN}, new double[] {1}));
        assertThrows(IllegalArgumentException.class, () -> new Gaussian(0, new double[2], new double[3]));
        try (Gaussian.Fit fit = new Gaussian.Fit(2)) {
            assertThrows(IllegalStateException.class, fit::result);
        }
    }

    @Test
    void metricsLeaveNoMemoryBehind() {
        try (TensorScope scope = new TensorScope()) {
            Tensor a = torch.randn(50, 8), b = torch.randn(60, 8);
            long before = Pointer.totalCount();
            try (TensorScope ofTheTest = new TensorScope()) {
                of(a, 20);
                FrechetDistance.of(of(a, 50), of(b, 60));
                PrecisionRecall.of(a, b, 3);
                KernelDistance.of(a, b);
                KernelDistance.ofSubsets(a, b, 3, 10, 0);
                InceptionScore score = new InceptionScore(20);
                score.add(a);
                score.result();
            }
            assertEquals(before, Pointer.totalCount());
        }
    }

    @Test
    void kidIsTheUnbiasedEstimateOfItsDefinition() {
        try (TensorScope scope = new TensorScope()) {
            Tensor a = torch.randn(9, 4).to(ScalarType.Double),
                    b = torch.randn(7, 4).to(ScalarType.Double);
            double[] x = Tensors.toDoubles(a), y = Tensors.toDoubles(b);
            double expected = mean(x, x, 4, true) + mean(y, y, 4, true) - 2 * mean(x, y, 4, false);
            assertEquals(expected, KernelDistance.of(a, b), 1e-12);
            KernelDistance all = KernelDistance.ofSubsets(a, b.narrow(0, 0, 7), 1, 7, 3);
            assertEquals(0, all.deviation(), 1e-9);
            KernelDistance some = KernelDistance.ofSubsets(a, b, 50, 5, 3);
            assertEquals(some, KernelDistance.ofSubsets(a, b, 50, 5, 3));
            assertTrue(some.deviation() > 0);
            assertThrows(IllegalArgumentException.class, () -> KernelDistance.ofSubsets(a, b, 1, 8, 0));
        }
    }

    private static double mean(double[] x, double[] y, int d, boolean withoutItself) {
        double sum = 0;
        int n = x.length / d, m = y.length / d;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < m; j++) {
                if (withoutItself && i == j) continue;
                double dot = 0;
                for (int c = 0; c < d; c++) dot += x[i * d + c] * y[j * d + c];
                sum += Math.pow(dot / d + 1, 3);
            }
        return sum / n / (withoutItself ? m - 1 : m);
    }

    @Test
    void aSetCoversItself() {
        try (TensorScope scope = new TensorScope()) {
            Tensor a = torch.randn(30, 5);
            assertEquals(new PrecisionRecall(1, 1, 3), PrecisionRecall.of(a, a, 3));
            Tensor far = a.add(new Scalar(1000.0));
            assertEquals(new PrecisionRecall(0, 0, 3), PrecisionRecall.of(a, far, 3));
            Tensor copies = a.narrow(0, 0, 1).expand(5, 5); // balls of no size
            assertEquals(1, PrecisionRecall.of(copies, a, 3).precision());
            assertThrows(IllegalArgumentException.class, () -> PrecisionRecall.of(a.narrow(0, 0, 3), a, 3));
        }
    }
}
