package org.dit4j.data;

/**
 * Which samples a {@link BatchLoader} delivers.
 *
 * <p>With several ranks, each global batch of {@code batchSize · numRanks} samples is cut into one part per rank, in order of rank: together
 * the ranks see what one rank would see that loads the global batch.
 *
 * @param seed of the order and the flips
 * @param batchSize samples per batch of this rank
 * @param firstSample where the first global batch begins in the stream of samples: the samples already trained on
 * @param flip whether every sample is mirrored left to right with probability ½, decided by (seed, sample)
 * @param numWorkers threads that read; 0 reads on the thread that asks
 * @param rank of this process, 0 … numRanks − 1
 */
public record LoaderConfig(
        long seed, int batchSize, long firstSample, boolean flip, int numWorkers, int rank, int numRanks) {
    /** @throws IllegalArgumentException naming the value that is out of range */
    public LoaderConfig {
        require(batchSize >= 1, "batchSize %d: a batch has at least one sample", batchSize);
        require(firstSample >= 0, "firstSample %d: samples count from 0", firstSample);
        require(numWorkers >= 0 && numWorkers <= 256, "numWorkers %d is outside 0 … 256", numWorkers);
        require(numRanks >= 1, "numRanks %d: there is at least one", numRanks);
        require(rank >= 0 && rank < numRanks, "rank %d is outside 0 … %d", rank, numRanks - 1);
    }

    /** From the first sample on, without flips, two reading threads, one rank. */
    public static LoaderConfig of(long seed, int batchSize) {
        return new LoaderConfig(seed, batchSize, 0, false, 2, 0, 1);
    }

    /** Begins at another sample, to resume. */
    public LoaderConfig withFirstSample(long firstSample) {
        return new LoaderConfig(seed, batchSize, firstSample, flip, numWorkers, rank, numRanks);
    }

    /** With or without flips. */
    public LoaderConfig withFlip(boolean flip) {
        return new LoaderConfig(seed, batchSize, firstSample, flip, numWorkers, rank, numRanks);
    }

    /** With another number of reading threads; the batches stay the same. */
    public LoaderConfig withNumWorkers(int numWorkers) {
        return new LoaderConfig(seed, batchSize, firstSample, flip, numWorkers, rank, numRanks);
    }

    /** The part of another rank. */
    public LoaderConfig withRank(int rank, int numRanks) {
        return new LoaderConfig(seed, batchSize, firstSample, flip, numWorkers, rank, numRanks);
    }

    private static void require(boolean condition, String message, Object... values) {
        if (!condition) throw new IllegalArgumentException(message.formatted(values));
    }
}
