package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class BackendTest {
    private static int mostThreads() {
        return Math.max(openblas.blas_get_num_threads(), torch.get_num_threads());
    }

    private static int fewestThreads() {
        return Math.min(openblas.blas_get_num_threads(), torch.get_num_threads());
    }

    @Test
    void oneOfTheTwoThreadPoolsHasTheThreadsAndTheOtherStandsStill() {
        Backend.load();
        int before = mostThreads();
        try {
            for (int threads : new int[] {1, 2, 1, 3}) {
                Backend.setNumThreads(threads);
                assertEquals(threads, mostThreads());
                assertEquals(1, fewestThreads());
            }
        } finally {
            Backend.setNumThreads(before);
        }
    }

    @Test
    void noThreadsAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> Backend.setNumThreads(0));
    }
}
