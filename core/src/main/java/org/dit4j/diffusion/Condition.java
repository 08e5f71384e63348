package org.dit4j.diffusion;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** What a batch of images is to show: a class for each row, or nothing. Owns no tensor. */
public final class Condition {
    private final Tensor labels;
    private final long size;

    private Condition(Tensor labels, long size) {
        this.labels = labels;
        this.size = size;
    }

    /** A class for each row: (N) int64 on the network's device, the caller's to keep and to close. */
    public static Condition of(Tensor labels) {
        if (labels.dim() != 1)
            throw new IllegalArgumentException("labels are " + Tensors.shape(labels) + "; (N), one class for each row");
        return new Condition(labels, labels.size(0));
    }

    /** Nothing, for {@code size} rows of a network without classes. */
    public static Condition unconditional(long size) {
        return new Condition(null, size);
    }

    /** (N) int64, or null where the rows are unconditional. */
    public Tensor labels() {
        return labels;
    }

    /** The number of rows. */
    public long size() {
        return size;
    }

    /**
     * These rows, then as many of the null label: 2N rows in the scope around the call.
     *
     * @throws IllegalStateException if the rows have no labels
     */
    public Condition andNull(long nullLabel) {
        if (labels == null)
            throw new IllegalStateException("guidance needs labels, and these rows are unconditional; use scale 1");
        return new Condition(
                TensorScope.local(
                        () -> Tensors.cat(0, labels, labels.mul(new Scalar(0)).add(new Scalar(nullLabel)))),
                2 * size);
    }
}
