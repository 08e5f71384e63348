package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Locks of the operating system, which end with the process that has them. Some network and container file systems have none; what
 * cannot be locked there is used all the same, and one warning says what is not guaranteed.
 */
public final class FileLocks {
    private static final Logger log = LoggerFactory.getLogger(FileLocks.class);
    private static final AtomicBoolean WARNED = new AtomicBoolean();

    private FileLocks() {}

    /** What became of an attempt. */
    public enum Attempt {
        /** The channel has the lock, until it is closed. */
        TAKEN,
        /** Another process has it, or another channel of this one. */
        HELD,
        /** There are no locks here. */
        UNSUPPORTED
    }

    /** Tries to lock the whole of a file; for exclusive locks the channel must be open for writing. */
    public static Attempt tryLock(Path file, FileChannel channel, boolean shared) throws IOException {
        return tryLock(file, channel, 0, Long.MAX_VALUE, shared);
    }

    /**
     * Tries to lock a part of a file.
     *
     * @param file what {@code channel} is open on, for messages
     * @throws ClosedChannelException if the channel is closed, also by an interruption of this thread
     */
    public static Attempt tryLock(Path file, FileChannel channel, long position, long size, boolean shared)
            throws IOException {
        Attempt attempt = attempt(file, channel, position, size, shared);
        if (attempt == Attempt.UNSUPPORTED && !WARNED.getAndSet(true))
            log.warn(
                    "files cannot be locked in {}: nothing stops two processes from writing the same run or data set"
                            + " there; start only one",
                    file.toAbsolutePath().getParent());
        return attempt;
    }

    /** Whether another has locked a part of a file, as far as can be seen here; takes the lock itself, shared, if not. */
    public static boolean isHeld(Path file, FileChannel channel, long position, long size) throws IOException {
        return attempt(file, channel, position, size, true) == Attempt.HELD;
    }

    /** Whether a file can be locked where {@code file} is, on which {@code channel} is open for writing. */
    public static boolean isSupported(Path file, FileChannel channel) throws IOException {
        return attempt(file, channel, 0, Long.MAX_VALUE, false) != Attempt.UNSUPPORTED;
    }

    /** As {@link #tryLock}, without a warning: for who has another way. */
    public static Attempt attempt(Path file, FileChannel channel, long position, long size, boolean shared)
            throws IOException {
        try {
            return channel.tryLock(position, size, shared) == null ? Attempt.HELD : Attempt.TAKEN;
        } catch (OverlappingFileLockException e) {
            return Attempt.HELD;
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) { // a lock that others have is no exception: the file system has none
            log.debug("{} cannot be locked", file, e);
            return Attempt.UNSUPPORTED;
        }
    }
}
