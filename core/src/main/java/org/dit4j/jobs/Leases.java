package org.dit4j.jobs;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.dit4j.io.FileLocks;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who writes which file of a job, among processes of one machine or of several on a shared folder: a file beside the one that is to be
 * written, which only one process can make. Its owner counts on in it for as long as it lives.
 *
 * <p>A lease is over when nobody has counted on for a minute by the clock of who looks: clocks of machines are never compared. A process
 * that died on this machine is noticed at once, by its lock. In rare moments two processes may think that they have the same lease; a
 * lease saves work and nothing depends on it, because what is written twice has the same bytes and appears by a rename.
 */
final class Leases implements AutoCloseable {
    static final String ENDING = ".lease";
    /** A lease is over if it has not changed for so long. */
    static final Duration EXPIRY = Duration.ofSeconds(60);

    private static final Logger log = LoggerFactory.getLogger(Leases.class);
    private static final int BEATS = 6;
    /** For who dies between making and signing it. */
    private static final long UNSIGNED_NANOS = 2_000_000_000L;
    /** A byte far behind the text: where locks are mandatory, others may still read. */
    private static final long PLACE = Long.MAX_VALUE - 1;

    private static final int LOOKS = 4, LOOKER_MILLIS = 50, MAX_BYTES = 1000;
    /** Of this start of this machine's kernel, whose locks tell about all its containers; empty where nobody knows. */
    private static final String BOOT = boot();

    /** So it looked, for the first time at that time of this process's clock. */
    private record Sighting(String text, long nanos) {}

    private final Duration expiry;
    private final long owner = new SecureRandom().nextLong();
    private final ScheduledExecutorService heart;
    private final Map<Path, Sighting> seen = new HashMap<>();

    Leases(Duration expiry) {
        this.expiry = expiry;
        heart = new ScheduledThreadPoolExecutor(1, run -> {
            Thread thread = new Thread(run, "dit4j-lease");
            thread.setDaemon(true);
            return thread;
        });
    }

    private static String boot() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
        } catch (IOException e) { // not Linux
            return "";
        }
    }

    private static Path lease(Path file) {
        return file.resolveSibling(file.getFileName() + ENDING);
    }

    /** The right to write a file; empty if another process has it. */
    Optional<Lease> take(Path file) throws IOException {
        Path path = lease(file);
        String text = read(path);
        if (text != null && !isOver(path, text)) return Optional.empty();
        if (text != null) {
            if (!text.equals(read(path))) return Optional.empty(); // another was faster
            Files.deleteIfExists(path);
        }
        seen.remove(path);
        FileChannel channel;
        try {
            channel = FileChannel.open(
                    path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
        } catch (FileAlreadyExistsException e) {
            return Optional.empty();
        }
        try {
            return Optional.of(new Lease(path, channel, text != null));
        } catch (IOException | RuntimeException e) {
            channel.close();
            Files.deleteIfExists(path);
            throw e;
        }
    }

    /** Removes what an owner of a lease left that died after it had written the file. */
    static void clear(Path file) throws IOException {
        Files.deleteIfExists(lease(file));
    }

    /** Null if there is none. */
    private static String read(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
            return text(channel);
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    private static String text(FileChannel channel) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(MAX_BYTES);
        channel.read(bytes, 0);
        return new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8);
    }

    private boolean isOver(Path path, String text) throws IOException {
        long now = System.nanoTime();
        Sighting last = seen.get(path);
        if (last == null || !last.text.equals(text)) {
            last = new Sighting(text, now);
            seen.put(path, last);
        }
        long limit = text.isEmpty() ? Math.min(UNSIGNED_NANOS, expiry.toNanos()) : expiry.toNanos();
        return now - last.nanos >= limit || hasDiedHere(path, text);
    }

    /** Whether the owner was a process of this machine, and nobody holds its lock. */
    private static boolean hasDiedHere(Path path, String text) throws IOException {
        if (BOOT.isEmpty() || !text.startsWith(BOOT)) return false;
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
            // the text again: by now this may be the lease of another
            return !FileLocks.isHeld(path, channel, PLACE, 1) && text.equals(text(channel));
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    /** The right to write a file, until it is closed. */
    final class Lease implements AutoCloseable {
        private final Path path;
        private final FileChannel channel;
        private final boolean inherited;
        private final String head;
        private final ScheduledFuture<?> beating;
        private long beats;

        private Lease(Path path, FileChannel channel, boolean inherited) throws IOException {
            this.path = path;
            this.channel = channel;
            this.inherited = inherited;
            head = String.format(
                    Locale.ROOT,
                    "%s %016x process %d%n",
                    isLocked() ? BOOT : "-",
                    owner,
                    ProcessHandle.current().pid());
            beat();
            long nanos = expiry.toNanos() / BEATS;
            beating = heart.scheduleAtFixedRate(this::beatOn, nanos, nanos, TimeUnit.NANOSECONDS);
        }

        /** Whoever looks whether the owner lives has the lock for a moment, and is waited for. */
        private boolean isLocked() throws IOException {
            for (int look = 0; look < LOOKS; look++) {
                FileLocks.Attempt attempt = FileLocks.attempt(path, channel, PLACE, 1, false);
                if (attempt != FileLocks.Attempt.HELD) return attempt == FileLocks.Attempt.TAKEN && !BOOT.isEmpty();
                FolderLock.pause(LOOKER_MILLIS);
            }
            return false;
        }

        /** Whether it was another's, who died or has not counted on. */
        boolean inherited() {
            return inherited;
        }

        private synchronized void beat() throws IOException {
            ByteBuffer text = ByteBuffer.wrap(
                    (head + String.format(Locale.ROOT, "%020d%n", beats++)).getBytes(StandardCharsets.UTF_8));
            try {
                for (long at = 0; text.hasRemaining(); ) at += channel.write(text, at);
                channel.force(false); // other machines see it then
            } catch (IOException e) { // says of no file that the disk is full
                throw new IOException(path + ": " + e.getMessage(), e);
            }
        }

        private synchronized void beatOn() {
            if (!channel.isOpen()) return;
            try {
                beat();
            } catch (IOException e) { // another may do the work again
                log.debug("{} does not count on", path, e);
            }
        }

        @Override
        public void close() throws IOException {
            beating.cancel(false);
            synchronized (this) {
                // in place of one that took too long, there may be another's
                String text = read(path);
                if (text != null && text.startsWith(head)) Files.deleteIfExists(path);
                channel.close();
            }
        }
    }

    @Override
    public void close() {
        heart.shutdownNow();
    }
}
