package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.run.RunFolder;
import org.dit4j.train.ValidationLosses;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardTest {
    @TempDir
    private Path folder;

    @Test
    void whatCannotBeWrittenIsToldOnceAndTriedAgain() throws IOException {
        Path run = folder.resolve("run");
        List<String> messages = new ArrayList<>();
        try (TensorBoard board = new TensorBoard(new RunFolder(run), 0, "seed: 1\n", false, messages::add)) {
            for (int step = 1; step <= 3; step++) board.onValidation(null, losses(step));
            assertEquals(1, messages.size(), messages.toString());
            assertTrue(messages.get(0).startsWith("Nothing for TensorBoard at step 1: "), messages.get(0));
            Files.createDirectory(run);
            board.onValidation(null, losses(4));
            assertEquals(1, messages.size(), messages.toString());
        }
        try (Stream<Path> files = Files.list(run)) {
            assertEquals(1, files.count());
        }
    }

    private static ValidationLosses losses(int step) {
        return new ValidationLosses(step, 0.5, List.of(0.4, Double.NaN), 1000, 8, Instant.now(), 0.1);
    }
}
