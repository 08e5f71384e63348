package org.dit4j.train;

import java.time.Instant;

/**
 * What one log says of a run, as {@code metrics.jsonl} has it. All but {@code time} is a function of the configuration.
 *
 * @param step the last step
 * @param images trained until then
 * @param loss the mean of the steps since the last log; NaN if all of them were skipped
 * @param gradientNorm of the last step, before any clipping
 * @param learningRate of the last step
 * @param skippedSteps of the whole run, because their loss or gradients were not finite
 * @param spike whether the loss is far above those before it
 * @param time how fast it went
 */
public record TrainingLog(
        long step,
        long images,
        double loss,
        double gradientNorm,
        double learningRate,
        long skippedSteps,
        boolean spike,
        Time time) {
    /**
     * What differs from machine to machine.
     *
     * @param at when
     * @param stepsPerSecond since the last log, without the time that samples and validation took
     * @param imagesPerSecond as many times the batch size
     * @param percentOfPeak the network's arithmetic, as a percentage of what the device can do; NaN where that was not measured
     * @param memoryBytes in use: of the process on the CPU, of LibTorch on a CUDA device; 0 where it is not known
     */
    public record Time(
            Instant at, double stepsPerSecond, double imagesPerSecond, double percentOfPeak, long memoryBytes) {}
}
