package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.NativeObjects;
import org.dit4j.data.Dataset;
import org.dit4j.data.Glyphs;
import org.dit4j.data.RandomLatents;
import org.dit4j.data.Subset;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;
import org.dit4j.train.ValidationLosses;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ValidatedRunTest {
    private static final Dataset GLYPHS = new Glyphs(3, 8);

    @TempDir
    private Path temporary;

    private TinyRun run(String name) {
        TinyRun run = new TinyRun(temporary.resolve(name));
        run.validation = Optional.of(of(30));
        run.cadence = new Cadence(20, 3, 4, 0, 5, 0);
        return run;
    }

    private static Validation of(int numItems) {
        return new Validation(Subset.heldOut(GLYPHS, numItems, 1));
    }

    @Test
    void theSameWeightsHaveTheSameLossesToTheLastBitAndLeaveNothingBehind() throws IOException {
        Validation validation = of(40);
        try (TrainingRun training = run("repeated").open()) {
            training.run(new TrainingListener() {});
            ValidationLosses once = validation.losses(training.trainer());
            long objects = NativeObjects.settled();
            ValidationLosses again = validation.losses(training.trainer());
            assertEquals(objects, Pointer.totalCount());
            assertEquals(once.loss(), again.loss());
            assertEquals(once.buckets(), again.buckets());
        }
    }

    @Test
    void validationChangesNothingInTheTraining() throws IOException {
        TinyRun without = run("without");
        without.validation = Optional.empty();
        RunFolder plain = without.train();
        assertFalse(Files.exists(plain.validation()));
        RunFolder validated = run("with").train();
        TinyRun.assertSame(plain, validated);
        assertEquals(List.of(5L, 10L, 15L, 20L), steps(validated));
    }

    private static List<Long> steps(RunFolder folder) throws IOException {
        return ValidationLog.read(folder.validation()).stream()
                .map(ValidationLosses::step)
                .toList();
    }

    private static List<List<Double>> values(RunFolder folder) throws IOException {
        List<List<Double>> values = new ArrayList<>();
        for (ValidationLosses losses : ValidationLog.read(folder.validation())) values.add(losses.buckets());
        return values;
    }

    @Test
    void aRunThatWasStoppedAsAValidationWasDueMakesUpForIt() throws IOException {
        TinyRun stopped = run("due");
        stopped.trainAndStopAt(10);
        assertEquals(List.of(5L), steps(stopped.folder()));
        assertEquals(List.of(5L, 10L, 15L, 20L), steps(stopped.train()));
        assertEquals(List.of(5L, 10L, 15L, 20L), steps(stopped.train()), "not again");
    }

    @Test
    void aRunThatGoesOnCutsOffWhatCameAfterItsCheckpoint() throws IOException {
        RunFolder whole = run("whole").train();
        TinyRun stopped = run("stopped");
        stopped.trainAndStopAt(13);
        RunFolder folder = stopped.folder();
        assertEquals(List.of(5L, 10L), steps(folder));
        String line = Files.readAllLines(folder.validation()).get(1);
        Files.writeString(
                folder.validation(),
                line.replace("\"step\":10", "\"step\":15") + "\n" + line.substring(0, 20),
                StandardOpenOption.APPEND);
        List<Long> heard = new ArrayList<>();
        stopped.train(new TrainingListener() {
            @Override
            public void onValidation(Trainer trainer, ValidationLosses losses) {
                heard.add(losses.step());
            }
        });
        assertEquals(List.of(15L, 20L), heard);
        assertEquals(List.of(5L, 10L, 15L, 20L), steps(folder));
        assertEquals(values(whole), values(folder));
        String log = Files.readString(folder.log());
        assertTrue(log.contains("Validation on 30 held out of glyphs: "), log);
        assertTrue(log.contains("(step=0000020) Validation Loss: "), log);
    }

    @Test
    void otherPicturesOrClassesThanTheTrainingsAreRefused() {
        TinyRun run = run("refused");
        run.validation = Optional.of(new Validation(Subset.heldOut(new Glyphs(3, 16), 5, 0)));
        assertThrows(IllegalArgumentException.class, run::open);
        run.validation = Optional.of(new Validation(Subset.heldOut(new RandomLatents(3, 8, 8, 10), 5, 0)));
        String message = assertThrows(IllegalArgumentException.class, run::open).getMessage();
        assertTrue(message.startsWith("the classes to validate on, [class 0, "), message);
        assertThrows(IllegalArgumentException.class, () -> new Validation(GLYPHS));
    }
}
