package org.dit4j.jobs;

import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;

/**
 * How {@link LatentEncoder} works.
 *
 * @param shardSize pictures to a file; what is lost at most when the job is stopped
 * @param batchSize pictures that go through the autoencoder at once. The latents' last bits may depend on it; on nothing else here but {@code
 *     precision}
 * @param numWorkers threads that read and decode pictures; 0 reads on the thread that encodes
 * @param skipBroken whether a picture that cannot be read is left out and named, instead of ending the job
 * @param precision of the autoencoder: FP32 or BF16
 * @param device as {@link Backend#device} takes it
 */
public record EncodeConfig(
        int shardSize, int batchSize, int numWorkers, boolean skipBroken, Precision precision, String device) {
    /** @throws IllegalArgumentException naming the value that is out of range */
    public EncodeConfig {
        require(shardSize >= 1 && shardSize <= 1 << 20, "shard size " + shardSize + " is outside 1 … 1048576");
        require(batchSize >= 1 && batchSize <= 4096, "batch size " + batchSize + " is outside 1 … 4096");
        require(
                numWorkers >= 0 && numWorkers <= 256,
                "number of workers " + numWorkers + " is outside 0 … 256; 0 reads on the thread that encodes");
        require(precision != Precision.AUTOCAST, "an autoencoder runs in FP32 or BF16, not by autocast");
    }

    /** Shards of 1024, batches of 16, two readers, broken pictures an error, float32, on the best device. */
    public static EncodeConfig standard() {
        return new EncodeConfig(1024, 16, 2, false, Precision.FP32, "auto");
    }

    /** Other sizes. */
    public EncodeConfig withSizes(int shardSize, int batchSize) {
        return new EncodeConfig(shardSize, batchSize, numWorkers, skipBroken, precision, device);
    }

    /** Another number of threads; the latents stay the same. */
    public EncodeConfig withNumWorkers(int numWorkers) {
        return new EncodeConfig(shardSize, batchSize, numWorkers, skipBroken, precision, device);
    }

    /** Whether to go on without broken pictures. */
    public EncodeConfig withSkipBroken(boolean skipBroken) {
        return new EncodeConfig(shardSize, batchSize, numWorkers, skipBroken, precision, device);
    }

    /** Where and in what to compute. */
    public EncodeConfig on(String device, Precision precision) {
        return new EncodeConfig(shardSize, batchSize, numWorkers, skipBroken, precision, device);
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
