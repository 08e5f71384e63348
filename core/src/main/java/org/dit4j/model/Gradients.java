package org.dit4j.model;

import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;

/** LibTorch's backward pass from a tensor with a given gradient. */
final class Gradients {
    private Gradients() {}

    static void backward(Tensor output, Tensor gradient) {
        output.backward(gradient, new BoolOptional(false), false, new TensorArrayRefOptional());
    }

    static void backwardKeepingGraph(Tensor output, Tensor gradient) {
        output.backward(gradient, new BoolOptional(true), false, new TensorArrayRefOptional());
    }
}
