package org.dit4j.report;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.train.RunFolder;
import org.dit4j.train.TrainingLog;
import org.dit4j.train.ValidationLosses;

/** What a run has logged so far, former processes included, as its folder has it. */
public final class RunHistory {
    private final JsonLines metrics;
    private final List<TrainingLog> logs = new ArrayList<>();
    private final List<ValidationLosses> validations = new ArrayList<>();

    public RunHistory(RunFolder folder) {
        metrics = new JsonLines(folder.metrics());
    }

    /** Reads what is new. */
    public void refresh() throws IOException {
        JsonLines.Lines lines = metrics.poll();
        if (lines.anew()) logs.clear();
        for (JsonNode line : lines.values()) logs.add(log(line));
    }

    /** In the order of their steps. */
    public List<TrainingLog> logs() {
        return logs;
    }

    /** In the order of their steps. */
    public List<ValidationLosses> validations() {
        return validations;
    }

    /** Of a line of {@code metrics.jsonl}; what it has no number for is NaN, or 0. */
    public static TrainingLog log(JsonNode line) {
        JsonNode time = line.path("time");
        return new TrainingLog(
                line.path("step").asLong(),
                line.path("images").asLong(),
                number(line, "loss"),
                number(line, "gradient_norm"),
                number(line, "learning_rate"),
                line.path("skipped_steps").asLong(),
                line.path("spike").asBoolean(),
                new TrainingLog.Time(
                        instant(time.path("at").asText()),
                        number(time, "steps_per_second"),
                        number(time, "images_per_second"),
                        number(time, "percent_of_peak"),
                        time.path("memory_bytes").asLong()));
    }

    private static double number(JsonNode line, String key) {
        JsonNode value = line.path(key);
        return value.isNumber() ? value.asDouble() : Double.NaN; // null is not 0
    }

    private static Instant instant(String text) {
        try {
            return Instant.parse(text);
        } catch (DateTimeException e) {
            return Instant.EPOCH; // somebody edited it
        }
    }
}
