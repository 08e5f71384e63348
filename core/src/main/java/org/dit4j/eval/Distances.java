package org.dit4j.eval;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** All pairs of two sets of features, a block of rows at a time: of 50,000 pictures they would be 20 GB. */
final class Distances {
    /** Rows, and columns, that are in memory as float64 at once. */
    private static final int ROWS = 500, COLUMNS = 5000;

    private Distances() {}

    /** Sees (n, M) float64 of the rows from {@code first} on. */
    interface Rows {
        void accept(long first, Tensor values);
    }

    /** @throws IllegalArgumentException unless both are (N, D) of one D */
    static void requireComparable(Tensor a, Tensor b) {
        if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(1))
            throw new IllegalArgumentException("features are (N, D) of one D, given " + Tensors.shape(a) + " and "
                    + Tensors.shape(b) + "; they are of other networks or layers");
    }

    /** xᵢ · yⱼ. */
    static void products(Tensor x, Tensor y, Rows rows) {
        forEach(x, y, false, rows);
    }

    /** |xᵢ − yⱼ|², of which rounding may make something small and negative. */
    static void squared(Tensor x, Tensor y, Rows rows) {
        forEach(x, y, true, rows);
    }

    /** (N) float64, in the scope around the call. */
    static Tensor squaredNorms(Tensor x) {
        return TensorScope.local(() -> {
            Tensor norms = Tensors.empty(ScalarType.Double, x.size(0));
            for (long from = 0; from < x.size(0); from += COLUMNS) {
                long first = from, count = Math.min(COLUMNS, x.size(0) - from);
                try (TensorScope scope = new TensorScope()) {
                    Tensor block = part(x, first, count);
                    norms.narrow(0, first, count).copy_(block.mul(block).sum(1));
                }
            }
            return norms;
        });
    }

    private static Tensor part(Tensor x, long from, long count) {
        return x.narrow(0, from, count).to(ScalarType.Double);
    }

    private static void forEach(Tensor x, Tensor y, boolean squared, Rows rows) {
        try (TensorScope all = new TensorScope()) {
            Tensor xNorms = squared ? squaredNorms(x) : null, yNorms = squared ? squaredNorms(y) : null;
            for (long from = 0; from < x.size(0); from += ROWS) {
                long first = from, count = Math.min(ROWS, x.size(0) - from);
                try (TensorScope scope = new TensorScope()) {
                    Tensor block = part(x, first, count);
                    Tensor values = products(block, y);
                    if (squared)
                        values.mul_(new Scalar(-2.0))
                                .add_(yNorms)
                                .add_(xNorms.narrow(0, first, count).unsqueeze(1));
                    rows.accept(first, values);
                }
            }
        }
    }

    private static Tensor products(Tensor block, Tensor y) {
        Tensor values = Tensors.empty(ScalarType.Double, block.size(0), y.size(0));
        for (long from = 0; from < y.size(0); from += COLUMNS) {
            try (TensorScope scope = new TensorScope()) {
                long count = Math.min(COLUMNS, y.size(0) - from);
                values.narrow(1, from, count)
                        .copy_(block.matmul(part(y, from, count).t()));
            }
        }
        return values;
    }
}
