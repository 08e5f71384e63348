package org.dit4j.run;

import java.io.IOException;
import org.dit4j.train.Trainer;
import org.dit4j.train.ValidationLosses;

/**
 * Follows a run; all calls come on the training thread, between steps. What {@link #onStep} or {@link #onMessage} throws ends the run, which
 * leaves a checkpoint before; what the others throw is logged, and the run goes on: no picture or chart is worth it.
 */
public interface TrainingListener {
    /** After each step; {@code false} ends the run as if it had reached its last step. */
    default boolean onStep(Trainer trainer) throws IOException {
        return true;
    }

    /** Each {@code logEvery} steps and at the end. */
    default void onLog(Trainer trainer, TrainingLog log) throws IOException {}

    /** It is time for samples: at the cadence {@code sampleEvery} and at the end. */
    default void onSamples(Trainer trainer) throws IOException {}

    /** The averaged weights were validated: at the cadence {@code evalEvery} and at the end, if there are data for it. */
    default void onValidation(Trainer trainer, ValidationLosses losses) throws IOException {}

    /** What {@code log.txt} says but for the losses: a checkpoint was saved, steps were skipped, the run was resumed. */
    default void onMessage(String message) throws IOException {}

    /** All of these, in this order; a run ends when one of them ends it. */
    static TrainingListener of(TrainingListener... listeners) {
        return new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) throws IOException {
                boolean goesOn = true;
                for (TrainingListener listener : listeners) goesOn &= listener.onStep(trainer);
                return goesOn;
            }

            @Override
            public void onLog(Trainer trainer, TrainingLog log) throws IOException {
                for (TrainingListener listener : listeners) listener.onLog(trainer, log);
            }

            @Override
            public void onSamples(Trainer trainer) throws IOException {
                for (TrainingListener listener : listeners) listener.onSamples(trainer);
            }

            @Override
            public void onValidation(Trainer trainer, ValidationLosses losses) throws IOException {
                for (TrainingListener listener : listeners) listener.onValidation(trainer, losses);
            }

            @Override
            public void onMessage(String message) throws IOException {
                for (TrainingListener listener : listeners) listener.onMessage(message);
            }
        };
    }
}
