package org.dit4j.eval;

import java.io.IOException;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** The pictures of a set that are nearest to others by their features: whether a model repeats what it was trained on. */
public final class Nearest {
    private Nearest() {}

    /**
     * For each of the first {@code samples} the numbers of its {@code k} nearest in the reference, the nearest first.
     *
     * @throws IllegalArgumentException if there are not as many, or features are not of one kind
     */
    public static long[][] of(FeatureSet sample, FeatureSet reference, int samples, int k) throws IOException {
        if (!sample.origin().space().equals(reference.origin().space()))
            throw new IllegalArgumentException(
                    "features of another kind: " + sample.origin().space().text() + " and "
                            + reference.origin().space().text());
        if (samples < 1 || samples > sample.count() || k < 1 || k > reference.count())
            throw new IllegalArgumentException("the " + k + " nearest of " + reference.count() + " pictures to "
                    + samples + " of " + sample.count());
        long[][] nearest = new long[samples][k];
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = sample.first(Tap.FEATURES, samples), y = reference.first(Tap.FEATURES, reference.count());
            Distances.squared(x, y, (first, squares) -> {
                T_TensorTensor_T found = torch.topk(squares, k, 1, false, true);
                long[] numbers = Tensors.toLongs(found.get1());
                for (int i = 0; i < squares.size(0); i++)
                    System.arraycopy(numbers, i * k, nearest[(int) first + i], 0, k);
            });
        }
        return nearest;
    }
}
