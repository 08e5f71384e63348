package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.lang.ref.WeakReference;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

class ModuleArrayTest {
    static {
        Backend.configure();
    }

    private static final class Owner extends Module {
        private final LinearImpl layer;
        private final transient WeakReference<Object> array;

        Owner() {
            ModuleArray<LinearImpl> local = new ModuleArray<>(this, "layers");
            layer = local.put("1", Layers.linear(2, 3));
            array = new WeakReference<>(local);
        }
    }

    @Test
    void anOwnerNeedNotKeepTheArray() throws InterruptedException {
        Backend.load();
        Owner owner = new Owner();
        for (int i = 0; i < 50 && owner.array.get() != null; i++) {
            System.gc();
            Thread.sleep(10);
        }
        assertNull(owner.array.get());
        System.gc(); // what the array held
        owner.to(ScalarType.Double, false);
        assertEquals(ScalarType.Double, Tensors.dtype(owner.layer.weight()));
        try (TensorScope scope = new TensorScope()) {
            assertEquals(
                    "[layers.1.weight, layers.1.bias]",
                    StateDict.of(owner).keySet().toString());
        }
    }
}
