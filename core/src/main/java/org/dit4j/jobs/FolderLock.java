package org.dit4j.jobs;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import org.dit4j.io.FileLocks;

/**
 * The right to write the files of a job into a folder, which all processes that do the same job share: a shared lock of the operating
 * system on {@code job.lock}. It keeps out versions that did not share, and says who is alone. It ends with the process, however that
 * ends. The file stays, and says nothing by being there: were it deleted, a process that has just opened it would lock a file without a
 * name, and a third one the next file of that name.
 */
final class FolderLock implements AutoCloseable {
    static final String NAME = "job.lock";
    /** Whoever is alone cleans up for a moment, and is waited for. */
    private static final int LOOKS = 40, LOOKER_MILLIS = 50;
    /** What this process holds: on Linux it would lose a lock by closing any other channel to the file. */
    private static final Set<Path> HELD = new HashSet<>();

    private final Path file;
    private final FileChannel channel;

    private FolderLock(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /** What may be done in a folder where nobody else works. */
    @FunctionalInterface
    interface Cleaning {
        void run() throws IOException;
    }

    /**
     * @param alone done first if no other process works in the folder, and none begins to meanwhile
     * @throws IllegalArgumentException naming the folder, if another thread works there, or a process that does not share
     */
    static FolderLock take(Path folder, Cleaning alone) throws IOException {
        synchronized (HELD) {
            Path file = folder.toRealPath().resolve(NAME);
            if (!HELD.add(file)) throw taken(folder);
            FileChannel channel = null;
            try {
                try (FileChannel first = open(file)) {
                    if (FileLocks.attempt(file, first, 0, Long.MAX_VALUE, false) == FileLocks.Attempt.TAKEN)
                        alone.run();
                }
                channel = open(file);
                for (int look = 0; !isShared(file, channel); look++) {
                    if (look == LOOKS) throw taken(folder);
                    pause(LOOKER_MILLIS);
                }
                return new FolderLock(file, channel);
            } catch (IOException | RuntimeException e) {
                if (channel != null) channel.close();
                HELD.remove(file);
                throw e;
            }
        }
    }

    private static FileChannel open(Path file) throws IOException {
        return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /** Where there are no locks, leases alone say who does what. */
    private static boolean isShared(Path file, FileChannel channel) throws IOException {
        return FileLocks.attempt(file, channel, 0, Long.MAX_VALUE, true) != FileLocks.Attempt.HELD;
    }

    /** @throws CancellationException if this thread is interrupted */
    static void pause(long millis) {
        try {
            TimeUnit.MILLISECONDS.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException("interrupted");
        }
    }

    private static IllegalArgumentException taken(Path folder) {
        return new IllegalArgumentException(
                folder + ": another job is writing here; wait for it, stop it, or choose another folder");
    }

    @Override
    public void close() throws IOException {
        synchronized (HELD) {
            channel.close();
            HELD.remove(file);
        }
    }
}
