package org.dit4j.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Optional;
import org.dit4j.kernels.KernelLookup.Provider;
import org.junit.jupiter.api.Test;

class KernelLookupTest {
    private static final Kernels FAST = new AtenKernels();
    private static final Provider NONE = cuda -> Optional.empty(),
            ON_CUDA = cuda -> cuda ? Optional.of(FAST) : Optional.empty();

    @Test
    void theFirstProviderThatHasKernelsIsTaken() {
        assertSame(FAST, KernelLookup.find(true, "", List.of(NONE, ON_CUDA)));
        assertEquals(
                "aten", KernelLookup.find(false, "", List.of(NONE, ON_CUDA)).name());
    }

    @Test
    void thePlainKernelsCanBeAskedFor() {
        Kernels plain = KernelLookup.find(true, "aten", List.of(ON_CUDA));
        assertEquals(false, plain == FAST);
        assertThrows(IllegalArgumentException.class, () -> KernelLookup.find(true, "fast", List.of(ON_CUDA)));
    }
}
