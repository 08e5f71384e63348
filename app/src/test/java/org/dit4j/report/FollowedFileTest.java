package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.dit4j.report.FollowedFile.Lines;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FollowedFileTest {
    @TempDir
    private Path folder;

    private void append(String text) throws IOException {
        Files.writeString(folder.resolve("f"), text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    @Test
    void linesComeOnceAndWhole() throws IOException {
        FollowedFile file = new FollowedFile(folder.resolve("f"));
        assertEquals(new Lines(false, List.of()), file.poll());
        append("a\nb");
        assertEquals(new Lines(false, List.of("a")), file.poll());
        assertEquals(new Lines(false, List.of()), file.poll());
        append("c\nd\n");
        assertEquals(new Lines(false, List.of("bc", "d")), file.poll());
    }

    @Test
    void aFileThatWasCutBackComesAnewHoweverLongItIsNow() throws IOException {
        for (String now : List.of("a\n", "a\nB\nc\nd\n", "a\nB\nc\n", "")) {
            Files.deleteIfExists(folder.resolve("f"));
            FollowedFile file = new FollowedFile(folder.resolve("f"));
            append("a\nb\nx\n");
            file.poll();
            Files.writeString(folder.resolve("f"), now);
            assertEquals(new Lines(true, now.lines().toList()), file.poll(), now);
        }
        FollowedFile file = new FollowedFile(folder.resolve("f"));
        append("a\n");
        file.poll();
        Files.delete(folder.resolve("f"));
        assertEquals(new Lines(true, List.of()), file.poll());
    }

    @Test
    void theLastLineThatIsJsonIsFound() throws IOException {
        Path path = folder.resolve("f");
        assertTrue(FollowedFile.lastJson(path).isMissingNode());
        append("{\"step\":1}\n{\"step\":2}\nnone\n{\"ste");
        assertEquals(2, FollowedFile.lastJson(path).path("step").asInt());
    }
}
