package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.dit4j.run.RunFolder;
import org.dit4j.run.TrainingLog;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunHistoryTest {
    @TempDir
    private Path folder;

    private RunHistory history(long logs) throws IOException {
        RunHistory history = new RunHistory(new RunFolder(folder));
        write(logs);
        history.refresh();
        return history;
    }

    /** The loss of a step is the step; every tenth is a spike, every fifth has no loss. */
    private void write(long logs) throws IOException {
        Files.writeString(
                folder.resolve("metrics.jsonl"),
                LongStream.rangeClosed(1, logs)
                        .mapToObj(step -> String.format(
                                Locale.ROOT,
                                "{\"step\":%d,\"loss\":%s,\"spike\":%s}\n",
                                step,
                                step % 5 == 0 ? "null" : step,
                                step % 10 == 0))
                        .collect(Collectors.joining()));
    }

    private static List<Long> steps(RunHistory history) {
        return history.logs().stream().map(TrainingLog::step).toList();
    }

    @Test
    void fewLogsStayAsTheyAre() throws IOException {
        RunHistory history = history(7);
        assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L, 7L), steps(history));
        write(9);
        history.refresh();
        assertEquals(9, history.last().orElseThrow().step());
        assertEquals(9, history.logs().size());
        write(3);
        history.refresh();
        assertEquals(List.of(1L, 2L, 3L), steps(history));
    }

    @Test
    void ofManyLogsMeansStayAndAllAreCounted() throws IOException {
        long logs = 50_001;
        RunHistory history = history(logs);
        assertTrue(
                history.logs().size() > 4000 && history.logs().size() < 8200,
                history.logs().size() + " are kept");
        assertEquals(5_000, history.spikes());
        assertEquals(logs, history.last().orElseThrow().step());
        assertEquals(logs, steps(history).get(history.logs().size() - 1), "the rest");
        for (TrainingLog log : history.logs()) assertEquals(log.step(), log.loss(), 5);
        for (int i = 1; i < history.logs().size() - 1; i++)
            assertEquals(
                    8, history.logs().get(i).step() - history.logs().get(i - 1).step());
    }
}
