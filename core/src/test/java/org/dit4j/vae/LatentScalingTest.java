package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LatentScalingTest {
    @Test
    void latentsAreTheShiftedRawOnesTimesTheScale() {
        LatentScaling scaling = new LatentScaling(0.5, 3);
        try (TensorScope scope = new TensorScope()) {
            Tensor rawLatents = Tensors.of(new float[] {3, 5, -1}, 3);
            Backend.device("cpu"); // made once and kept
            long before = NativeObjects.settled();
            Tensor latents = scaling.toLatents(rawLatents);
            assertArrayEquals(new float[] {0, 1, -2}, Tensors.toFloats(latents));
            assertArrayEquals(new float[] {3, 5, -1}, Tensors.toFloats(scaling.toRawLatents(latents)));
            assertEquals(before + 2, Pointer.totalCount());
            assertArrayEquals(new float[] {3, 5, -1}, Tensors.toFloats(rawLatents), "the input stays");
        }
    }

    @Test
    void taesdsLatentsAreThoseTheTransformerSees() {
        assertEquals(new LatentScaling(1, 0), LatentScaling.TAESD);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
    void aScaleThatIsNoPositiveNumberIsRefused(double scale) {
        assertThrows(IllegalArgumentException.class, () -> new LatentScaling(scale, 0));
        assertThrows(IllegalArgumentException.class, () -> new LatentScaling(1, Double.NaN));
    }
}
