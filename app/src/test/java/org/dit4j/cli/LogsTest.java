package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.dit4j.run.RunFolder;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

class LogsTest {
    private static final Logger LOGGER = LoggerFactory.getLogger(RunFolder.class);

    @Test
    void aWarningStandsAboveTheLineOfProgress() {
        StringWriter written = new StringWriter();
        Logs.configure(false);
        try (Progress progress = new Progress(new PrintWriter(written), new Terminal(true, false, 80), "train", 9);
                Logs logs = Logs.to(progress::message)) {
            progress.update(1);
            written.getBuffer().setLength(0);
            LOGGER.warn("{} is broken", "1.png");
            LOGGER.info("not shown");
        }
        String line = "\r\u001b[Ktrain [##..................] 1/9";
        assertEquals(
                "\r\u001b[KWARN RunFolder: 1.png is broken" + System.lineSeparator() + line + System.lineSeparator(),
                written.toString());
    }

    @Test
    void afterwardsTheLogIsWhereItWas() {
        List<String> first = new ArrayList<>(), second = new ArrayList<>();
        Logs.to(first::add).close();
        try (Logs logs = Logs.to(second::add)) {
            LOGGER.warn("a");
        }
        assertEquals(List.of(), first);
        assertEquals(List.of("WARN RunFolder: a"), second);
    }
}
