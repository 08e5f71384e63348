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
import org.dit4j.torch.Backend;
import org.dit4j.train.Trainer;
import org.dit4j.train.TrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * What everything visible (the live line, metrics, log, event files, curves; not grids and validation) and a checkpoint in the background
 * add to the time of a step: one run of the demo's recipe in blocks of steps, in turn with both, without anything, and with what is visible.
 * No test: surefire leaves it out unless it is named, and CONTRIBUTING.md says how; on a machine that does nothing else.
 *
 * <p>System properties: {@code dit.benchmark.rounds}; {@code dit.benchmark.block}, steps; {@code dit.benchmark.flags}, of {@code dit train},
 * for another model or device.
 */
class OverheadBenchmark {
    private static final int ROUNDS = Integer.getInteger("dit.benchmark.rounds", 20);
    private static final int BLOCK = Integer.getInteger("dit.benchmark.block", 100);
    private static final String FLAGS = System.getProperty("dit.benchmark.flags", "");

    @TempDir
    private static Path results;

    @Test
    void whatIsSeenCostsLittle() {
        String columns = System.getProperty("dit.columns");
        System.setProperty("dit.columns", "150"); // as if somebody watched
        try {
            long steps = 3L * BLOCK * (ROUNDS + 2); // one cycle to warm up, one whose blocks end the last round
            Stream<String> flags = Stream.of(
                    "--results-dir=" + results,
                    "--resume=never",
                    "--max-steps=" + steps,
                    "--ckpt-every=" + 3 * BLOCK,
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
            Blocks blocks = new Blocks();
            try (Training training = Training.prepare(spec, flags, Recipe.builtIn("glyphs.yaml"))) {
                training.run(new PrintWriter(OutputStream.nullOutputStream()), blocks);
            }
            blocks.report();
            return 0;
        }
    }

    /**
     * A cycle has three blocks. The run saves before the first, which the checkpoint slows down. Before the second goes through the loop,
     * this listener takes as many steps past it: these are seen by nobody.
     */
    private static final class Blocks implements TrainingListener {
        private final double[] saving = new double[ROUNDS], alone = new double[ROUNDS], visible = new double[ROUNDS];
        private long since;

        @Override
        public boolean onStep(Trainer trainer) throws IOException {
            long step = trainer.steps();
            int cycle = (int) (step / (3L * BLOCK)), place = (int) (step % (3L * BLOCK));
            if (place == 0) {
                put(visible, cycle - 1);
                begin(); // what comes next is the save
            } else if (place == BLOCK) {
                put(saving, cycle);
                awaitCheckpoint(step - BLOCK);
                begin();
                for (int i = 0; i < BLOCK; i++) trainer.step();
                put(alone, cycle);
                begin();
            }
            return true;
        }

        private void begin() {
            synchronize();
            since = System.nanoTime();
        }

        /** Milliseconds to a step of the block that ends here; the first cycle warms up. */
        private void put(double[] times, int cycle) {
            synchronize();
            if (cycle >= 1 && cycle <= ROUNDS) times[cycle - 1] = (System.nanoTime() - since) / 1e6 / BLOCK;
        }

        private void synchronize() {
            if (Backend.hasCuda()) torch.cuda_synchronize();
        }

        /** It must not reach into the next block. */
        private void awaitCheckpoint(long step) throws IOException {
            if (step == 0) return;
            String name = String.format("step-%07d", step);
            try (Stream<Path> runs = Files.list(results)) {
                Path latest = runs.findFirst().orElseThrow().resolve("checkpoints/LATEST");
                while (!Files.exists(latest) || !Files.readString(latest).contains(name)) Thread.sleep(50);
            } catch (InterruptedException e) {
                throw new InterruptedIOException();
            }
        }

        void report() {
            double[] overhead = new double[ROUNDS], checkpoint = new double[ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                overhead[round] = 100 * (visible[round] / alone[round] - 1);
                checkpoint[round] = 100 * (saving[round] / visible[round] - 1);
            }
            System.out.printf(Locale.ROOT, "%d rounds of blocks of %d steps; median, quartiles%n", ROUNDS, BLOCK);
            System.out.println(row("steps alone, ms", alone));
            System.out.println(row("with all visible, ms", visible));
            System.out.println(row("and a checkpoint, ms", saving));
            System.out.println(row("all visible, % more", overhead));
            System.out.println(row("a checkpoint, % more", checkpoint));
            System.out.printf(
                    Locale.ROOT,
                    "a checkpoint costs %.0f ms of training%n",
                    quantile(checkpoint, 0.5) / 100 * quantile(visible, 0.5) * BLOCK);
        }

        private String row(String what, double[] values) {
            return String.format(
                    Locale.ROOT,
                    "%-22s %8.2f   %8.2f … %.2f",
                    what,
                    quantile(values, 0.5),
                    quantile(values, 0.25),
                    quantile(values, 0.75));
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
