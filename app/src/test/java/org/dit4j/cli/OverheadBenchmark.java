package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.report.Recipe;
import org.dit4j.run.TrainingListener;
import org.dit4j.torch.Backend;
import org.dit4j.train.Trainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * What everything visible (the live line, metrics, log, event files, curves and card; not grids and validation) and a checkpoint in the
 * background add to the time of a step, in a run of the demo's recipe that logs as often as is the default. The machine's speed changes by
 * more than either from second to second, so a step that is seen and one that nobody sees take turns. No test: surefire leaves it out unless
 * it is named, and CONTRIBUTING.md says how; on a machine that does nothing else.
 *
 * <p>System properties: {@code dit.benchmark.rounds}; {@code dit.benchmark.pairs}, of steps in a round; {@code dit.benchmark.flags}, of
 * {@code dit train}, for another model or device.
 */
class OverheadBenchmark {
    private static final int ROUNDS = Integer.getInteger("dit.benchmark.rounds", 20);
    private static final int PAIRS = Integer.getInteger("dit.benchmark.pairs", 50);
    /** Steps after a save, enough for its end in the background. */
    private static final int SAVING = 20;

    private static final int ROUND = SAVING + 2 * PAIRS;
    private static final String FLAGS = System.getProperty("dit.benchmark.flags", "");

    @TempDir
    private static Path results;

    @Test
    void whatIsSeenCostsLittle() {
        String columns = System.getProperty("dit.columns");
        System.setProperty("dit.columns", "150"); // as if somebody watched
        try {
            Stream<String> flags = Stream.of(
                    "--results-dir=" + results,
                    "--resume=never",
                    "--max-steps=" + ROUND * (ROUNDS + 2), // one round to warm up, one that ends the last
                    "--log-every=200", // of which every other step is one that nobody sees
                    "--ckpt-every=" + ROUND,
                    "--sample-every=0",
                    "--eval-every=0");
            Stream<String> more = Arrays.stream(FLAGS.split(" ")).filter(flag -> !flag.isEmpty());
            assertEquals(
                    0,
                    new CommandLine(new Run())
                            .execute(Stream.concat(flags, more).toArray(String[]::new)));
        } finally {
            if (columns == null) System.clearProperty("dit.columns");
            else System.setProperty("dit.columns", columns);
        }
    }

    /** Trains by the recipe of the demo. */
    @Command
    static final class Run implements Callable<Integer> {
        @Mixin
        private final TrainFlags flags = new TrainFlags();

        @Spec
        private CommandSpec spec;

        @Override
        public Integer call() throws IOException {
            Rounds rounds = new Rounds();
            try (Training training = Training.prepare(spec, flags, Recipe.builtIn("glyphs.yaml"))) {
                training.run(new PrintWriter(OutputStream.nullOutputStream()), rounds);
            }
            rounds.report();
            return 0;
        }
    }

    /** A round: a save by the run, the steps beside which it is written, then pairs of steps, the first past the run's loop. */
    private static final class Rounds implements TrainingListener {
        private final double[] saving = new double[ROUNDS], alone = new double[ROUNDS], visible = new double[ROUNDS];
        private long ended = System.nanoTime();

        @Override
        public boolean onStep(Trainer trainer) throws IOException {
            synchronize();
            int round = (int) ((trainer.steps() - 1) / ROUND) - 1, place = (int) ((trainer.steps() - 1) % ROUND);
            add(place < SAVING ? saving : visible, round);
            if (place == SAVING - 1) {
                awaitCheckpoint(trainer.steps() - SAVING);
                begin();
            }
            if (place >= SAVING - 1 && place < ROUND - 1) {
                trainer.step();
                synchronize();
                add(alone, round);
            }
            return true;
        }

        private void begin() {
            ended = System.nanoTime();
        }

        /** The milliseconds since the last step's end. */
        private void add(double[] sums, int round) {
            long now = System.nanoTime();
            if (round >= 0 && round < ROUNDS) sums[round] += (now - ended) / 1e6;
            begin();
        }

        private void synchronize() {
            if (Backend.hasCuda()) torch.cuda_synchronize();
        }

        /** It must not reach into the pairs. */
        private void awaitCheckpoint(long step) throws IOException {
            if (step == 0) return;
            String name = String.format("step-%07d", step);
            try (Stream<Path> runs = Files.list(results)) {
                Path latest = runs.findFirst().orElseThrow().resolve("checkpoints/LATEST");
                while (!Files.exists(latest) || !Files.readString(latest).contains(name)) Thread.sleep(20);
            } catch (InterruptedException e) {
                throw new InterruptedIOException();
            }
        }

        void report() {
            double[] more = new double[ROUNDS], checkpoint = new double[ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                saving[round] /= SAVING;
                alone[round] /= PAIRS;
                visible[round] /= PAIRS;
                more[round] = 100 * (visible[round] / alone[round] - 1);
                checkpoint[round] = SAVING * (saving[round] - visible[round]);
            }
            System.out.printf(
                    Locale.ROOT,
                    "%d rounds of %d pairs of steps, %d steps beside a checkpoint; median, quartiles, mean%n",
                    ROUNDS,
                    PAIRS,
                    SAVING);
            System.out.println(row("a step alone, ms", alone));
            System.out.println(row("a step, all visible, ms", visible));
            System.out.println(row("all visible, % more", more));
            System.out.println(row("a checkpoint, ms", checkpoint));
        }

        private String row(String what, double[] values) {
            return String.format(
                    Locale.ROOT,
                    "%-24s %8.2f   %8.2f … %-8.2f %8.2f",
                    what,
                    quantile(values, 0.5),
                    quantile(values, 0.25),
                    quantile(values, 0.75),
                    Arrays.stream(values).average().orElseThrow());
        }

        private double quantile(double[] values, double share) {
            double[] sorted = values.clone();
            Arrays.sort(sorted);
            double place = share * (sorted.length - 1);
            int below = (int) place, above = Math.min(below + 1, sorted.length - 1);
            return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
        }
    }
}
