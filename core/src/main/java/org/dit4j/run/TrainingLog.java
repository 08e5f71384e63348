package org.dit4j.run;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.util.Optional;
import org.dit4j.io.JsonLine;

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
     * @param memoryBytes in use: of the process on the CPU, of a CUDA device by whatever process; 0 where it is not known
     */
    public record Time(
            Instant at, double stepsPerSecond, double imagesPerSecond, double percentOfPeak, long memoryBytes) {}

    /** Of a line of {@code metrics.jsonl}; nothing if it is none. */
    public static Optional<TrainingLog> of(JsonNode line) {
        if (!line.path("step").isNumber()) return Optional.empty();
        JsonNode time = line.path("time");
        return Optional.of(new TrainingLog(
                line.path("step").asLong(),
                line.path("images").asLong(),
                JsonLine.number(line.path("loss")),
                JsonLine.number(line.path("gradient_norm")),
                JsonLine.number(line.path("learning_rate")),
                line.path("skipped_steps").asLong(),
                line.path("spike").asBoolean(),
                new Time(
                        JsonLine.instant(time.path("at")),
                        JsonLine.number(time.path("steps_per_second")),
                        JsonLine.number(time.path("images_per_second")),
                        JsonLine.number(time.path("percent_of_peak")),
                        time.path("memory_bytes").asLong())));
    }
}
