package org.dit4j.diffusion;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** What a batch of images is to show: a class for each row, a point between classes, or nothing. Owns no tensor. */
public final class Condition {
    private final Tensor labels;
    /** Of embedded rows (1, D), else null. */
    private final Tensor nullEmbedding;

    private final long size;

    private Condition(Tensor labels, Tensor nullEmbedding, long size) {
        this.labels = labels;
        this.nullEmbedding = nullEmbedding;
        this.size = size;
    }

    /** A class for each row: (N) int64 on the network's device, the caller's to keep and to close. */
    public static Condition of(Tensor labels) {
        if (labels.dim() != 1)
            throw new IllegalArgumentException("labels are " + Tensors.shape(labels) + "; (N), one class for each row");
        return new Condition(labels, null, labels.size(0));
    }

    /**
     * An embedding for each row, for example between those of two classes: (N, D) on the network's device, the caller's to keep and to
     * close.
     *
     * @param nullEmbedding (1, D), that of the null label, for guidance
     */
    public static Condition ofEmbeddings(Tensor embeddings, Tensor nullEmbedding) {
        if (embeddings.dim() != 2 || nullEmbedding.dim() != 2 || nullEmbedding.size(1) != embeddings.size(1))
            throw new IllegalArgumentException(
                    "embeddings are " + Tensors.shape(embeddings) + ", that of the null label "
                            + Tensors.shape(nullEmbedding) + "; (N, D), one for each row, and (1, D)");
        return new Condition(embeddings, nullEmbedding, embeddings.size(0));
    }

    /** Nothing, for {@code size} rows of a network without classes. */
    public static Condition unconditional(long size) {
        return new Condition(null, null, size);
    }

    /** What the network is given: (N) int64 labels, (N, D) embeddings, or null where the rows are unconditional. */
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
                TensorScope.local(() -> Tensors.cat(
                        0,
                        labels,
                        nullEmbedding == null
                                ? labels.mul(new Scalar(0)).add(new Scalar(nullLabel))
                                : nullEmbedding.expand_as(labels))),
                nullEmbedding,
                2 * size);
    }
}
