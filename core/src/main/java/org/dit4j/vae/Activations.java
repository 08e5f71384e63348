package org.dit4j.vae;

import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;

/** Keeps the memory of a chain of layers at one activation: in a full-size autoencoder one takes hundreds of megabytes. */
final class Activations {
    private Activations() {}

    /**
     * {@code layer(x)}; frees {@code x}, which nobody may need any more, and all else that the layer makes. Not for a layer in
     * place, whose result is {@code x} itself.
     */
    static Tensor pass(Tensor x, UnaryOperator<Tensor> layer) {
        Tensor y = TensorScope.local(() -> layer.apply(x));
        x.close();
        return y;
    }
}
