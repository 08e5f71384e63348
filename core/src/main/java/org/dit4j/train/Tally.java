package org.dit4j.train;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Losses and skipped steps, counted on the device so that no step waits for it. A step whose loss or gradient norm is not finite is
 * skipped: it counts, and changes nothing else.
 */
final class Tally implements AutoCloseable {
    /**
     * What was counted.
     *
     * @param lossSum of the steps since the last {@link #drain} that were not skipped
     * @param lossSteps their number
     * @param skippedSteps of the whole run
     * @param skippedInARow up to the last step
     * @param gradientNorm of the last step, before any clipping
     */
    record Counts(double lossSum, double lossSteps, double skippedSteps, double skippedInARow, double gradientNorm) {}

    private static final int LOSS_SUM = 0, LOSS_STEPS = 1, SKIPPED = 2, IN_A_ROW = 3, NORM = 4, COUNTS = 5;

    private final Tensor counts; // float64, on the device
    private final Tensor stepLoss; // a float64 scalar

    Tally(Device device) {
        counts = TensorScope.keeping(() -> Tensors.to(Tensors.of(new double[COUNTS], COUNTS), device));
        stepLoss = TensorScope.keeping(() -> Tensors.to(Tensors.of(new double[1]), device));
    }

    /** Before the first micro-batch of a step. */
    void begin() {
        stepLoss.zero_();
    }

    /** A micro-batch's share of the step's loss. */
    void add(Tensor loss) {
        stepLoss.add_(loss);
    }

    /** Counts the step; returns a float32 scalar on the device, 1 if it is to be skipped, else 0. */
    Tensor finish(Tensor gradientNorm) {
        return TensorScope.local(() -> {
            Tensor skip = torch.isfinite(gradientNorm.add(stepLoss)).logical_not();
            count(LOSS_SUM).add_(stepLoss.masked_fill(skip, new Scalar(0.0)));
            count(LOSS_STEPS).add_(skip.logical_not());
            count(SKIPPED).add_(skip);
            count(IN_A_ROW).add_(new Scalar(1.0)).mul_(skip);
            count(NORM).copy_(gradientNorm);
            return skip.to(ScalarType.Float);
        });
    }

    private Tensor count(long index) {
        return counts.select(0, index);
    }

    /** Waits for the device. */
    Counts read() {
        double[] values = Tensors.toDoubles(counts);
        return new Counts(values[LOSS_SUM], values[LOSS_STEPS], values[SKIPPED], values[IN_A_ROW], values[NORM]);
    }

    /** As {@link #read}; then the losses begin anew. */
    Counts drain() {
        Counts read = read();
        restore(new Counts(0, 0, read.skippedSteps(), read.skippedInARow(), read.gradientNorm()));
        return read;
    }

    void restore(Counts values) {
        try (TensorScope scope = new TensorScope()) {
            double[] all = {
                values.lossSum(),
                values.lossSteps(),
                values.skippedSteps(),
                values.skippedInARow(),
                values.gradientNorm()
            };
            counts.copy_(Tensors.of(all, COUNTS));
        }
    }

    @Override
    public void close() {
        counts.close();
        stepLoss.close();
    }
}
