package org.dit4j.jobs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Collectors;
import org.dit4j.io.AtomicFile;

/**
 * Does a {@link ShardJob}, alone or together with other processes that do the same one in the same folder, here or on other machines. Each
 * may be stopped at any time, and started again: finished shards stay.
 */
public final class ShardRunner {
    private static final int POLL_MILLIS = 500;

    private final ShardJob job;
    private final Path folder;
    private final List<Shard> shards;
    private final Leases leases;
    private final Progress progress;
    private long numDone, numLeftOut;

    private ShardRunner(ShardJob job, Path folder, List<Shard> shards, Leases leases, Progress progress) {
        this.job = job;
        this.folder = folder;
        this.shards = shards;
        this.leases = leases;
        this.progress = progress;
    }

    /**
     * Returns when all shards and then the index are written into a folder, which is made where there is none. What other processes write is
     * waited for.
     *
     * @throws IllegalArgumentException if another thread of this process writes into the folder, or it holds files of another job
     * @throws IOException if there is not room enough for the next shard
     */
    public static void run(ShardJob job, Path folder, Progress progress) throws IOException {
        run(job, folder, progress, Leases.EXPIRY);
    }

    /** @param expiry how long another process may stand still before its shard is taken over */
    static void run(ShardJob job, Path folder, Progress progress, Duration expiry) throws IOException {
        Files.createDirectories(folder);
        List<Shard> shards = job.shards(folder);
        for (Path parent :
                shards.stream().map(shard -> shard.file().getParent()).collect(Collectors.toSet()))
            Files.createDirectories(parent);
        try (FolderLock lock = FolderLock.take(folder, () -> removeLeftovers(job, folder, shards));
                Leases leases = new Leases(expiry)) {
            new ShardRunner(job, folder, shards, leases, progress).run();
        }
    }

    /** Of the names of this job only: the folder may be one where other programs write. */
    private static void removeLeftovers(ShardJob job, Path folder, List<Shard> shards) throws IOException {
        Set<String> names = new HashSet<>(Set.of(job.indexName()));
        for (Shard shard : shards) names.add(shard.file().getFileName().toString());
        AtomicFile.removeOrphans(folder, names::contains);
    }

    private void run() throws IOException {
        List<Shard> open = new LinkedList<>(shards);
        while (!open.isEmpty()) if (!advance(open)) pause();
        writeIndex();
    }

    /** Takes one more shard that is finished, by whomever, from {@code open}; false if others write all that are left. */
    private boolean advance(List<Shard> open) throws IOException {
        for (Iterator<Shard> each = open.iterator(); each.hasNext(); ) {
            Shard shard = each.next();
            OptionalLong leftOut = finish(shard);
            if (leftOut.isEmpty()) continue;
            each.remove();
            numDone += shard.size();
            numLeftOut += leftOut.getAsLong();
            progress.advanced(numDone, numLeftOut);
            return true;
        }
        return false;
    }

    /** How many items were left out of a shard that is finished now; empty if another process writes it. */
    private OptionalLong finish(Shard shard) throws IOException {
        OptionalLong finished = job.finished(shard);
        if (finished.isPresent()) {
            Leases.clear(shard.file());
            return finished;
        }
        Optional<Leases.Lease> taken = leases.take(shard.file());
        if (taken.isEmpty()) return OptionalLong.empty();
        try (Leases.Lease lease = taken.get()) {
            finished = job.finished(shard); // until a moment ago it was another's
            if (finished.isPresent()) return finished;
            requireSpace(shard.file().toAbsolutePath().getParent(), job.maxBytes(shard));
            return OptionalLong.of(job.write(shard, ofShard()));
        }
    }

    /** Progress of the job, told that of one shard. */
    private Progress ofShard() {
        return (doneOfShard, leftOutOfShard) -> progress.advanced(numDone + doneOfShard, numLeftOut + leftOutOfShard);
    }

    /** Once, whoever does it. */
    private void writeIndex() throws IOException {
        Path index = folder.resolve(job.indexName());
        for (boolean waited = false; ; waited = true) {
            Optional<Leases.Lease> taken = leases.take(index);
            if (taken.isPresent())
                try (Leases.Lease lease = taken.get()) {
                    boolean done = waited && !lease.inherited() && Files.exists(index);
                    if (!done) job.writeIndex(folder, shards);
                    return;
                }
            pause();
        }
    }

    private void pause() {
        progress.advanced(numDone, numLeftOut);
        FolderLock.pause(POLL_MILLIS);
    }

    private static void requireSpace(Path folder, long bytes) throws IOException {
        long free = Files.getFileStore(folder).getUsableSpace();
        if (free < bytes)
            throw new IOException(String.format(
                    Locale.ROOT,
                    "%s: the next shard needs %,d MB, the disk has %,d MB free; make room and start again, finished shards stay",
                    folder,
                    bytes / 1_000_000,
                    free / 1_000_000));
    }
}
