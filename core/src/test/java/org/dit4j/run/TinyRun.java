package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.data.Dataset;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;

/** A run that takes milliseconds to a step, on the device that {@code dit.device} names; a test changes what it is about. */
final class TinyRun {
    private static final String DEVICE = System.getProperty("dit.device", "cpu");

    static {
        Backend.useDeterministicAlgorithms(); // what a run promises on CUDA, it promises with these
    }

    private static final DiTConfig MODEL =
            new DiTConfig(8, 8, 2, 3, 12, 1, 2, 2, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    final Path results;
    Dataset data = new Glyphs(3, 8);
    long seed = 7;
    int maxSteps = 20, microBatchSize = 4, numWorkers = 0;
    Optional<Validation> validation = Optional.empty();
    Origin origin = Origin.FRESH;
    Cadence cadence = new Cadence(20, 3, 4, 0, 0, 0);
    Safety safety = Safety.DEFAULT;

    TinyRun(Path results) {
        this.results = results;
    }

    TrainConfig config() {
        return new TrainConfig(
                MODEL,
                DiffusionConfig.PUBLISHED,
                seed,
                4,
                new LearningRate(2e-3, 5),
                0,
                1,
                new EmaSchedule(0.99, 0.05),
                true);
    }

    Execution execution() {
        return new Execution(DEVICE, Precision.FP32, microBatchSize, false, numWorkers);
    }

    RunPlan plan() {
        return new RunPlan(config(), execution(), cadence.withMaxSteps(maxSteps), safety);
    }

    /** The newest folder of the same run, or a new one. */
    RunFolder folder() throws IOException {
        Optional<RunFolder> found = RunFolder.find(results, config(), Precision.FP32, data, origin);
        return found.isPresent()
                ? found.get()
                : RunFolder.create(results, "tiny", identity().begunWith(origin.identity()));
    }

    RunIdentity identity() throws IOException {
        return RunIdentity.of(config(), Precision.FP32, data);
    }

    TrainingRun open() throws IOException {
        return TrainingRun.open(folder(), plan(), data, validation);
    }

    RunFolder train() throws IOException {
        return train(new TrainingListener() {});
    }

    RunFolder train(TrainingListener listener) throws IOException {
        try (TrainingRun run = open()) {
            run.run(listener);
        }
        return folder();
    }

    /** Trains up to a step, as Ctrl-C would end it. */
    void trainAndStopAt(long step) throws IOException {
        try (TrainingRun run = open()) {
            TrainingListener stopper = new TrainingListener() {
                @Override
                public boolean onStep(Trainer trainer) {
                    if (trainer.steps() == step) run.stop();
                    return true;
                }
            };
            assertEquals(TrainingRun.Ending.STOPPED, run.run(stopper));
        }
    }

    /** The same final checkpoint to the last byte, and the same metrics but for their times. */
    static void assertSame(RunFolder expected, RunFolder actual) throws IOException {
        Path last = CheckpointFolder.latest(expected.checkpoints()).orElseThrow();
        Path same = actual.checkpoints().resolve(last.getFileName());
        try (Stream<Path> files = Files.list(last)) {
            for (Path file : files.toList()) {
                Path other = same.resolve(file.getFileName());
                boolean times = List.of("state.json", "MANIFEST.json")
                        .contains(file.getFileName().toString());
                if (times) continue; // the metrics' times are of several widths, and with them their bytes
                assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(other), file.toString());
            }
        }
        assertEquals(state(last), state(same));
        assertEquals(metrics(expected), metrics(actual));
    }

    private static String state(Path checkpoint) throws IOException {
        return CheckpointFolder.state(checkpoint).toString().replaceFirst("\"metricsBytes\":\\d+,", "");
    }

    static List<String> metrics(RunFolder folder) throws IOException {
        return Files.readAllLines(folder.metrics()).stream()
                .map(line -> line.replaceFirst(",\"time\":\\{[^}]*\\}\\}$", "}"))
                .toList();
    }

    static List<String> names(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
        }
    }
}
