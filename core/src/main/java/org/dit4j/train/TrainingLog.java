package org.dit4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;

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
                number(line.path("loss")),
                number(line.path("gradient_norm")),
                number(line.path("learning_rate")),
                line.path("skipped_steps").asLong(),
                line.path("spike").asBoolean(),
                new Time(
                        instant(time.path("at")),
                        number(time.path("steps_per_second")),
                        number(time.path("images_per_second")),
                        number(time.path("percent_of_peak")),
                        time.path("memory_bytes").asLong())));
    }

    /** NaN where there is none: JSON has no number for it. */
    static double number(JsonNode value) {
        return value.isNumber() ? value.asDouble() : Double.NaN;
    }

    static Instant instant(JsonNode value) {
        try {
            return Instant.parse(value.asText());
        } catch (DateTimeException e) {
            return Instant.EPOCH; // edited by somebody
        }
    }
}
