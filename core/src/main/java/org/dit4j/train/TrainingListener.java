package org.dit4j.train;

import java.io.IOException;

/** Follows a run; all calls come on the training thread, between steps. */
public interface TrainingListener {
    /** After each step; {@code false} ends the run as if it had reached its last step. */
    default boolean onStep(Trainer trainer) throws IOException {
        return true;
    }

    /** The mean loss of the steps since the last call, each {@code logEvery} steps and at the end. */
    default void onLog(Trainer trainer, double meanLoss, double stepsPerSecond) throws IOException {}

    /** It is time for samples: each {@code sampleEvery} steps and at the end. */
    default void onSamples(Trainer trainer) throws IOException {}
}
