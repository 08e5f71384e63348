package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunLockTest {
    @TempDir
    private Path folder;

    @Test
    void theHolderIsNamedAsLongAsItHoldsTheLock() throws IOException {
        RunFolder run = new RunFolder(folder);
        OptionalLong us = OptionalLong.of(ProcessHandle.current().pid());
        assertEquals(OptionalLong.empty(), RunLock.holder(run));
        for (int i = 0; i < 2; i++) {
            try (RunLock lock = RunLock.take(run)) {
                assertEquals(us, RunLock.holder(run));
                assertThrows(IllegalArgumentException.class, () -> RunLock.take(run));
                assertEquals(us, RunLock.holder(new RunFolder(folder.resolve("../" + folder.getFileName()))));
            }
            assertEquals(OptionalLong.empty(), RunLock.holder(run));
        }
    }
}
