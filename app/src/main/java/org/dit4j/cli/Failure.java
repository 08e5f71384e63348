package org.dit4j.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.Callable;
import org.dit4j.report.ErrorText;
import org.dit4j.run.SaveException;
import org.dit4j.train.DivergedException;

/** A command that cannot go on: the exit code, and a message for the person at the terminal. The one place that maps exceptions to both. */
final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;

    final ExitCode exitCode;

    Failure(ExitCode exitCode, String message) {
        this(exitCode, message, null);
    }

    Failure(ExitCode exitCode, String message, Throwable cause) {
        super(message, cause);
        this.exitCode = exitCode;
    }

    /** Runs {@code action}; what it throws for its own reasons (bad files, wrong state) fails with {@code exitCode}. */
    static <T> T as(ExitCode exitCode, Callable<T> action) {
        try {
            return action.call();
        } catch (Failure e) {
            throw e;
        } catch (IOException | UncheckedIOException | IllegalStateException e) {
            throw new Failure(exitCode, text(e), e);
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new Failure(ExitCode.INTERNAL, text(e), e);
        }
    }

    /** The exit code and the message for whatever was thrown. What the machine lacks (memory, disk, libraries) outranks where it was noticed. */
    static Failure of(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            String message = String.valueOf(cause.getMessage());
            if (isDiskFull(message))
                return new Failure(
                        ExitCode.DISK_FULL, "disk full: " + text(cause) + "\nmake room, or write elsewhere", thrown);
            if (cause instanceof OutOfMemoryError && message.contains("native thread"))
                return new Failure(
                        ExitCode.OUT_OF_MEMORY,
                        "no more threads: " + firstLine(message)
                                + "\nthis user or container may have too few: raise the limit (docker run --pids-limit, ulimit -u)"
                                + ", or take fewer (--num-workers 0)",
                        thrown);
            if (cause instanceof OutOfMemoryError && isOfJava(message))
                return new Failure(
                        ExitCode.OUT_OF_MEMORY,
                        "out of memory: " + firstLine(message) + ", Java's own, of which there may be "
                                + (Runtime.getRuntime().maxMemory() >> 20)
                                + " MiB\ngive it more: DIT_JAVA_OPTS=-Xmx8g dit ...; tensors lie elsewhere",
                        thrown);
            if (cause instanceof OutOfMemoryError || isOutOfMemory(message))
                return new Failure(
                        ExitCode.OUT_OF_MEMORY,
                        "out of memory: " + firstLine(message)
                                + "\ntake a smaller batch, a smaller model or --precision bf16",
                        thrown);
            if (cause instanceof LinkageError || message.startsWith("CUDA error") || message.startsWith("CUDA driver"))
                return new Failure(ExitCode.DEVICE, "device or native library: " + text(cause), thrown);
        }
        if (thrown instanceof Failure failure) return failure;
        if (thrown instanceof IllegalArgumentException) return new Failure(ExitCode.USAGE, text(thrown), thrown);
        if (thrown instanceof SaveException)
            return new Failure(ExitCode.CHECKPOINT, "no checkpoint was written: " + text(thrown), thrown);
        if (thrown instanceof DivergedException) return new Failure(ExitCode.DIVERGED, text(thrown), thrown);
        if (thrown instanceof IOException || thrown instanceof UncheckedIOException)
            return new Failure(ExitCode.DATA, text(thrown), thrown);
        return new Failure(
                ExitCode.INTERNAL,
                "internal error: " + text(thrown) + "\nrun it again with --debug and report what it prints",
                thrown);
    }

    private static boolean isDiskFull(String message) {
        return message.contains("No space left on device")
                || message.contains("Disk quota exceeded")
                || message.contains("not enough space on the disk");
    }

    /** Whether it is the memory that Java keeps its objects in: pictures, lists of files, text. */
    private static boolean isOfJava(String message) {
        return message.contains("Java heap space")
                || message.contains("GC overhead limit")
                || message.contains("array size exceeds VM limit")
                || message.contains("Metaspace");
    }

    private static boolean isOutOfMemory(String message) {
        return message.contains("CUDA out of memory")
                || message.contains("CUDA error: out of memory")
                || message.contains("can't allocate memory")
                || message.contains("not enough memory");
    }

    private static String text(Throwable thrown) {
        return thrown instanceof Failure ? thrown.getMessage() : ErrorText.of(thrown);
    }

    private static String firstLine(String message) {
        return message.lines().findFirst().orElse("");
    }
}
