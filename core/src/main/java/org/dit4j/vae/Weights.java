package org.dit4j.vae;

import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** What the codecs do alike with their weights. */
final class Weights {
    private Weights() {}

    /** {@code x} on the device and in the type of a layer's weights. */
    static Tensor like(Conv2dImpl layer, Tensor x) {
        return TensorScope.local(() -> {
            Tensor weight = layer.weight();
            return x.detach().to(weight.device(), weight.scalar_type(), false, false, null);
        });
    }

    static void requireComputable(ScalarType dtype) {
        ScalarType type = dtype.intern(); // what a tensor says is another object than the constant
        if (type != ScalarType.Float && type != ScalarType.BFloat16)
            throw new IllegalArgumentException("an autoencoder does not compute in " + dtype
                    + "; use Float or BFloat16 (its activations overflow Half)");
    }

    /** Gives the memory of all parameters back at once; the garbage collector would, some time. */
    static void free(Module module) {
        if (module.isNull()) return;
        try (TensorScope scope = new TensorScope()) {
            StateDict.of(module)
                    .values()
                    .forEach(parameter -> parameter.set_data(
                            Tensors.empty(parameter.scalar_type(), 0).to(parameter.device(), parameter.scalar_type())));
        }
    }
}
