package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.NativeObjects;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class FiniteTest {
    @ParameterizedTest
    @EnumSource(
            value = ScalarType.class,
            names = {"Float", "Double", "Half", "BFloat16", "Float8_e4m3fn", "Float8_e5m2", "ComplexFloat"})
    void whatIsNoNumberIsCountedInEveryDtype(ScalarType dtype) {
        try (TensorScope scope = new TensorScope()) {
            Tensor good = Tensors.of(new float[] {1, 2, -3}, 3).to(dtype);
            Tensor bad = Tensors.of(new float[] {1, Float.NaN, Float.NaN}, 3).to(dtype);
            assertDoesNotThrow(() -> Finite.requireWeights(Path.of("a.pt"), Map.of("w", good)));
            String message = assertThrows(
                            FormatException.class, () -> Finite.requireWeights(Path.of("a.pt"), Map.of("w", bad)))
                    .getMessage();
            assertTrue(message.startsWith("a.pt: w has 2 NaN or infinite numbers among its 3"), message);
            long before = NativeObjects.settled();
            assertThrows(IllegalStateException.class, () -> Finite.requirePictures(bad, "the pictures", ""));
            assertEquals(before, Pointer.totalCount());
        }
    }
}
