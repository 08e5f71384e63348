package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is written reaches the disk before the next step. Some network and container file systems cannot promise that; one warning says
 * so, and the work goes on. A disk that fails is another matter: that is an exception.
 */
public final class Durable {
    private static final Logger log = LoggerFactory.getLogger(Durable.class);
    private static final AtomicBoolean WARNED = new AtomicBoolean();

    private Durable() {}

    /** Makes the content of a file durable. */
    public static void force(Path file, FileChannel channel) throws IOException {
        try {
            channel.force(true);
        } catch (IOException e) {
            if (!isUnsupported(e)) throw e;
            warn(file.toAbsolutePath().getParent(), e);
        }
    }

    /** Makes the names in a folder durable: without this a power failure may forget a rename. */
    public static void forceFolder(Path folder) throws IOException {
        try {
            tryForceFolder(folder);
        } catch (IOException e) {
            if (!isUnsupported(e)) throw e;
            warn(folder, e);
        }
    }

    /**
     * As {@link #forceFolder}, but says where it cannot be done.
     *
     * @throws IOException also if the file system does not do that
     */
    public static void tryForceFolder(Path folder) throws IOException {
        // only POSIX systems open a folder as a file
        if (!folder.getFileSystem().supportedFileAttributeViews().contains("posix")) return;
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /** Whether the file system lacks the operation, rather than failing at it: ENOSYS, EINVAL, ENOTSUP, EOPNOTSUPP, EISDIR, EBADF, EACCES. */
    public static boolean isUnsupported(IOException e) {
        String message = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
        return e instanceof java.nio.file.AccessDeniedException
                || Stream.of(
                                "not implemented",
                                "invalid argument",
                                "not supported",
                                "is a directory",
                                "bad file descriptor")
                        .anyMatch(message::contains);
    }

    private static void warn(Path folder, IOException e) {
        log.debug("{} cannot be forced", folder, e);
        if (!WARNED.getAndSet(true))
            log.warn(
                    "the file system of {} does not force what is written to the disk ({}): all is well if a process dies,"
                            + " but after a power failure the newest files may be gone or damaged",
                    folder,
                    e.getMessage());
    }
}
