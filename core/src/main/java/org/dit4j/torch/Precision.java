package org.dit4j.torch;

import java.util.function.Supplier;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What a network computes in. */
public enum Precision {
    /** Weights and products in float32. */
    FP32,
    /** Weights in float32, matrix products in bfloat16. */
    AUTOCAST,
    /** Weights and products in bfloat16. */
    BF16;

    /** The dtype of a network's weights. */
    public ScalarType weights() {
        return this == BF16 ? ScalarType.BFloat16 : ScalarType.Float;
    }

    /** Runs {@code body} with its products in this precision; the tensors that it takes must have the dtype of {@link #weights}. */
    public <T> T compute(DeviceType device, Supplier<T> body) {
        if (this != AUTOCAST) return body.get();
        try (Autocast autocast = new Autocast(device)) {
            return body.get();
        }
    }
}
