package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.dit4j.torch.Precision;
import org.junit.jupiter.api.Test;

class DeterministicTest {
    @Test
    void whatChoosesItsAlgorithmsByTimeCannotPromiseItsBits() {
        Failure refused = assertThrows(Failure.class, () -> Training.requireRepeatable(Precision.BF16, true));
        assertEquals(ExitCode.USAGE, refused.exitCode);
        assertDoesNotThrow(() -> Training.requireRepeatable(Precision.BF16, false));
        assertDoesNotThrow(() -> Training.requireRepeatable(Precision.AUTOCAST, true));
        assertDoesNotThrow(() -> Training.requireRepeatable(Precision.FP32, true));
    }
}
