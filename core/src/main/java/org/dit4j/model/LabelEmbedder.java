package org.dit4j.model;

import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Layers;

/** A learned vector for each class and, with label dropout, for the null label. Dropping labels is the trainer's work. */
public final class LabelEmbedder extends Module {
    private final EmbeddingImpl table;

    LabelEmbedder(int rows, int hiddenSize) {
        table = register_module("embedding_table", Layers.embedding(rows, hiddenSize));
    }

    EmbeddingImpl table() {
        return table;
    }

    /** (N) int64 labels → (N, D); what is (N, D) already, such as a point between two classes, stays. */
    public Tensor forward(Tensor labels) {
        return labels.dim() == 2 ? labels : table.forward(labels);
    }
}
