package org.dit4j.jobs;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.IntStream;

/**
 * A pure function from a range of items to one file, for every {@link Shard} of 0 … {@link #numItems} − 1. The bytes of a file depend on the
 * job and the range only: not on who writes it, in which order, or what became of the other shards. So several processes and machines can
 * share the work, each with a job of its own that was made of the same settings, and what is written twice is the same. {@link ShardRunner}
 * writes all of them.
 */
public interface ShardJob {
    /** Items, of all shards together. */
    long numItems();

    /** Items of each shard but the last, which has what remains. */
    int shardSize();

    /** The name of the file of shard {@code number} of 0, 1, …; another one for each. */
    String fileName(int number);

    /** The name of the file that {@link #writeIndex} writes. */
    String indexName();

    /** What the file of a shard takes at most, in bytes. */
    long maxBytes(Shard shard);

    /**
     * The number of items that were left out of a finished file; empty if it is to be written, because it is absent or damaged.
     *
     * @throws IllegalArgumentException if the file is another job's, naming it and what differs
     */
    OptionalLong finished(Shard shard) throws IOException;

    /**
     * Writes the file of a shard, whole or not at all; its folder must exist.
     *
     * @param progress in items of this shard
     * @return how many items were left out
     */
    long write(Shard shard, Progress progress) throws IOException;

    /**
     * Writes the file that makes the folder a finished one, when all {@code shards} are; by one of the processes that share the job.
     *
     * @param shards in their order
     */
    void writeIndex(Path folder, List<Shard> shards) throws IOException;

    /** All shards, in their order. */
    default List<Shard> shards(Path folder) {
        int count = Math.toIntExact((numItems() + shardSize() - 1) / shardSize());
        return IntStream.range(0, count)
                .mapToObj(number -> {
                    long first = (long) number * shardSize();
                    return new Shard(
                            folder.resolve(fileName(number)), first, Math.min(first + shardSize(), numItems()));
                })
                .toList();
    }
}
