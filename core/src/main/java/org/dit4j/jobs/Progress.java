package org.dit4j.jobs;

/** Hears how far a job is. It ends the job by throwing a {@link java.util.concurrent.CancellationException}. */
@FunctionalInterface
public interface Progress {
    /** Hears nothing. */
    Progress NONE = (done, numLeftOut) -> {};

    /**
     * After each batch and each shard, and now and then while others write what is left.
     *
     * @param done items of the job, or of the one shard that is written, that are behind it; those left out and those of an earlier start
     *     included
     * @param numLeftOut of {@code done}, those that were broken and left out
     */
    void advanced(long done, long numLeftOut);
}
