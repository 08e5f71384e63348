package org.dit4j.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.dit4j.io.FileLocks;
import org.dit4j.io.NoLinks;

/**
 * The right to train in a run folder, which one process has at a time: a lock of the operating system on {@code run.lock}. It ends with
 * the process, however that ends; the file stays, and says nothing by being there.
 */
public final class RunLock implements AutoCloseable {
    private static final String NAME = "run.lock";
    /** A byte far behind the text: where locks are mandatory, others may still read who has it. */
    private static final long PLACE = Long.MAX_VALUE - 1;

    private static final int LOOKER_MILLIS = 50, LOOKS = 4;
    /** What this process holds: on Linux it would lose a lock by closing any other channel to the file. */
    private static final Set<Path> HELD = new HashSet<>();

    private final RunFolder folder;
    private final Path file;
    private final FileChannel channel;

    private RunLock(RunFolder folder, Path file, FileChannel channel) {
        this.folder = folder;
        this.file = file;
        this.channel = channel;
    }

    /**
     * Takes the lock of {@code folder}.
     *
     * @throws IllegalArgumentException naming the process that has it
     */
    public static synchronized RunLock take(RunFolder folder) throws IOException {
        Path file = file(folder);
        if (!HELD.add(file))
            throw taken(folder, Long.toString(ProcessHandle.current().pid()));
        FileChannel channel = null;
        try {
            channel = NoLinks.open(
                    file.getParent(),
                    file,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE);
            if (!lock(file, channel)) throw taken(folder, text(channel));
            sign(file, channel);
            return new RunLock(folder, file, channel);
        } catch (IOException | RuntimeException e) {
            if (channel != null) channel.close();
            HELD.remove(file);
            throw e;
        }
    }

    /** Finds a run, or makes its folder. */
    @FunctionalInterface
    public interface Search {
        RunFolder find() throws IOException;
    }

    /**
     * Finds or begins a run in {@code results} and takes its lock, while nobody else does: of two equal commands at the same instant, the
     * second finds the run of the first.
     *
     * @throws IllegalArgumentException naming the process that has the run's lock
     */
    public static RunLock take(Path results, Search search) throws IOException {
        try (ResultsLock lock = ResultsLock.take(results)) {
            return take(search.find());
        }
    }

    /** The run whose lock this is. */
    public RunFolder folder() {
        return folder;
    }

    private static void sign(Path file, FileChannel channel) throws IOException {
        String pid = Long.toString(ProcessHandle.current().pid());
        try {
            channel.truncate(0);
            channel.write(ByteBuffer.wrap(pid.getBytes(StandardCharsets.UTF_8)));
        } catch (IOException e) { // says of no file that the disk is full
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    /** Whoever looks for the {@link #holder} has the lock for a moment, and is waited for. */
    private static boolean lock(Path file, FileChannel channel) throws IOException {
        for (int look = 0; ; look++) {
            if (FileLocks.tryLock(file, channel, PLACE, 1, false) != FileLocks.Attempt.HELD) return true;
            if (look == LOOKS) return false;
            try {
                TimeUnit.MILLISECONDS.sleep(LOOKER_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
        }
    }

    private static IllegalArgumentException taken(RunFolder folder, String holder) {
        return new IllegalArgumentException(folder.path() + " is being trained by process " + holder
                + "; wait for it, stop it, or start another run with --resume never");
    }

    /** The number of the process that trains in {@code folder} now, if one does; changes nothing. */
    public static synchronized OptionalLong holder(RunFolder folder) throws IOException {
        Path file;
        try {
            file = file(folder);
        } catch (NoSuchFileException e) {
            return OptionalLong.empty();
        }
        if (HELD.contains(file)) return OptionalLong.of(ProcessHandle.current().pid());
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (!FileLocks.isHeld(file, channel, PLACE, 1)) return OptionalLong.empty();
            String holder = text(channel);
            // locked, but not yet signed
            return OptionalLong.of(holder.matches("\\d{1,18}") ? Long.parseLong(holder) : 0);
        } catch (NoSuchFileException e) {
            return OptionalLong.empty();
        }
    }

    private static Path file(RunFolder folder) throws IOException {
        return folder.path().toRealPath().resolve(NAME);
    }

    private static String text(FileChannel channel) throws IOException {
        ByteBuffer text = ByteBuffer.allocate(20);
        channel.read(text, 0);
        return new String(text.array(), 0, text.position(), StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
        synchronized (RunLock.class) {
            channel.close();
            HELD.remove(file);
        }
    }
}
