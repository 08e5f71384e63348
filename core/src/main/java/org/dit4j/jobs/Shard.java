package org.dit4j.jobs;

import java.nio.file.Path;
import java.util.Objects;

/**
 * A part of a {@link ShardJob}: a range of its items, and the file that they become.
 *
 * @param file in the folder of the job
 * @param first item
 * @param end the item after the last
 */
public record Shard(Path file, long first, long end) {
    /** @throws IllegalArgumentException if there is no item in it */
    public Shard {
        Objects.requireNonNull(file, "file");
        if (first < 0 || end <= first)
            throw new IllegalArgumentException(file + ": a shard of the items " + first + " … " + (end - 1));
    }

    /** Items. */
    public long size() {
        return end - first;
    }

    /**
     * Compares what {@link #file} says of the job that wrote it with the job at hand.
     *
     * @throws IllegalArgumentException if they differ, naming the file and the two values
     */
    public void requireSame(String what, Object here, Object there) {
        if (!Objects.equals(here, there))
            throw new IllegalArgumentException(file + " is of another job, whose " + what + " is " + there
                    + "; here it is " + here + ". Choose another folder, or remove that one");
    }
}
