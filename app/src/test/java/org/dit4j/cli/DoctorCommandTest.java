package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dit4j.doctor.Finding;
import org.dit4j.doctor.Finding.Area;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DoctorCommandTest {
    @TempDir
    private Path folder;

    @Test
    void everyLineIsOkWarnOrFailWithTheCureBelow() throws IOException {
        TestFiles.idx(folder.resolve("idx"), 8, 32, 32, 2);
        CommandRun run = CommandRun.of(
                "doctor", "--results-dir=" + folder.resolve("results"), "--data-path=" + folder.resolve("idx"));
        assertEquals("", run.err());
        List<String> lines = run.out().lines().toList();
        for (String line : lines.subList(0, lines.size() - 1))
            assertTrue(line.matches("(OK  |WARN|FAIL)  .{10}  .+|\\s+→ .+"), line);
        assertTrue(lines.get(lines.size() - 1).matches("\\d+ OK, \\d+ WARN, \\d+ FAIL in .* s"), run.out());
        assertTrue(run.out().contains("OK    data        "), run.out());
        assertTrue(run.out().contains("OK    model cpu   a training step took"), run.out());
        assertTrue(Files.notExists(folder.resolve("results")), "nothing stays there");
    }

    @Test
    void whatFailsDecidesTheExitCode() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        CommandRun run = CommandRun.of("doctor", "--json", "--results-dir=" + file);
        assertEquals(ExitCode.USAGE.code, run.exitCode(), run.out());
        JsonNode result = new ObjectMapper().readTree(run.out());
        assertEquals(false, result.get("works").asBoolean(true));
        assertTrue(run.out().contains("is a file, not a folder\",\"cure\":\"name another folder\""), run.out());
        CommandRun data = CommandRun.of("doctor", "--data-path=" + folder.resolve("nowhere"));
        assertEquals(ExitCode.DATA.code, data.exitCode(), data.out());
        assertTrue(data.out().contains("FAIL  data"), data.out());

        Finding machine = Finding.fail("gpu", Area.MACHINE, "too old", "a newer one");
        Finding memory = Finding.fail("memory", Area.MEMORY, "little", "more");
        Finding disk = Finding.fail("temp", Area.DISK, "little", "more");
        assertEquals(ExitCode.DEVICE, DoctorCommand.exitCode(List.of(machine, memory)));
        assertEquals(ExitCode.OUT_OF_MEMORY, DoctorCommand.exitCode(List.of(memory, disk)));
        assertEquals(ExitCode.DISK_FULL, DoctorCommand.exitCode(List.of(disk)));
        assertEquals(ExitCode.DONE, DoctorCommand.exitCode(List.of()));
    }
}
