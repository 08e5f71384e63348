package org.dit4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dit4j.io.JsonLine;

/**
 * The loss of the averaged weights on data that they were not trained on. Items, timesteps and noise are the same each time, so the values
 * of different steps compare.
 *
 * @param step after which
 * @param loss the mean
 * @param buckets the mean of each of {@code buckets.size()} equal ranges of timesteps, the least noisy first: bucket i of n has the
 *     timesteps t with ⌊t · n / T⌋ = i. NaN where no timestep fell
 * @param numTimesteps T, of the diffusion
 * @param numItems items of the data
 * @param at when
 * @param seconds that it took
 */
public record ValidationLosses(
        long step, double loss, List<Double> buckets, int numTimesteps, long numItems, Instant at, double seconds) {
    public ValidationLosses {
        buckets = List.copyOf(buckets);
    }

    /** The first timestep of a bucket; of {@code buckets.size()}, the number of timesteps. */
    public int firstTimestep(int bucket) {
        return (bucket * numTimesteps + buckets.size() - 1) / buckets.size();
    }

    /** Of a line of {@code validation.jsonl}; nothing if it is none. */
    public static Optional<ValidationLosses> of(JsonNode line) {
        if (!line.path("step").isNumber() || !line.path("buckets").isArray()) return Optional.empty();
        List<Double> buckets = new ArrayList<>();
        line.path("buckets").forEach(bucket -> buckets.add(JsonLine.number(bucket)));
        return Optional.of(new ValidationLosses(
                line.path("step").asLong(),
                JsonLine.number(line.path("loss")),
                buckets,
                line.path("timesteps").asInt(),
                line.path("items").asLong(),
                JsonLine.instant(line.path("time").path("at")),
                line.path("time").path("seconds").asDouble()));
    }
}
