package org.dit4j.run;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.dit4j.data.Dataset;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;

/**
 * A run folder that is this process's, repaired, and a trainer in the state that it left.
 *
 * @param checkpoint that the trainer's state is from; empty for a run that has none
 * @param origin of a run without a checkpoint: what it begins with, one line each
 */
record OpenedRun(
        RunLock lock,
        RunFolder folder,
        RunPlan plan,
        Dataset dataset,
        Optional<Validation> validation,
        Optional<Path> checkpoint,
        List<String> origin,
        Trainer trainer,
        RunLog log,
        MetricsLog metrics,
        ValidationLog validationLog,
        Saver saver,
        RollBack rollBack) {}
