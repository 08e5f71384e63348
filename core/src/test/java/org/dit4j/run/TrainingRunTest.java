package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongPredicate;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.data.Dataset;
import org.dit4j.data.Glyphs;
import org.dit4j.data.Subset;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.TrainState;
import org.dit4j.train.Trainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingRunTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 8, 4, 3, 24, 1, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    private static final RunIdentity NO_VALUES = new RunIdentity(Map.of());

    @TempDir
    Path results;

    private Dataset data = new Glyphs(1, 8);

    /** What a listener heard: "log 2", "samples 4". */
    private final List<String> heard = new ArrayList<>();

    private RunFolder folder;

    private TrainingRun open(int maxSteps, Cadence cadence) throws IOException {
        TrainConfig config = new TrainConfig(
                TINY, DiffusionConfig.PUBLISHED, 5, 4, new LearningRate(1e-3, 0), 0, 0, new EmaSchedule(0.5, 0), false);
        folder = RunFolder.create(results, "DiT-T/4", RunIdentity.of(config, Precision.FP32, data));
        Execution execution = new Execution("cpu", Precision.FP32, 4, false, 0);
        return TrainingRun.open(
                folder, new RunPlan(config, execution, cadence.withMaxSteps(maxSteps), Safety.DEFAULT), data);
    }

    /** Trains, while {@code goesOn}. */
    private void train(TrainingRun run, LongPredicate goesOn) throws IOException {
        TrainingListener listener = new TrainingListener() {
            @Override
            public boolean onStep(Trainer trained) {
                return goesOn.test(trained.steps());
            }

            @Override
            public void onLog(Trainer trained, TrainingLog log) {
                assertTrue(Double.isFinite(log.loss()) && log.time().stepsPerSecond() > 0);
                assertEquals(4 * log.step(), log.images());
                assertEquals(1e-3, log.learningRate());
                heard.add("log " + log.step());
            }

            @Override
            public void onSamples(Trainer trained) {
                heard.add("samples " + trained.steps());
            }
        };
        assertEquals(TrainingRun.Ending.FINISHED, run.run(listener));
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void everythingComesAtItsCadenceAndAtTheEnd() throws IOException {
        try (TrainingRun run = open(5, new Cadence(1, 2, 3, 4, 4, 0))) {
            train(run, step -> true);
            assertEquals(List.of("log 2", "log 4", "samples 4", "log 5", "samples 5"), heard);
            assertEquals(List.of("LATEST", "step-0000003", "step-0000005"), names(folder.checkpoints()));
        }
    }

    @Test
    void aCheckpointIsDueTooWhenTheLastIsOld() throws IOException {
        try (TrainingRun run = open(5, new Cadence(1, 100, 100, 0, 0, 1))) {
            train(run, step -> {
                long start = System.nanoTime();
                while (step == 3 && System.nanoTime() - start < 1_000_000_000L) Thread.onSpinWait();
                return true;
            });
            assertTrue(names(folder.checkpoints()).contains("step-0000003"), names(folder.checkpoints()) + "");
        }
    }

    @Test
    void theLogHasThePublishedLines() throws IOException {
        try (TrainingRun run = open(2, new Cadence(1, 1, 10, 0, 0, 0))) {
            train(run, step -> true);
            List<String> lines = Files.readAllLines(folder.log());
            String time = "\\[\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d] ";
            String loss = "Train Loss: \\d+\\.\\d{4}, Train Steps/Sec: \\d+\\.\\d\\d";
            List<String> patterns = List.of(
                    time + "Experiment directory created at .*",
                    time + "DiT Parameters: [\\d,]+",
                    time + "Dataset contains endless images \\(glyphs: endless, .*\\)",
                    time + "Training for 2 steps\\.\\.\\.",
                    time + "\\(step=0000001\\) " + loss,
                    time + "\\(step=0000002\\) " + loss,
                    time + "Saved checkpoint to .*step-0000002",
                    time + "Done!");
            assertEquals(patterns.size(), lines.size());
            for (int i = 0; i < lines.size(); i++) assertTrue(lines.get(i).matches(patterns.get(i)), lines.get(i));
        }
    }

    @Test
    void theLogOfFiniteDataCountsEpochs() throws IOException {
        data = Subset.heldOut(new Glyphs(1, 8), 10, 0);
        try (TrainingRun run = open(6, new Cadence(1, 100, 100, 0, 0, 0))) {
            train(run, step -> true);
            List<String> lines = Files.readAllLines(folder.log()).stream()
                    .map(line -> line.replaceFirst("^\\[.*?] ", ""))
                    .toList();
            assertEquals(
                    "Dataset contains 10 images (10 held out of " + new Glyphs(1, 8).describe() + ")", lines.get(2));
            assertEquals("Training for 3 epochs...", lines.get(3), "24 images of 10");
            List<String> epochs =
                    lines.stream().filter(line -> line.startsWith("Beginning")).toList();
            assertEquals(
                    List.of("Beginning epoch 0...", "Beginning epoch 1...", "Beginning epoch 2..."),
                    epochs,
                    "they begin with images 0, 10 and 20");
        }
    }

    @Test
    void automaticSamplesComeWithTheFirstLogAndAtTheEnd() throws IOException {
        try (TrainingRun run = open(5, new Cadence(1, 2, 100, Cadence.AUTO, Cadence.AUTO, 0))) {
            train(run, step -> true);
        }
        assertEquals(List.of("log 2", "samples 2"), heard.subList(0, 2));
        assertEquals(List.of("log 5", "samples 5"), heard.subList(heard.size() - 2, heard.size()));
    }

    @Test
    void allListenersHearWhatIsToldAndEachMayEndTheRun() throws IOException {
        List<String> told = new ArrayList<>();
        class Telling implements TrainingListener {
            @Override
            public boolean onStep(Trainer trainer) {
                return trainer.steps() < 2;
            }

            @Override
            public void onMessage(String message) {
                told.add(message);
            }
        }
        try (TrainingRun run = open(5, new Cadence(1, 10, 10, 0, 0, 0))) {
            run.run(TrainingListener.of(new Telling(), new TrainingListener() {}, new Telling()));
            assertEquals(2, run.trainer().steps());
        }
        String saved = "Saved checkpoint to " + folder.checkpoints().resolve("step-0000002");
        assertEquals(List.of(saved, saved), told);
    }

    @Test
    void aListenerEndsTheRunAsTheLastStepWould() throws IOException {
        try (TrainingRun run = open(100, new Cadence(1, 100, 100, 0, 0, 0))) {
            train(run, step -> step < 3);
            assertEquals(3, run.trainer().steps());
            assertEquals(List.of("log 3"), heard);
            assertEquals(List.of("LATEST", "step-0000003"), names(folder.checkpoints()));
        }
    }

    @Test
    void aCheckpointHoldsTheWeightsTheAverageAndTheMoments() throws IOException {
        try (TrainingRun run = open(3, new Cadence(1, 10, 10, 0, 0, 0))) {
            train(run, step -> true);
            Path checkpoint = CheckpointFolder.latest(folder.checkpoints()).orElseThrow();
            try (DiT weights = DiTCheckpoint.open(checkpoint.resolve(CheckpointFolder.MODEL));
                    DiT average = DiTCheckpoint.open(checkpoint.resolve(CheckpointFolder.EMA));
                    TensorScope scope = new TensorScope()) {
                assertSame(StateDict.of(run.trainer().state().network()), StateDict.of(weights));
                assertSame(StateDict.of(run.trainer().state().averagedNetwork()), StateDict.of(average));
                Map<String, Tensor> stored = Safetensors.read(checkpoint.resolve(CheckpointFolder.OPTIMIZER));
                TrainState state = run.trainer().state();
                FlatParameters parameters = state.parameters();
                parameters
                        .views(state.firstMoments())
                        .forEach((name, tensor) -> assertArrayEquals(
                                Tensors.toFloats(tensor), Tensors.toFloats(stored.get("exp_avg." + name)), name));
                parameters
                        .views(state.secondMoments())
                        .forEach((name, tensor) -> assertArrayEquals(
                                Tensors.toFloats(tensor), Tensors.toFloats(stored.get("exp_avg_sq." + name)), name));
            }
            assertEquals(3, CheckpointFolder.state(checkpoint).get("step").asLong());
            assertEquals(
                    12, CheckpointFolder.state(checkpoint).get("trainedImages").asLong());
            var description = DiTCheckpoint.describe(checkpoint.resolve(CheckpointFolder.EMA));
            assertEquals("EMA 0.5, after 3 steps", description.weights());
            assertEquals(new Glyphs(1, 8).classNames(), description.classNames());
        }
    }

    private static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, tensor) ->
                assertArrayEquals(Tensors.toFloats(tensor), Tensors.toFloats(actual.get(name)), name));
    }

    @Test
    void runFoldersAreNumberedAfterTheHighest() throws IOException {
        assertEquals(
                "000-DiT-S-2",
                RunFolder.create(results, "DiT-S/2", NO_VALUES)
                        .path()
                        .getFileName()
                        .toString());
        Files.createDirectory(results.resolve("041-other"));
        Files.createDirectory(results.resolve("unnumbered"));
        RunFolder next = RunFolder.create(results, "DiT-S/2", NO_VALUES);
        assertEquals("042-DiT-S-2", next.path().getFileName().toString());
        assertTrue(Files.isDirectory(next.checkpoints()) && Files.isDirectory(next.samples()));
    }

    @Test
    void anImpossibleCadenceIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new Cadence(0, 1, 1, 0, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> new Cadence(1, 0, 1, 0, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> new Cadence(1, 1, 0, 0, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> new Cadence(1, 1, 1, -2, -2, 0));
        assertThrows(IllegalArgumentException.class, () -> new Cadence(1, 1, 1, 0, 0, -1));
    }
}
