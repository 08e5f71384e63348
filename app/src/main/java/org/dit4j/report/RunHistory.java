package org.dit4j.report;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.train.RunFolder;
import org.dit4j.train.TrainingLog;
import org.dit4j.train.ValidationLosses;

/** What a run has logged so far, former processes included, as its folder has it. */
public final class RunHistory {
    private final FollowedFile metrics;
    private final FollowedFile validation;
    private final List<TrainingLog> logs = new ArrayList<>();
    private final List<ValidationLosses> validations = new ArrayList<>();

    public RunHistory(RunFolder folder) {
        metrics = new FollowedFile(folder.metrics());
        validation = new FollowedFile(folder.validation());
    }

    /** Reads what is new. */
    public void refresh() throws IOException {
        FollowedFile.Lines lines = metrics.poll();
        if (lines.anew()) logs.clear();
        for (String line : lines.values())
            TrainingLog.of(FollowedFile.json(line)).ifPresent(logs::add);
        lines = validation.poll();
        if (lines.anew()) validations.clear();
        for (String line : lines.values())
            ValidationLosses.of(FollowedFile.json(line)).ifPresent(validations::add);
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
