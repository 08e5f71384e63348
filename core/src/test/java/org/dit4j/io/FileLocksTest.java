package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dit4j.io.FileLocks.Attempt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FileLocksTest {
    @TempDir
    private Path folder;

    private FileChannel open(Path file) throws IOException {
        return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    @Test
    void oneHasTheLockAndTheOtherSeesIt() throws IOException {
        Path file = folder.resolve("lock");
        try (FileChannel first = open(file)) {
            assertEquals(Attempt.TAKEN, FileLocks.tryLock(file, first, false));
            try (FileChannel second = open(file)) {
                assertEquals(Attempt.HELD, FileLocks.tryLock(file, second, false));
                assertTrue(FileLocks.isHeld(file, second, 0, 1));
            }
        }
        try (FileChannel third = open(file)) {
            assertFalse(FileLocks.isHeld(file, third, 0, 1));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"Function not implemented", "No locks available", "Invalid argument"})
    void whereThereAreNoLocksTheWorkGoesOn(String words) throws IOException {
        Path file = folder.resolve("lock");
        assertEquals(Attempt.UNSUPPORTED, FileLocks.tryLock(file, new PoorFile(words), false));
        assertFalse(FileLocks.isHeld(file, new PoorFile(words), 0, 1));
        assertFalse(FileLocks.isSupported(file, new PoorFile(words)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"Function not implemented", "Operation not supported", "Invalid argument"})
    void whereNothingIsForcedTheWorkGoesOn(String words) throws IOException {
        Durable.force(folder.resolve("file"), new PoorFile(words));
    }

    @ParameterizedTest
    @ValueSource(strings = {"Input/output error", "No space left on device"})
    void aDiskThatFailsIsNotMistakenForOne(String words) {
        assertThrows(IOException.class, () -> Durable.force(folder.resolve("file"), new PoorFile(words)));
    }
}
