package org.dit4j.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import org.dit4j.io.FormatException;
import org.dit4j.train.DivergedException;

/** What was thrown, in words for people. */
public final class ErrorText {
    private static final int MAX_LINES = 4;

    private ErrorText() {}

    /** One message of at most {@link #MAX_LINES} lines; of LibTorch's errors the first line, the rest being C++ frames. */
    public static String of(Throwable thrown) {
        if (thrown instanceof UncheckedIOException wrapper) return of(wrapper.getCause());
        String message = thrown.getMessage();
        // what another thread threw, as this one says it again
        if (thrown.getCause() instanceof FileSystemException cause
                && String.valueOf(cause.getMessage()).equals(message)) return of(cause);
        // these carry only the path as message, or path and a system's words
        if (thrown instanceof NoSuchFileException e)
            return e.getFile() + ": " + (e.getReason() == null ? "no such file or folder" : e.getReason());
        if (thrown instanceof AccessDeniedException e) return e.getFile() + ": permission denied";
        if (thrown instanceof FileAlreadyExistsException e) return e.getFile() + ": a file is there, not a folder";
        if (thrown instanceof NotDirectoryException e) return e.getFile() + ": not a folder";
        if (thrown instanceof FileSystemException e && e.getReason() == null)
            return e.getFile() + ": " + e.getClass().getSimpleName();
        if (message == null || message.isBlank()) return thrown.getClass().getSimpleName();
        if (message.contains("\nException raised from") || message.contains("CapturedTraceback"))
            return message.lines().findFirst().orElse("");
        boolean says = thrown instanceof IllegalArgumentException
                || thrown instanceof IllegalStateException
                || thrown instanceof IOException
                || thrown instanceof DivergedException
                || thrown.getClass() == RuntimeException.class;
        return (says ? "" : thrown.getClass().getSimpleName() + ": ")
                + String.join(
                        "\n",
                        message.lines()
                                // these are lists that limit themselves
                                .limit(thrown instanceof FormatException ? Long.MAX_VALUE : MAX_LINES)
                                .toList());
    }
}
