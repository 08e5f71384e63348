package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TensorScopeTest {
    @BeforeAll
    static void warmUp() {
        Tensors.of(new float[] {1}, 1).close();
        Backend.device("cpu"); // made once and kept
    }

    @Test
    void theCounterOfNativeObjectsSeesATensorAndItsEnd() {
        long before = NativeObjects.settled();
        try (TensorScope scope = new TensorScope()) {
            Tensors.of(new float[] {1, 2}, 2);
            assertTrue(Pointer.totalCount() > before, "the counter is blind, so no leak test means anything");
        }
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void aLocalResultBelongsToTheScopeAround() {
        long before = NativeObjects.settled();
        Tensor result;
        try (TensorScope outer = new TensorScope()) {
            result = TensorScope.local(() -> Tensors.of(new float[] {1, 2}, 2).add(Tensors.of(new float[] {3, 4}, 2)));
            assertEquals(before + 1, Pointer.totalCount());
            assertArrayEquals(new float[] {4, 6}, Tensors.toFloats(result));
        }
        assertTrue(result.isNull());
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void aKeptResultIsTheCallersToClose() {
        long before = NativeObjects.settled();
        Tensor kept;
        try (TensorScope outer = new TensorScope()) {
            kept = TensorScope.keeping(() -> Tensors.of(new float[] {1, 2}, 2));
        }
        assertFalse(kept.isNull());
        kept.close();
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void withoutAnyScopeAResultIsTheCallersToClose() {
        long before = NativeObjects.settled();
        Tensor tensor = Tensors.of(new float[] {1, 2}, 2);
        assertEquals(before + 1, Pointer.totalCount());
        tensor.close();
        assertEquals(before, Pointer.totalCount());
    }
}
