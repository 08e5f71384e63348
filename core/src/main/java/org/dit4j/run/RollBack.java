package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.dit4j.train.DivergedException;
import org.dit4j.train.Trainer;

/** Goes on from older weights with newer data where a run diverges; the same data would lead to the same end. */
final class RollBack {
    private final OwnCheckpoints checkpoints;
    private final int most;
    private final RunLog log;
    private long count;

    /** @param count how often the run has gone back already */
    RollBack(OwnCheckpoints checkpoints, int most, RunLog log, long count) {
        this.checkpoints = checkpoints;
        this.most = most;
        this.log = log;
        this.count = count;
    }

    /** How often the run has gone back. */
    long count() {
        return count;
    }

    /**
     * Sets the weights back to those of the newest whole checkpoint; nobody may be writing one.
     *
     * @throws DivergedException if there is none, or the run has gone back too often
     */
    void apply(Trainer trainer, String reason) throws IOException {
        Optional<Path> good = checkpoints.newestWhole(line -> {}, line -> {});
        if (good.isEmpty() || count >= most)
            throw new DivergedException(
                    reason + (good.isEmpty() ? ", and there is no checkpoint" : ", after " + count + " rollbacks")
                            + "; lower the learning rate, or clip the gradients (--clip-norm 1)");
        count++;
        trainer.rollBack(good.get());
        log.warn("Rolled back to the weights of " + good.get() + ": " + reason);
    }
}
