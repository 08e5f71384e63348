package org.dit4j.run;

import org.dit4j.checkpoint.Retention;

/**
 * What happens when something goes wrong.
 *
 * @param retention which checkpoints stay
 * @param onSaveFailure whether a run goes on that cannot write
 * @param maxSkippedInARow after so many steps without finite losses and gradients the run goes back to its newest checkpoint
 * @param maxRollbacks after going back so often it ends with a {@link org.dit4j.train.DivergedException}; 0 is at once
 */
public record Safety(Retention retention, OnSaveFailure onSaveFailure, int maxSkippedInARow, int maxRollbacks) {
    /** What to do when a checkpoint, metrics or a validation cannot be written, for example because the disk is full. The last checkpoint must be written. */
    public enum OnSaveFailure {
        CONTINUE,
        STOP
    }

    /** Three checkpoints, training goes on without one, ten steps, three times. */
    public static final Safety DEFAULT = new Safety(new Retention(3, 0), OnSaveFailure.CONTINUE, 10, 3);

    public Safety {
        if (maxSkippedInARow < 1 || maxRollbacks < 0)
            throw new IllegalArgumentException("at most " + maxSkippedInARow + " skipped steps in a row and "
                    + maxRollbacks + " rollbacks: the first is at least 1, the second 0 or more");
    }

    /** The same with other checkpoints kept. */
    public Safety withRetention(Retention other) {
        return new Safety(other, onSaveFailure, maxSkippedInARow, maxRollbacks);
    }
}
