package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Path;
import org.dit4j.checkpoint.Retention;
import org.dit4j.train.Trainer;

/** A training of its own process, to be killed: {@code KilledRun RESULTS MAX_STEPS}. Prints each step. */
final class KilledRun {
    private KilledRun() {}

    /** The run that the processes train. */
    static TinyRun run(Path results, int maxSteps) {
        TinyRun run = new TinyRun(results);
        run.maxSteps = maxSteps;
        // saves without a pause between them, so that many kills hit one
        run.cadence = new Cadence(20, 3, 2, 0, 0, 0);
        run.safety = new Safety(new Retention(2, 0), Safety.OnSaveFailure.STOP, 10, 0);
        return run;
    }

    public static void main(String[] args) throws IOException {
        run(Path.of(args[0]), Integer.parseInt(args[1])).train(new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) {
                System.out.println(trainer.steps());
                return true;
            }
        });
    }
}
