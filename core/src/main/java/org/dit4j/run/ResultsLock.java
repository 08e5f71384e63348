package org.dit4j.run;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.dit4j.io.FileLocks;
import org.dit4j.io.NoLinks;

/**
 * Held while a run is looked for, or begun, in a results folder: of two equal commands at the same instant the second then finds the run of
 * the first. Whoever has it holds it for a moment only, and the others wait.
 */
final class ResultsLock implements AutoCloseable {
    private static final String NAME = ".runs.lock";
    /** Of the threads of this process, which locks of the operating system do not keep apart. */
    private static final ReentrantLock THREADS = new ReentrantLock();

    private final FileChannel channel;

    private ResultsLock(FileChannel channel) {
        this.channel = channel;
    }

    /** Waits for it; makes the folder if need be. */
    static ResultsLock take(Path results) throws IOException {
        Files.createDirectories(results);
        THREADS.lock();
        FileChannel channel = null;
        try {
            Path file = results.resolve(NAME);
            channel = NoLinks.open(results, file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            while (FileLocks.tryLock(file, channel, false) == FileLocks.Attempt.HELD) TimeUnit.MILLISECONDS.sleep(10);
            return new ResultsLock(channel);
        } catch (InterruptedException e) {
            channel.close();
            THREADS.unlock();
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while another process looked for a run in " + results);
        } catch (IOException | RuntimeException e) {
            if (channel != null) channel.close();
            THREADS.unlock();
            throw e;
        }
    }

    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            THREADS.unlock();
        }
    }
}
