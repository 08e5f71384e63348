package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.io.FormatException;
import org.dit4j.run.SaveException;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.train.DivergedException;
import org.junit.jupiter.api.Test;

class FailureTest {
    private static void assertFailure(ExitCode exitCode, String message, Throwable thrown) {
        Failure failure = Failure.of(thrown);
        assertEquals(exitCode, failure.exitCode);
        assertEquals(message, failure.getMessage());
    }

    @Test
    void aCallersMistakeIsUsageAndABadFileIsData() {
        assertFailure(ExitCode.USAGE, "epochs is 0", new IllegalArgumentException("epochs is 0"));
        assertFailure(ExitCode.DATA, "a.idx: cut short", new FormatException(Path.of("a.idx"), "cut short"));
        assertFailure(ExitCode.DATA, "a.idx: cut short", new UncheckedIOException(new IOException("a.idx: cut short")));
    }

    @Test
    void aCheckpointThatCannotBeWrittenIsNoBadDatum() {
        assertFailure(
                ExitCode.CHECKPOINT,
                "no checkpoint was written: c: permission denied: the checkpoint of step 2 needs 9 bytes, c has 10 free",
                new SaveException(new IOException(
                        "c: permission denied: the checkpoint of step 2 needs 9 bytes, c has 10 free")));
        assertFailure(
                ExitCode.DISK_FULL,
                "disk full: No space left on device: c has 0 free\nmake room, or write elsewhere",
                new SaveException(new IOException("No space left on device: c has 0 free")));
    }

    @Test
    void filesThatAreNotThereAreSaidInWords() {
        assertFailure(ExitCode.DATA, "x.png: no such file or folder", new NoSuchFileException("x.png"));
        assertFailure(ExitCode.DATA, "x: give an IDX file", new NoSuchFileException("x", null, "give an IDX file"));
        assertFailure(ExitCode.DATA, "x.png: permission denied", new AccessDeniedException("x.png"));
        assertFailure(
                ExitCode.DATA,
                "x.png: no such file or folder",
                new IOException("x.png", new NoSuchFileException("x.png"))); // of a thread that reads
    }

    @Test
    void theStageSaysWhoseBadFileItIs() {
        Failure failure = assertThrows(
                Failure.class,
                () -> Failure.as(ExitCode.CHECKPOINT, () -> {
                    throw new NoSuchFileException("ema.safetensors");
                }));
        assertEquals(ExitCode.CHECKPOINT, failure.exitCode);
        assertSame(failure, Failure.of(failure));
        assertThrows(
                IllegalArgumentException.class,
                () -> Failure.as(ExitCode.CHECKPOINT, () -> {
                    throw new IllegalArgumentException("not the file's fault");
                }));
    }

    @Test
    void aLossThatIsNoNumberIsDiverged() {
        assertFailure(
                ExitCode.DIVERGED, "the loss is NaN at step 7", new DivergedException("the loss is NaN at step 7"));
    }

    @Test
    void aFullDiskOutranksTheStage() {
        IOException full = new FileSystemException("ema.safetensors", null, "No space left on device");
        Failure failure = Failure.of(new Failure(ExitCode.CHECKPOINT, "cannot save", full));
        assertEquals(ExitCode.DISK_FULL, failure.exitCode);
        assertTrue(failure.getMessage().startsWith("disk full: ema.safetensors: No space left on device\n"));
    }

    @Test
    void memoryThatLibTorchDoesNotGetIsOutOfMemory() {
        Backend.load();
        try (TensorScope scope = new TensorScope()) {
            RuntimeException thrown = assertThrows(
                    RuntimeException.class, () -> torch.ones(1L << 55).close());
            Failure failure = Failure.of(thrown);
            assertEquals(ExitCode.OUT_OF_MEMORY, failure.exitCode, failure.getMessage());
            assertEquals(2, failure.getMessage().lines().count());
        }
    }

    @Test
    void outOfMemoryIsRecognisedOnTheHeapAndOnTheGpu() {
        assertEquals(ExitCode.OUT_OF_MEMORY, Failure.of(new OutOfMemoryError("Java heap space")).exitCode);
        assertEquals(
                ExitCode.OUT_OF_MEMORY,
                Failure.of(new RuntimeException(
                                "CUDA out of memory. Tried to allocate 2.00 GiB\nException raised from x"))
                        .exitCode);
    }

    @Test
    void outOfMemoryOutsideOfLibTorchsAllocatorIsNoFailureOfTheDevice() {
        assertEquals(
                ExitCode.OUT_OF_MEMORY,
                Failure.of(new RuntimeException("CUDA error: out of memory\nCompile with x")).exitCode);
    }

    @Test
    void nativeLibrariesThatDoNotLoadAreTheDevice() {
        assertEquals(
                ExitCode.DEVICE,
                Failure.of(new IllegalStateException("LibTorch does not load", new UnsatisfiedLinkError("no jnitorch")))
                        .exitCode);
        assertEquals(
                ExitCode.DEVICE, Failure.of(new RuntimeException("CUDA error: no kernel image is available")).exitCode);
    }

    @Test
    void ofLibTorchsErrorsOnlyTheFirstLineIsShown() {
        Backend.load();
        try (TensorScope scope = new TensorScope()) {
            RuntimeException thrown = assertThrows(
                    RuntimeException.class,
                    () -> torch.matmul(torch.ones(2, 3), torch.ones(4, 5)).close());
            assertTrue(thrown.getMessage().lines().count() > 2, "the C++ frames that must not show");
            assertFailure(
                    ExitCode.INTERNAL,
                    "internal error: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)\n"
                            + "run it again with --debug and report what it prints",
                    thrown);
        }
    }

    @Test
    void anythingElseIsInternalAndSaysWhatItWas() {
        assertEquals(
                "internal error: NullPointerException\nrun it again with --debug and report what it prints",
                Failure.of(new NullPointerException()).getMessage());
        assertEquals(ExitCode.INTERNAL, Failure.of(new IllegalStateException("wrong order")).exitCode);
    }

    @Test
    void aMessageHasAtMostFiveLines() {
        Failure failure = Failure.of(new IllegalStateException("a\nb\nc\nd\ne\nf\ng"));
        assertEquals(5, failure.getMessage().lines().count());
    }
}
