package org.dit4j.report;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.train.RunFolder;
import org.dit4j.train.TrainingLog;
import org.dit4j.train.ValidationLosses;

/** What a run has logged so far, former processes included, as its folder has it. */
public final class RunHistory {
    private final JsonLines metrics;
    private final JsonLines validation;
    private final List<TrainingLog> logs = new ArrayList<>();
    private final List<ValidationLosses> validations = new ArrayList<>();

    public RunHistory(RunFolder folder) {
        metrics = new JsonLines(folder.metrics());
        validation = new JsonLines(folder.validation());
    }

    /** Reads what is new. */
    public void refresh() throws IOException {
        JsonLines.Lines lines = metrics.poll();
        if (lines.anew()) logs.clear();
        for (JsonNode line : lines.values()) TrainingLog.of(line).ifPresent(logs::add);
        lines = validation.poll();
        if (lines.anew()) validations.clear();
        for (JsonNode line : lines.values()) ValidationLosses.of(line).ifPresent(validations::add);
    }

    /** In the order of their steps. */
    public List<TrainingLog> logs() {
        return logs;
    }

    /** In the order of their steps. */
    public List<ValidationLosses> validations() {
        return validations;
    }
}
