package org.dit4j.jobs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;
import org.dit4j.io.AtomicFile;

/** Does a {@link ShardJob} in one process. It may be stopped at any time, and started again: finished shards stay. */
public final class ShardRunner {
    private ShardRunner() {}

    /**
     * Writes all shards and then the index into a folder, which is made where there is none.
     *
     * @throws IllegalArgumentException if another process or thread writes into the folder, or it holds files of another job
     * @throws IOException if there is not room enough for the next shard
     */
    public static void run(ShardJob job, Path folder, Progress progress) throws IOException {
        Files.createDirectories(folder);
        try (FolderLock lock = FolderLock.take(folder)) {
            List<Shard> shards = job.shards(folder);
            removeLeftovers(job, folder, shards);
            long numLeftOut = 0;
            for (Shard shard : shards) {
                numLeftOut += finish(job, shard, after(shard.first(), numLeftOut, progress));
                progress.advanced(shard.end(), numLeftOut);
            }
            job.writeIndex(folder, shards);
        }
    }

    /** Of the names of this job only: the folder may be one where other programs write. */
    private static void removeLeftovers(ShardJob job, Path folder, List<Shard> shards) throws IOException {
        Set<String> names = new HashSet<>(Set.of(job.indexName()));
        for (Shard shard : shards) names.add(shard.file().getFileName().toString());
        AtomicFile.removeOrphans(folder, names::contains);
    }

    private static long finish(ShardJob job, Shard shard, Progress progress) throws IOException {
        OptionalLong finished = job.finished(shard);
        if (finished.isPresent()) return finished.getAsLong();
        requireSpace(shard.file().toAbsolutePath().getParent(), job.maxBytes(shard));
        return job.write(shard, progress);
    }

    /** Progress of the job, told that of one shard. */
    private static Progress after(long done, long numLeftOut, Progress progress) {
        return (doneOfShard, leftOutOfShard) -> progress.advanced(done + doneOfShard, numLeftOut + leftOutOfShard);
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
