package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.pytorch.NoGradGuard;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.data.Dataset;
import org.dit4j.data.Subset;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;
import org.dit4j.train.ValidationLosses;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** However a run ends, the last whole step is saved before, and a run that goes on from there is the one that never ended. */
class EndingsTest {
    @TempDir
    private Path temporary;

    private TinyRun run(String name) {
        return new TinyRun(temporary.resolve(name));
    }

    private static String newest(RunFolder folder) throws IOException {
        return CheckpointFolder.newestWhole(folder.checkpoints(), line -> {})
                .map(path -> path.getFileName().toString())
                .orElse("none");
    }

    /** The data of a run, which fail from a sample on. */
    private static Dataset failing(Dataset data, long sample, Throwable failure) {
        return (Dataset) Proxy.newProxyInstance(
                Dataset.class.getClassLoader(), new Class<?>[] {Dataset.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("sample") && (long) arguments[1] >= sample) throw failure;
                    try {
                        return method.invoke(data, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private static Throwable thrown(String name) {
        return switch (name) {
            case "IOException" -> new IOException("as if");
            case "IllegalStateException" -> new IllegalStateException("as if");
            case "OutOfMemoryError" -> new OutOfMemoryError("as if");
            case "StackOverflowError" -> new StackOverflowError("as if");
            case "NoClassDefFoundError" -> new NoClassDefFoundError("as if");
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static <T extends Throwable> void raise(Throwable thrown) throws T {
        @SuppressWarnings("unchecked")
        T any = (T) thrown;
        throw any;
    }

    @ParameterizedTest
    @CsvSource({
        "IOException, 0",
        "IllegalStateException, 0",
        "OutOfMemoryError, 0",
        "StackOverflowError, 2",
        "IllegalStateException, 2",
        "OutOfMemoryError, 2"
    })
    void whateverTheDataThrowCostsNoStep(String name, int numWorkers) throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun run = run("run");
        Dataset whole = run.data;
        run.numWorkers = numWorkers;
        run.data = failing(whole, 4 * 7, thrown(name));
        Throwable failure = assertThrows(Throwable.class, run::train);
        assertTrue(failure.toString().contains("as if"), failure.toString());
        assertEquals("step-0000007", newest(run.folder()));
        run.data = whole;
        TinyRun.assertSame(expected, run.train());
    }

    /** Step 6 is logged, step 7 is not, step 8 is saved, and step 20 is the last. */
    @ParameterizedTest
    @CsvSource({
        "IOException, 6",
        "IllegalStateException, 7",
        "OutOfMemoryError, 8",
        "StackOverflowError, 1",
        "NoClassDefFoundError, 20"
    })
    void whateverAListenerThrowsAfterAStepCostsNoStep(String name, int step) throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun run = run("run");
        Throwable failure = thrown(name);
        TrainingListener throwing = new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) {
                if (trainer.steps() == step) EndingsTest.<RuntimeException>raise(failure);
                return true;
            }
        };
        assertSame(failure, assertThrows(Throwable.class, () -> run.train(throwing)));
        assertEquals(String.format("step-%07d", step), newest(run.folder()));
        assertTrue(Files.readString(run.folder().log()).contains("Ended after step " + step + " by " + failure));
        TinyRun.assertSame(expected, run.train());
    }

    @Test
    void aListenerThatCannotBeToldAnythingCostsNoStep() throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun run = run("run");
        TrainingListener throwing = new TrainingListener() {
            @Override
            public void onMessage(String message) throws IOException {
                throw new IOException("broken pipe, " + message);
            }

            @Override
            public boolean onStep(Trainer trainer) throws IOException {
                while (trainer.steps() == 6 && newest(run.folder()).equals("none")) Thread.onSpinWait();
                return true;
            }
        };
        String message =
                assertThrows(IOException.class, () -> run.train(throwing)).getMessage();
        assertTrue(message.startsWith("broken pipe, Saved checkpoint to "), message);
        assertTrue(newest(run.folder()).compareTo("step-0000005") >= 0, newest(run.folder()));
        TinyRun.assertSame(expected, run.train());
    }

    @ParameterizedTest
    @ValueSource(strings = {"IOException", "IllegalStateException", "OutOfMemoryError", "NoClassDefFoundError"})
    void whatIsOnlyShownNeverCostsTheRun(String name) throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun run = run("run");
        run.cadence = new Cadence(20, 3, 4, 5, 5, 0);
        run.validation = Optional.of(new Validation(Subset.heldOut(run.data, 10, 0)));
        TrainingListener throwing = new TrainingListener() {
            @Override
            public void onLog(Trainer trainer, TrainingLog log) {
                EndingsTest.<RuntimeException>raise(thrown(name));
            }

            @Override
            public void onSamples(Trainer trainer) {
                EndingsTest.<RuntimeException>raise(thrown(name));
            }

            @Override
            public void onValidation(Trainer trainer, ValidationLosses losses) {
                EndingsTest.<RuntimeException>raise(thrown(name));
            }
        };
        RunFolder folder = run.train(throwing);
        TinyRun.assertSame(expected, folder);
        String log = Files.readString(folder.log());
        for (String what : new String[] {"report of the log of step 3", "samples of step 5", "validation of step 20"})
            assertTrue(log.contains(what + ": ") && log.contains("as if"), log);
    }

    @Test
    void aValidationThatFailsNeverCostsTheRun() throws IOException {
        RunFolder expected = run("whole").train();
        for (String name : new String[] {"IOException", "IllegalStateException", "OutOfMemoryError"}) {
            TinyRun run = run(name);
            run.cadence = new Cadence(20, 3, 4, 0, 5, 0);
            run.safety = new Safety(Safety.DEFAULT.retention(), Safety.OnSaveFailure.STOP, 10, 3);
            Dataset heldOut = Subset.heldOut(run.data, 10, 0);
            run.validation = Optional.of(new Validation(failing(heldOut, 0, thrown(name))));
            RunFolder folder = run.train();
            TinyRun.assertSame(expected, folder);
            assertTrue(Files.readString(folder.log()).contains("No validation of step 5: "));
        }
    }

    @Test
    void aCheckpointThatIsAskedForIsWrittenAndTheRunGoesOn() throws IOException {
        RunFolder expected = run("whole").train();
        TinyRun run = run("run");
        run.cadence = new Cadence(20, 3, 50, 0, 0, 0);
        try (TrainingRun opened = run.open()) {
            TrainingListener asking = new TrainingListener() {
                @Override
                public boolean onStep(Trainer trainer) {
                    if (trainer.steps() == 5) opened.save();
                    return true;
                }
            };
            assertEquals(TrainingRun.Ending.FINISHED, opened.run(asking));
        }
        assertEquals(
                java.util.List.of("LATEST", "step-0000005", "step-0000020"),
                TinyRun.names(run.folder().checkpoints()));
        TinyRun.assertSame(expected, run.folder());
    }

    /** Ends a run by {@link Future#cancel} so many microseconds after its first step; returns what became of it. */
    private static void cancelAfter(TinyRun run, long micros, TrainingRun.Ending[] ending) throws Exception {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        java.util.concurrent.CountDownLatch begun = new java.util.concurrent.CountDownLatch(1);
        Future<?> training = thread.submit(() -> {
            try (TrainingRun opened = run.open()) {
                TrainingListener first = new TrainingListener() {
                    @Override
                    public boolean onStep(Trainer trainer) {
                        begun.countDown();
                        return true;
                    }
                };
                ending[0] = opened.run(first);
                if (ending[0] == TrainingRun.Ending.STOPPED)
                    assertTrue(Thread.currentThread().isInterrupted(), "whoever interrupted can see it");
            } catch (Throwable e) {
                failure.set(e);
            }
            return null;
        });
        begun.await();
        long at = System.nanoTime() + 1000 * micros;
        while (System.nanoTime() < at) Thread.onSpinWait();
        training.cancel(true);
        thread.shutdown();
        assertTrue(thread.awaitTermination(1, TimeUnit.MINUTES));
        if (failure.get() != null) throw new AssertionError("cancelled after " + micros + " µs", failure.get());
    }

    private void interrupts(int count) throws Exception {
        TinyRun whole = run("whole"), run = run("run");
        run.maxSteps = 1_000_000;
        run.cadence = new Cadence(20, 1, 3, 0, 2, 0);
        run.validation = Optional.of(new Validation(Subset.heldOut(run.data, 4, 0)));
        TrainingRun.Ending[] ending = {null};
        long step = 0;
        for (int i = 0; i < count; i++) {
            run.numWorkers = i % 2;
            cancelAfter(run, 977L * i % 40_000, ending);
            assertEquals(TrainingRun.Ending.STOPPED, ending[0]);
            Path newest = CheckpointFolder.newestWhole(run.folder().checkpoints(), damage -> {
                        throw new AssertionError(damage);
                    })
                    .orElseThrow();
            long saved = CheckpointFolder.state(newest).get("step").asLong();
            assertTrue(saved > step, "interrupt " + i + ": " + saved + " after " + step);
            step = saved;
            String log = Files.readString(run.folder().log());
            assertTrue(log.strip().endsWith("Stopped at step " + step), log.substring(Math.max(0, log.length() - 300)));
        }
        run.maxSteps = (int) step + 2;
        whole.maxSteps = run.maxSteps;
        whole.cadence = run.cadence;
        TinyRun.assertSame(whole.train(), run.train());
    }

    @Test
    void anInterruptStopsAtTheNextStepAndCostsNone() throws Exception {
        interrupts(12);
    }

    @Test
    @Tag("slow")
    void aThousandInterruptsCostNoStep() throws Exception {
        interrupts(1000);
    }

    @Test
    void aRunWhoseThreadIsInterruptedAlreadyStopsAfterAStep() throws IOException {
        TinyRun run = run("run");
        try (TrainingRun opened = run.open()) {
            Thread.currentThread().interrupt();
            assertEquals(TrainingRun.Ending.STOPPED, opened.run(new TrainingListener() {}));
            assertTrue(Thread.interrupted());
        }
        assertEquals("step-0000001", newest(run.folder()));
    }

    @Test
    void aStepThatFailsWhileItChangesTheWeightsIsNotSaved() throws IOException {
        TinyRun run = run("run");
        TrainingListener breaking = new TrainingListener() {
            @Override
            public boolean onStep(Trainer trainer) {
                if (trainer.steps() != 6) return true;
                try (NoGradGuard noGrad = new NoGradGuard()) {
                    trainer.state().average().resize_(3);
                }
                return true;
            }
        };
        try (TrainingRun opened = run.open()) {
            assertThrows(RuntimeException.class, () -> opened.run(breaking));
            assertFalse(opened.trainer().state().isIntact());
        }
        assertEquals("step-0000004", newest(run.folder()));
    }
}
