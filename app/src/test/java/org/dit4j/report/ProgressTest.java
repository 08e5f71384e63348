package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProgressTest {
    private static final Terminal PIPE = new Terminal(false, false, 100), PLAIN = new Terminal(true, false, 100);

    private final StringWriter written = new StringWriter();
    private long nanos;

    private Progress progress(Terminal terminal, long total) {
        return new Progress(new PrintWriter(written), terminal, "train", total, () -> nanos);
    }

    private void seconds(double seconds) {
        nanos += (long) (seconds * 1e9);
    }

    @Test
    void aPipeGetsPlainLinesNowAndThen() {
        try (Progress progress = progress(PIPE, 100)) {
            for (int step = 1; step <= 100; step++) {
                progress.update(step, "loss 0.5");
                seconds(1);
            }
        }
        assertEquals(11, written.toString().lines().count(), "the first, one each ten seconds, the last");
        assertTrue(written.toString().startsWith("train 1/100  loss 0.5"));
        assertTrue(written.toString().contains("train 51/100  loss 0.5  0:49 left"));
        assertTrue(written.toString().endsWith("train 100/100  loss 0.5  took 1:39" + System.lineSeparator()));
        assertFalse(written.toString().contains("\r\u001b"));
    }

    @Test
    void aTerminalGetsOneLineThatIsRewritten() {
        try (Progress progress = progress(PLAIN, 4)) {
            for (int step = 1; step <= 4; step++) {
                progress.update(step, "loss 0.5");
                seconds(60);
            }
        }
        assertEquals(1, written.toString().split("\n").length);
        assertTrue(written.toString().contains("\r\u001b[Ktrain [##########..........] 2/4  loss 0.5  2:00 left"));
    }

    @Test
    void aTerminalIsNotRedrawnMoreThanTenTimesASecond() {
        try (Progress progress = progress(PLAIN, 1_000_000)) {
            for (int step = 1; step <= 1000; step++) {
                progress.update(step, "");
                seconds(0.001);
            }
        }
        assertTrue(written.toString().split("\r", -1).length <= 12);
        assertTrue(written.toString().contains("1000/1000000"), "the last update shows when the line is left");
    }

    @Test
    void aLineNeverWraps() {
        for (int columns = 1; columns < 80; columns++) {
            Progress progress = progress(new Terminal(true, false, columns), 10);
            progress.update(3, "loss 0.1234", "310 images/s", "grad 0.52", "lr 1e-4");
            String line = written.toString().replace("\r\u001b[K", "");
            assertTrue(line.length() < Math.max(columns, 1), columns + " columns: " + line);
            written.getBuffer().setLength(0);
        }
    }

    @Test
    void aNarrowLineLeavesOutTheLastFiguresAndCutsNone() {
        Map<Integer, String> expected = Map.of(
                100, "train [######..............] 3/10  loss 0.1234  310 images/s  grad 0.52  0:07 left",
                74, "train [###.......] 3/10  loss 0.1234  310 images/s  grad 0.52  0:07 left",
                62, "train [###.......] 3/10  loss 0.1234  310 images/s  0:07 left",
                48, "train [###.......] 3/10  loss 0.1234  0:07 left",
                46, "train [######..............] 3/10  0:07 left",
                30, "train [###.......] 3/10",
                20, "3/10",
                3, "3/");
        expected.forEach((columns, line) -> {
            nanos = 0;
            Progress progress = progress(new Terminal(true, false, columns), 10);
            progress.update(1, "loss 0.1234");
            seconds(2);
            written.getBuffer().setLength(0);
            progress.update(3, "loss 0.1234", "310 images/s", "grad 0.52");
            assertEquals("\r\u001b[K" + line, written.toString());
        });
    }

    @Test
    void colourTakesNoRoom() {
        Progress progress = progress(new Terminal(true, true, 47), 10);
        progress.update(3, "loss 0.1234");
        assertEquals("\r\u001b[Ktrain [\u001b[32m######..............\u001b[0m] 3/10  loss 0.1234", written.toString());
    }

    @Test
    void timeLeftFollowsTheRecentStepsAndNotWhatWasDoneBetweenThem() {
        try (Progress progress = progress(PIPE, 1000)) {
            for (int step = 1; step <= 100; step++) {
                progress.update(step);
                seconds(20);
            }
            for (int step = 101; step <= 400; step++) {
                progress.update(step);
                seconds(1);
                if (step % 50 == 0) {
                    seconds(500); // a grid of samples
                    progress.paused(500_000_000_000L);
                }
            }
        }
        assertTrue(
                written.toString().endsWith("train 400/1000  10:00 left" + System.lineSeparator()), written.toString());
    }

    @Test
    void aMessageStandsAboveTheLine() {
        Progress progress = progress(PLAIN, 10);
        progress.update(3, "");
        progress.message("saved");
        assertTrue(written.toString()
                .replace(System.lineSeparator(), "\n")
                .contains("\r\u001b[Ksaved\n\r\u001b[Ktrain ["));
    }

    @Test
    void timeLeftCountsFromTheStepWhereTheRunBegan() {
        Progress progress = progress(PIPE, 1010);
        progress.update(1000, "");
        seconds(20);
        progress.update(1005, "");
        assertTrue(written.toString().contains("1005/1010  0:20 left"), written.toString());
    }

    @Test
    void noColorAndDumbTerminalsAreRespected() {
        assertTrue(Terminal.of(true, 80, Map.of()).color());
        assertFalse(Terminal.of(true, 80, Map.of("NO_COLOR", "1")).color());
        assertTrue(Terminal.of(true, 80, Map.of("NO_COLOR", "1")).interactive());
        assertFalse(Terminal.of(true, 80, Map.of("TERM", "dumb")).interactive());
        assertFalse(Terminal.of(false, 80, Map.of()).color());
    }

    @ParameterizedTest
    @CsvSource({"0, 0:00", "7.4, 0:07", "754, 12:34", "18069, 5:01:09", "273600, 3d 04:00", "-1, 0:00"})
    void timesReadLikeAClock(double seconds, String text) {
        assertEquals(text, Progress.time((long) (seconds * 1e9)));
    }
}
