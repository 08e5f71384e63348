package org.dit4j.run;

import java.time.Instant;
import org.bytedeco.pytorch.Device;
import org.dit4j.torch.DeviceLoad;
import org.dit4j.torch.Precision;
import org.dit4j.train.Execution;
import org.dit4j.train.TrainConfig;

/** How fast a run goes, measured by what its device can do. */
final class Speed {
    /** The backward pass takes twice the products of the forward pass; what is computed a second time is no use and does not count. */
    private static final int PASSES = 3;

    private final TrainConfig config;
    private final Execution execution;
    private final Device device;
    private double peak = Double.NaN;

    Speed(TrainConfig config, Execution execution, Device device) {
        this.config = config;
        this.execution = execution;
        this.device = device;
    }

    /** Takes up to {@value DeviceLoad#PEAK_SECONDS} s. */
    void measurePeak() {
        peak = DeviceLoad.peak(device, execution.precision() != Precision.FP32);
    }

    /** Now, at so many steps per second. */
    TrainingLog.Time at(double stepsPerSecond) {
        double imagesPerSecond = stepsPerSecond * config.globalBatchSize();
        double operations = 2e9 * config.model().gflops() * PASSES * imagesPerSecond;
        return new TrainingLog.Time(
                Instant.now(),
                stepsPerSecond,
                imagesPerSecond,
                100 * operations / peak,
                DeviceLoad.memoryInUse(device));
    }
}
