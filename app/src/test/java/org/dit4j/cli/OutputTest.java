package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.dit4j.report.PrintableWriter;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.junit.jupiter.api.Test;

class OutputTest {
    private static String run(String words, int exitCode, int expected) {
        Output out = new Output(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException(words);
            }
        });
        out.stream().println("a result");
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        assertEquals(expected, out.exitCode(exitCode, new PrintStream(err, true, StandardCharsets.UTF_8)));
        return err.toString(StandardCharsets.UTF_8);
    }

    @Test
    void aResultThatCannotBeWrittenIsNotDone() {
        assertTrue(run("No space left on device", 0, ExitCode.DISK_FULL.code)
                .startsWith("dit: disk full: standard output"));
        assertTrue(run("Input/output error", 0, ExitCode.DATA.code).startsWith("dit: standard output: Input"));
        assertEquals("", run("No space left on device", ExitCode.USAGE.code, ExitCode.USAGE.code));
        assertEquals("", run("Broken pipe", 0, 0), "head has read enough");
    }

    @Test
    void namesDoNotSteerTheTerminalButProgressDoes() {
        StringWriter text = new StringWriter();
        PrintableWriter out = new PrintableWriter(new PrintWriter(text, true));
        out.printf("class %s%n", "\u001b[2J");
        try (Progress progress = new Progress(out, new Terminal(true, true, 80), "train", 2)) {
            progress.update(1);
            progress.message("saw \u001b]0;title\u0007");
        }
        assertTrue(text.toString().startsWith("class \\u001b[2J\n\r\u001b[Ktrain ["), text.toString());
        assertTrue(text.toString().contains("\r\u001b[Ksaw \\u001b]0;title\\u0007\n"), text.toString());
        assertFalse(text.toString().contains("\u001b]0"));
    }

    @Test
    void flagsThatAreGivenTwiceCountTheLastTime() {
        CommandRun run = CommandRun.of("info", "--num-classes=5", "--num-classes=7", "--json");
        assertEquals("", run.err());
        assertTrue(run.out().contains("7"), run.out());
    }

    @Test
    void numbersThatNoNetworkTakesAreRefusedWithWhatIsAllowed() {
        assertRefused(
                "--cfg-scale: \"1e39\" is not a number of at least 0 and at most 1e30",
                "sample",
                "--ckpt=x",
                "--cfg-scale=1e39");
        assertRefused("is not a whole number from 0 to 100000000", "info", "--num-classes=2147483647");
    }

    private static void assertRefused(String message, String... args) {
        CommandRun run = CommandRun.of(args);
        assertEquals(ExitCode.USAGE.code, run.exitCode(), run.err());
        assertTrue(run.err().contains(message), run.err());
    }
}
