package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.Retention;
import org.dit4j.data.BrokenLatents;
import org.dit4j.data.Dataset;
import org.dit4j.run.Safety.OnSaveFailure;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.train.DivergedException;
import org.dit4j.train.Trainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ResumeTest {
    @TempDir
    private Path temporary;

    private TinyRun run(String name) {
        return new TinyRun(temporary.resolve(name));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 4, 10, 12, 19})
    void aRunThatWasStoppedIsTheSameAsOneThatWasNot(int step) throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun stopped = run("stopped");
        stopped.trainAndStopAt(step);
        stopped.numWorkers = 2;
        TinyRun.assertSame(expected, stopped.train());
        assertEquals(6 + 1, TinyRun.metrics(expected).size(), "every third of 20 steps, and the last");
    }

    @Test
    void aRunGoesOnInALocaleWithOtherDigits() throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun stopped = run("stopped");
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG"));
            stopped.trainAndStopAt(6);
            stopped.trainAndStopAt(10);
        } finally {
            Locale.setDefault(before);
        }
        TinyRun.assertSame(expected, stopped.train());
        assertEquals(List.of("000-tiny"), TinyRun.names(stopped.results));
    }

    @Test
    void aRunGoesOnWithMoreStepsThanItWasBegunWith() throws IOException {
        TinyRun shorter = run("shorter"), whole = run("whole");
        whole.maxSteps = 18;
        shorter.maxSteps = 9; // a multiple of the steps to a log, which the last step writes too
        shorter.train();
        shorter.maxSteps = 18;
        TinyRun.assertSame(whole.train(), shorter.train());
    }

    @Test
    void aSmallerMicroBatchKeepsTheSamples() throws IOException {
        TinyRun run = run("run");
        run.trainAndStopAt(3);
        run.microBatchSize = 2;
        RunFolder folder = run.train();
        assertEquals(List.of("000-tiny"), TinyRun.names(run.results));
        assertEquals(
                80, CheckpointFolder.state(newest(folder)).get("trainedImages").asLong());
    }

    private static Path newest(RunFolder folder) throws IOException {
        return CheckpointFolder.newestWhole(folder.checkpoints(), line -> {}).orElseThrow();
    }

    @Test
    void aFinishedRunHasNothingToDo() throws IOException {
        TinyRun run = run("run");
        RunFolder folder = run.train();
        List<String> metrics = TinyRun.metrics(folder), checkpoints = TinyRun.names(folder.checkpoints());
        run.train();
        assertEquals(metrics, TinyRun.metrics(folder));
        assertEquals(checkpoints, TinyRun.names(folder.checkpoints()));
        assertEquals(List.of("LATEST", "step-0000012", "step-0000016", "step-0000020"), checkpoints);
    }

    @Test
    void anotherSeedIsAnotherRun() throws IOException {
        TinyRun run = run("run");
        run.maxSteps = 1;
        run.train();
        run.seed = 8;
        run.train();
        assertEquals(List.of("000-tiny", "001-tiny"), TinyRun.names(run.results));
        run.seed = 7;
        assertEquals("000-tiny", run.train().path().getFileName().toString());
    }

    @Test
    void theNewestWholeCheckpointIsContinued() throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun run = run("damaged");
        run.trainAndStopAt(10);
        RunFolder folder = run.folder();
        Path newest = newest(folder);
        Path file = newest.resolve(CheckpointFolder.EMA);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length / 2] ^= 1;
        Files.write(file, bytes);
        TinyRun.assertSame(expected, run.train());
        assertTrue(Files.readString(folder.log()).contains("Skipped a damaged checkpoint: " + file));
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList())
                Files.copy(file, to.resolve(file.getFileName().toString()));
        }
    }

    /** Of another seed; of another learning rate is the same to this. */
    @Test
    void aCheckpointOfAnotherRunIsNotGoneOnWith() throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun other = run("other"), run = run("run");
        other.seed = 8;
        RunFolder foreign = other.train();
        run.trainAndStopAt(6);
        RunFolder folder = run.folder();
        copy(newest(foreign), folder.checkpoints().resolve("step-0000020"));
        TinyRun.assertSame(expected, run.train());
        assertTrue(Files.readString(folder.log())
                .contains("Skipped a checkpoint: " + folder.checkpoints().resolve("step-0000020")
                        + " is of another run: seed: 8, was 7"));
    }

    @Test
    void aRunThatHasAnotherRunsCheckpointsOnlyIsNotSilentlyBegunAnew() throws IOException {
        TinyRun other = run("other"), run = run("run");
        other.seed = 8;
        copy(newest(other.train()), run.folder().checkpoints().resolve("step-0000020"));
        String message = assertThrows(IOException.class, run::open).getMessage();
        assertTrue(message.contains(" is of this run: ") && message.contains("seed: 8, was 7"), message);
    }

    /** The folder says still what it began with, and its log what came after. */
    @Test
    void aRunWhoseSettingsWereChangedGoesOnFromItsOwnCheckpoints() throws IOException {
        TinyRun run = run("run");
        run.trainAndStopAt(6);
        RunFolder folder = run.folder();
        for (int seed : new int[] {8, 9, 7}) {
            run.seed = seed;
            long before = CheckpointFolder.state(newest(folder)).get("step").asLong();
            try (TrainingRun opened = TrainingRun.open(folder, run.plan(), run.data)) {
                assertEquals(before, opened.trainer().steps(), "with seed " + seed);
                assertEquals(TrainingRun.Ending.FINISHED, opened.run(new TrainingListener() {
                    @Override
                    public boolean onStep(Trainer trainer) {
                        return trainer.steps() < before + 3;
                    }
                }));
            }
        }
        assertFalse(Files.readString(folder.log()).contains("Skipped"));
    }

    @Test
    void aRunWithoutAWholeCheckpointIsNotSilentlyBegunAnew() throws IOException {
        TinyRun run = run("run");
        run.trainAndStopAt(2);
        Files.delete(newest(run.folder()).resolve(CheckpointFolder.MODEL));
        String message = assertThrows(IOException.class, run::open).getMessage();
        assertTrue(message.startsWith("no checkpoint of " + run.folder().path() + " is whole: "), message);
        assertTrue(message.endsWith("start another run with --resume never"), message);
    }

    @Test
    void oneFolderHasOneTrainer() throws IOException {
        TinyRun run = run("run");
        try (TrainingRun first = run.open()) {
            String message =
                    assertThrows(IllegalArgumentException.class, run::open).getMessage();
            assertTrue(
                    message.contains(" is being trained by process "
                            + ProcessHandle.current().pid() + ";"),
                    message);
        }
        run.open().close();
    }

    @Test
    void aFolderOfAnotherModelIsRefused() throws IOException {
        TinyRun run = run("run");
        RunFolder folder = run.folder();
        Files.write(
                folder.path().resolve("run.json"),
                new RunIdentity(Map.of("version", "2", "model.depth", "another")).toJson());
        String message = assertThrows(
                        IllegalArgumentException.class, () -> TrainingRun.open(folder, run.plan(), run.data))
                .getMessage();
        assertTrue(message.contains(" trains another model: ") && message.contains(", was another"), message);
    }

    /** Every bit of run.json, and the file itself. */
    @Test
    void whatRunItIsStaysKnownWhenItsFolderDoesNotSayItAnyMore() throws IOException {
        TinyRun run = run("run");
        run.maxSteps = 8;
        run.trainAndStopAt(5);
        RunFolder folder = run.folder();
        RunIdentity identity = folder.identity();
        Path file = folder.path().resolve("run.json");
        byte[] whole = Files.readAllBytes(file);
        for (int bit = 0; bit < 8 * whole.length; bit++) {
            byte[] flipped = whole.clone();
            flipped[bit / 8] ^= (byte) (1 << bit % 8);
            try {
                assertEquals(identity, RunIdentity.ofJson(flipped), "bit " + bit); // as one between values may be
            } catch (IllegalArgumentException e) {
                // found
            }
        }
        whole[whole.length / 2] ^= 1;
        Files.write(file, whole);
        assertEquals(identity, folder.identity());
        assertEquals(folder, run.folder());
        Files.delete(file);
        assertEquals(List.of(folder), RunFolder.all(run.results));
        TinyRun never = run("never");
        never.maxSteps = 8;
        TinyRun.assertSame(never.train(), run.train());
        assertEquals(List.of("000-tiny"), TinyRun.names(run.results));
        assertArrayEquals(identity.toJson(), Files.readAllBytes(file));
    }

    @Test
    void aFolderOfCheckpointsThatIsNotThereIsNoNewRun() throws IOException {
        TinyRun run = run("run");
        run.trainAndStopAt(2);
        Path checkpoints = run.folder().checkpoints(), away = temporary.resolve("away");
        Files.move(checkpoints, away); // as if on a disk that is not mounted
        String message = assertThrows(NoSuchFileException.class, run::open).getReason();
        assertEquals(
                "the folder of the run's checkpoints is not there; bring it back, or start another run with --resume never",
                message);
        Files.move(away, checkpoints);
        Files.delete(run.folder().samples());
        run.open().close();
        assertTrue(Files.isDirectory(run.folder().samples()), "grids go on where somebody deleted the old ones");
    }

    @ParameterizedTest
    @ValueSource(ints = {10, 20})
    void aRunThatIsStoppedWhileItDrawsDrawsWhenItGoesOn(int step) throws IOException {
        TinyRun run = run("run");
        run.cadence = new Cadence(20, 3, 50, 5, 5, 0);
        RunFolder folder = run.folder();
        List<Long> drawn = new ArrayList<>();
        try (TrainingRun stopped = run.open()) {
            TrainingListener drawing = new TrainingListener() {
                @Override
                public void onSamples(Trainer trainer) throws IOException {
                    if (trainer.steps() == step) {
                        stopped.stop();
                        throw new CancellationException("as asked");
                    }
                    drawn.add(trainer.steps());
                    Files.createFile(folder.samples(trainer.steps()));
                }
            };
            assertEquals(TrainingRun.Ending.STOPPED, stopped.run(drawing));
        }
        assertEquals(CheckpointFolder.latest(folder.checkpoints()), Optional.of(newest(folder)));
        assertEquals(step, CheckpointFolder.state(newest(folder)).get("step").asLong());
        run.train(new TrainingListener() {
            @Override
            public void onSamples(Trainer trainer) {
                drawn.add(trainer.steps());
            }
        });
        assertEquals(List.of(5L, 10L, 15L, 20L), drawn);
    }

    @Test
    void dataThatCannotBeReadCostNoStep() throws IOException {
        TinyRun whole = run("whole"), run = run("run");
        RunFolder expected = whole.train();
        run.data = (Dataset) Proxy.newProxyInstance(
                Dataset.class.getClassLoader(), new Class<?>[] {Dataset.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("sample") && (long) arguments[1] >= 4 * 7)
                        throw new IOException("not mounted");
                    return method.invoke(whole.data, arguments);
                });
        String message = assertThrows(IOException.class, run::train).getMessage();
        assertEquals("not mounted", message);
        assertEquals("step-0000007", newest(run.folder()).getFileName().toString());
        run.data = whole.data;
        TinyRun.assertSame(expected, run.train());
    }

    @Test
    void aCopyBesideARunIsNotTakenForIt() throws IOException {
        TinyRun run = run("run");
        Path path = run.folder().path();
        for (String copy : List.of("000-tiny.bak", "000-tiny-2", "000-tinz")) {
            Path copied = Files.createDirectory(path.resolveSibling(copy));
            Files.copy(path.resolve("run.json"), copied.resolve("run.json"));
        }
        assertEquals(path, run.folder().path());
    }

    @Test
    void aRunOfWhichNothingCanBeReadStandsInNobodysWay() throws IOException {
        TinyRun run = run("run");
        RunFolder folder = run.train();
        Files.writeString(folder.path().resolve("run.json"), "{");
        Path state = CheckpointFolder.latest(folder.checkpoints()).orElseThrow().resolve("state.json");
        String whole = Files.readString(state);
        // of the same size, or an older checkpoint is asked
        for (String damaged :
                List.of(whole.replaceFirst("\\{", "?"), whole.replaceFirst("(\"seed\" *: *)\"\\d\"", "$1[ ]"))) {
            Files.writeString(state, damaged);
            assertEquals(
                    Optional.empty(),
                    RunFolder.find(run.results, run.config(), Precision.FP32, run.data, Origin.FRESH),
                    damaged);
        }
    }

    private static RunIdentity identity(TinyRun run) throws IOException {
        return run.identity();
    }

    @Test
    void aDamagedRunWithoutCheckpointsStandsInNobodysWay() throws IOException {
        TinyRun run = run("run");
        Path damaged = run.folder().path().resolve("run.json");
        Files.writeString(damaged, "{");
        assertEquals("001-tiny", run.train().path().getFileName().toString());
        Files.delete(damaged);
        assertEquals(List.of(run.folder()), RunFolder.all(run.results));
    }

    @Test
    void orphansOfACrashAreRemoved() throws IOException {
        TinyRun run = run("run");
        RunFolder folder = run.folder();
        Files.createDirectory(folder.checkpoints().resolve("step-0000004.tmp-x"));
        Files.writeString(folder.checkpoints().resolve("step-0000004.tmp-x").resolve("model.safetensors"), "half");
        Files.writeString(folder.checkpoints().resolve("LATEST.tmp-x"), "half");
        Files.writeString(folder.path().resolve("README.md.tmp-4194303-1"), "half");
        Files.writeString(folder.samples().resolve("step-0000004.png.tmp-4194303-12"), "half");
        run.open().close();
        assertEquals(List.of(), TinyRun.names(folder.checkpoints()));
        assertEquals(List.of(), TinyRun.names(folder.samples()));
        assertEquals(
                List.of("checkpoints", "data.json", "log.txt", "metrics.jsonl", "run.json", "run.lock", "samples"),
                TinyRun.names(folder.path()));
    }

    @Test
    void bytesThatAreNoTextAreLinesThatAreNone() throws IOException {
        TinyRun run = run("run");
        run.trainAndStopAt(10);
        RunFolder folder = run.folder();
        byte[] metrics = Files.readAllBytes(folder.metrics());
        metrics[1] = (byte) 0xff;
        Files.write(folder.metrics(), metrics);
        Files.write(folder.validation(), new byte[] {(byte) 0xc3, 0, '\n'});
        run.train();
        assertEquals(List.of(), ValidationLog.read(folder.validation()));
        assertEquals("step-0000020", newest(folder).getFileName().toString());
    }

    @Test
    void anInterruptDoesNotFreeWhatIsBeingSaved() throws IOException {
        TinyRun run = run("run");
        TrainingListener interrupting = new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) {
                if (trainer.steps() < 5) return true;
                Thread.currentThread().interrupt();
                throw new IllegalStateException("the step after the save of step 4");
            }
        };
        assertThrows(IllegalStateException.class, () -> run.train(interrupting));
        assertTrue(Thread.interrupted(), "still");
        assertEquals("step-0000005", newest(run.folder()).getFileName().toString());
    }

    /** So many steps of four samples, from the one after {@code steps} on. */
    private static BrokenLatents brokenAfter(long steps, long count) {
        return new BrokenLatents(
                LongStream.range(4 * steps, 4 * (steps + count)).boxed().toList());
    }

    private static Safety afterThreeSteps(int maxRollbacks) {
        return new Safety(new Retention(3, 0), OnSaveFailure.STOP, 3, maxRollbacks);
    }

    @Test
    void aRunGoesBackToItsLastCheckpointAfterTooManySkippedSteps() throws IOException {
        TinyRun run = run("run");
        run.data = brokenAfter(9, 3);
        run.cadence = new Cadence(20, 1, 4, 0, 0, 0);
        run.safety = afterThreeSteps(1);
        RunFolder folder = run.train();
        assertEquals(20, CheckpointFolder.state(newest(folder)).get("step").asLong());
        assertEquals(1, CheckpointFolder.state(newest(folder)).get("rollbacks").asLong());
        String log = Files.readString(folder.log());
        assertTrue(log.contains("Skipped 3 steps in a row, 3 in all: "), log);
        assertTrue(
                log.contains(
                        "Rolled back to the weights of " + folder.checkpoints().resolve("step-0000008")),
                log);
        assertTrue(TinyRun.metrics(folder).get(10).contains("\"loss\":null,"), "step 11 has no loss");
    }

    /** Never three in a row, so that it never goes back. */
    @Test
    void aRunSaysAtItsEndHowManyOfItsStepsTrainedNothing() throws IOException {
        TinyRun run = run("run");
        run.data = new BrokenLatents(LongStream.range(0, 80)
                .filter(sample -> sample / 4 % 3 != 2)
                .boxed()
                .toList());
        run.safety = afterThreeSteps(0);
        List<String> told = new ArrayList<>();
        RunFolder folder = run.train(new TrainingListener() {
            @Override
            public void onMessage(String message) {
                told.add(message);
            }
        });
        String line = "Of all 20 steps 14 were skipped and trained nothing: their loss or gradients were not finite";
        assertEquals(line, told.get(told.size() - 1));
        assertTrue(Files.readString(folder.log()).contains(line));
        assertEquals(
                14, CheckpointFolder.state(newest(folder)).get("skippedSteps").asLong());
    }

    @Test
    void aRunThatKeepsDivergingEnds() throws IOException {
        TinyRun run = run("run");
        run.data = brokenAfter(9, 100);
        run.cadence = new Cadence(20, 1, 4, 0, 0, 0);
        run.safety = afterThreeSteps(2);
        String message = assertThrows(DivergedException.class, run::train).getMessage();
        assertEquals(
                "the loss or the gradients of the last 3 steps up to step 18 are not finite, after 2 rollbacks;"
                        + " lower the learning rate, or clip the gradients (--clip-norm 1)",
                message);
        assertEquals("step-0000016", newest(run.folder()).getFileName().toString(), "saved after a rollback");
    }

    @Test
    void weightsThatAreNoNumbersAreNeverSaved() throws IOException {
        TinyRun run = run("run");
        run.safety = afterThreeSteps(0);
        TrainingListener breaker = new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) {
                if (trainer.steps() != 8) return true;
                try (TensorScope scope = new TensorScope()) {
                    trainer.state().average().narrow(0, 5, 1).fill_(new Scalar(Float.NaN));
                }
                return true;
            }
        };
        String message =
                assertThrows(DivergedException.class, () -> run.train(breaker)).getMessage();
        assertTrue(message.startsWith("weights are no longer finite at step 8, after 0 rollbacks;"), message);
        assertEquals(
                List.of("LATEST", "step-0000004"), TinyRun.names(run.folder().checkpoints()));
    }

    /** Takes the checkpoints' folder away at step 6 and gives it back at step 10; step 8 is to be saved between. */
    private static TrainingListener withoutADisk(RunFolder folder, List<Long> steps) {
        Path away = folder.path().resolve("away");
        return new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) throws IOException {
                steps.add(trainer.steps());
                if (trainer.steps() == 6) {
                    while (Files.notExists(folder.checkpoints().resolve("LATEST"))) Thread.onSpinWait();
                    Files.move(folder.checkpoints(), away);
                }
                if (trainer.steps() == 11) {
                    pause(); // the save of step 8 has long failed
                    Files.move(away, folder.checkpoints());
                }
                return true;
            }
        };
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(500);
        } catch (InterruptedException e) {
            throw new InterruptedIOException();
        }
    }

    @ParameterizedTest
    @EnumSource(OnSaveFailure.class)
    void aFailedSaveEndsTheRunOrNotAsConfigured(OnSaveFailure onFailure) throws IOException {
        TinyRun run = run("run");
        run.safety = new Safety(new Retention(9, 0), onFailure, 3, 0);
        RunFolder folder = run.folder();
        List<Long> steps = new ArrayList<>();
        if (onFailure == OnSaveFailure.STOP) {
            assertThrows(SaveException.class, () -> run.train(withoutADisk(folder, steps)));
            assertTrue(steps.get(steps.size() - 1) < 13, "it ended at " + steps);
            return;
        }
        run.train(withoutADisk(folder, steps));
        assertEquals(
                List.of("LATEST", "step-0000004", "step-0000012", "step-0000016", "step-0000020"),
                TinyRun.names(folder.checkpoints()));
        assertTrue(Files.readString(folder.log()).contains("Saving failed: "));
    }

    @Test
    void theLastSaveMustNotFail() throws IOException {
        TinyRun run = run("run");
        run.maxSteps = 8;
        run.safety = new Safety(new Retention(9, 0), OnSaveFailure.CONTINUE, 3, 0);
        assertThrows(SaveException.class, () -> run.train(withoutADisk(run.folder(), new ArrayList<>())));
    }

    private long addedStep;

    /** Logs a step with a loss; returns whether it is a spike. */
    private boolean added(MetricsLog metrics, double loss) throws IOException {
        boolean spike = metrics.isSpike(loss);
        TrainingLog.Time time = new TrainingLog.Time(Instant.EPOCH, 1, 4, Double.NaN, 0);
        metrics.add(new TrainingLog(++addedStep, 4, loss, 1, 1e-4, 0, spike, time));
        return spike;
    }

    @Test
    void aLossFarAboveThoseBeforeItIsFlagged() throws IOException {
        Path file = temporary.resolve("metrics.jsonl");
        MetricsLog first = new MetricsLog(file, 0);
        assertFalse(added(first, 9), "nothing to compare with");
        for (int i = 0; i < 5; i++) assertFalse(added(first, 1 + 0.1 * i));
        MetricsLog metrics = new MetricsLog(file, Files.size(file));
        assertTrue(added(metrics, 2.1), "remembered from the file");
        assertFalse(added(metrics, 1.7));
        assertFalse(added(metrics, Double.NaN));
        List<String> lines = Files.readAllLines(file);
        assertEquals(9, lines.size());
        assertTrue(lines.get(6).contains("\"spike\":true,\"time\":"), lines.get(6));
        new MetricsLog(file, lines.get(0).length() + 1);
        assertEquals(lines.subList(0, 1), Files.readAllLines(file));
        Files.write(file, Arrays.copyOf(Files.readAllBytes(file), lines.get(0).length() - 5)); // by somebody
        added(new MetricsLog(file, lines.get(0).length() + 1), 1);
        assertEquals(1, Files.readAllLines(file).size(), "no half line before it");
        assertTrue(Files.readString(file).startsWith("{\"step\":10,"), Files.readString(file));
    }

    /** The numbers in the names say nothing: they may be of processes in another container. */
    @Test
    void whatProcessesOfTheFirstVersionLeftOfAFolderIsRemovedWhenItIsOld() throws IOException {
        TinyRun run = run("run");
        Path old = Files.createDirectories(run.results.resolve(".new-4194303"));
        Files.writeString(old.resolve("run.json"), "{");
        Files.setLastModifiedTime(old, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
        Files.createDirectories(run.results.resolve(".new-1"));
        run.folder();
        assertEquals(List.of(".new-1", "000-tiny"), TinyRun.names(run.results));
    }

    @Test
    void whatDoesNotChangeTheResultIsNotPartOfTheIdentity() throws IOException {
        TinyRun run = run("run");
        RunIdentity identity = run.identity();
        run.maxSteps = 99;
        run.microBatchSize = 1;
        run.numWorkers = 3;
        assertEquals(identity.digest(), run.identity().digest());
        run.seed = 8;
        RunIdentity other = run.identity();
        assertFalse(identity.digest().equals(other.digest()));
        assertEquals(List.of("seed: 8, was 7"), other.differences(identity));
        assertEquals(
                List.of("digest", "identity"), List.copyOf(identity.toState().keySet()), "in every process");
        run.data = new BrokenLatents(List.of());
        assertEquals(2, run.identity().differences(identity).size(), "data, seed");
    }
}
