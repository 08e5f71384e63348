package org.dit4j.jobs;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;
import org.dit4j.io.FileLocks;

/**
 * The right to write the files of a job into a folder, which one process has at a time: a lock of the operating system on {@code job.lock}.
 * It ends with the process, however that ends. The file stays, and says nothing by being there: were it deleted, a process that has just
 * opened it would lock a file without a name, and a third one the next file of that name.
 */
final class FolderLock implements AutoCloseable {
    static final String NAME = "job.lock";
    /** What this process holds: on Linux it would lose a lock by closing any other channel to the file. */
    private static final Set<Path> HELD = new HashSet<>();

    private final Path file;
    private final FileChannel channel;

    private FolderLock(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /** @throws IllegalArgumentException naming the folder, if another process or thread has its lock */
    static FolderLock take(Path folder) throws IOException {
        synchronized (HELD) {
            Path file = folder.toRealPath().resolve(NAME);
            if (!HELD.add(file)) throw taken(folder);
            FileChannel channel = null;
            try {
                channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                if (FileLocks.tryLock(file, channel, false) == FileLocks.Attempt.HELD) throw taken(folder);
                return new FolderLock(file, channel);
            } catch (IOException | RuntimeException e) {
                if (channel != null) channel.close();
                HELD.remove(file);
                throw e;
            }
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
