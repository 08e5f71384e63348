package org.dit4j.train;

import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;

/**
 * How a training is run, which changes nothing in what is learned but the rounding.
 *
 * @param device as {@link Backend#device} takes it
 * @param precision of the network's products; gradients, moments, average and the weights that the optimiser moves are float32. BF16 is
 *     the fused trunk's ({@link org.dit4j.model.Trunk#fused}), which keeps a rounded copy of the weights
 * @param microBatchSize images that go through the network at once, a divisor of the global batch size; gradients of the micro-batches are
 *     added up. 0 is the whole batch
 * @param recompute whether blocks are computed again in the backward pass, memory for time
 * @param numWorkers threads that read and decode images; 0 reads on the training thread
 */
public record Execution(String device, Precision precision, int microBatchSize, boolean recompute, int numWorkers) {
    /** On the best device there is, in float32, the whole batch at once, with four threads that read. */
    public static final Execution DEFAULT = new Execution("auto", Precision.FP32, 0, false, 4);

    /** @throws IllegalArgumentException naming the value that is out of range */
    public Execution {
        require(
                precision != Precision.BF16 || !recompute,
                "recomputation goes with the precisions FP32 and AUTOCAST; BF16 keeps little for the backward pass as it is");
        require(microBatchSize >= 0, "micro-batch size " + microBatchSize + " is negative; 0 is the whole batch");
        require(
                numWorkers >= 0 && numWorkers <= 256,
                "number of workers " + numWorkers + " is outside 0 … 256; 0 reads on the training thread");
    }

    /**
     * The images that go through the network at once.
     *
     * @throws IllegalArgumentException if the global batch size is not a multiple of them
     */
    public int microBatchSize(TrainConfig config) {
        int size = microBatchSize == 0 ? config.globalBatchSize() : microBatchSize;
        require(
                config.globalBatchSize() % size == 0,
                "global batch size " + config.globalBatchSize() + " is not a multiple of the micro-batch size " + size);
        return size;
    }

    public Execution withDevice(String name) {
        return new Execution(name, precision, microBatchSize, recompute, numWorkers);
    }

    public Execution withPrecision(Precision other) {
        return new Execution(device, other, microBatchSize, recompute, numWorkers);
    }

    public Execution withMicroBatchSize(int images) {
        return new Execution(device, precision, images, recompute, numWorkers);
    }

    public Execution withRecompute(boolean again) {
        return new Execution(device, precision, microBatchSize, again, numWorkers);
    }

    public Execution withNumWorkers(int threads) {
        return new Execution(device, precision, microBatchSize, recompute, threads);
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
