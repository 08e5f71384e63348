package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

class ModuleArrayTest {
    /** Keeps the layer but not the array, as an owner may whose forward pass has no loop. */
    private static final class Owner extends Module {
        final LinearImpl layer = new ModuleArray<LinearImpl>(this, "mlp").put("2", Layers.linear(3, 4));
    }

    @Test
    void modulesBelowAnArrayAreNamedByIt() {
        try (TensorScope scope = new TensorScope()) {
            assertEquals(
                    java.util.List.of("mlp.2.weight", "mlp.2.bias"),
                    java.util.List.copyOf(StateDict.of(new Owner()).keySet()));
        }
    }

    @Test
    void anArrayThatNobodyHoldsOutlivesGarbageCollection() throws InterruptedException {
        Backend.load();
        try (Owner owner = new Owner()) {
            for (int i = 0; i < 5; i++) {
                System.gc();
                Thread.sleep(20);
            }
            owner.to(ScalarType.Double, false); // LibTorch walks through the array
            assertEquals(ScalarType.Double, Tensors.dtype(owner.layer.weight()));
        }
    }
}
