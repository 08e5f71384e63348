package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.dit4j.io.Images;
import org.dit4j.run.RunFolder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CurvesTest {
    private static final int LOSS = 0x0072b2, GRADIENT = 0xd55e00;

    @TempDir
    private Path folder;

    private BufferedImage drawn(int logs, IntFunction<String> loss) throws IOException {
        assumeTrue(Fonts.available());
        String lines = IntStream.rangeClosed(1, logs)
                .mapToObj(i -> String.format(
                        Locale.ROOT,
                        "{\"step\":%d,\"images\":%d,\"loss\":%s,\"gradient_norm\":%s,\"learning_rate\":1.0E-4}%n",
                        i,
                        i,
                        loss.apply(i),
                        loss.apply(i)))
                .collect(Collectors.joining());
        Files.writeString(folder.resolve("metrics.jsonl"), lines);
        RunHistory history = new RunHistory(new RunFolder(folder));
        history.refresh();
        Curves.write(folder.resolve("curves.png"), "test", history);
        return Files.exists(folder.resolve("curves.png")) ? Images.read(folder.resolve("curves.png")) : null;
    }

    /** Of pixels that nearly have a colour; lines are antialiased. */
    private static long count(BufferedImage picture, int color) {
        return IntStream.range(0, picture.getWidth() * picture.getHeight())
                .map(i -> picture.getRGB(i % picture.getWidth(), i / picture.getWidth()))
                .filter(rgb -> Math.abs((rgb >> 16 & 255) - (color >> 16 & 255)) < 12
                        && Math.abs((rgb >> 8 & 255) - (color >> 8 & 255)) < 12
                        && Math.abs((rgb & 255) - (color & 255)) < 12)
                .count();
    }

    @Test
    void aLineGoesThroughAllLogsOrNearly() throws IOException {
        BufferedImage picture = drawn(5000, i -> Double.toString(1.0 / i));
        assertEquals(1100, picture.getWidth());
        assertTrue(count(picture, LOSS) > 1000 && count(picture, GRADIENT) > 200);
    }

    @Test
    void logsWithoutALossLeaveAGapOrAnEmptyPlot() throws IOException {
        assertTrue(count(drawn(50, i -> i % 2 == 0 ? "null" : "0.5"), LOSS) > 500);
        assertEquals(0, count(drawn(50, i -> "null"), GRADIENT));
    }

    @Test
    void fewerThanTwoLogsAreNoCurve() throws IOException {
        assertEquals(null, drawn(1, i -> "1"));
    }
}
