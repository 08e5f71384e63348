package org.dit4j.report;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import org.dit4j.io.JsonLine;
import org.dit4j.run.RunFolder;
import org.dit4j.run.TrainingLog;
import org.dit4j.train.ValidationLosses;

/** What a run has logged so far, former processes included, as its folder has it. Of many logs it keeps means, so that its size is bounded. */
public final class RunHistory {
    /** As many logs are kept, at least half of it once there are more; a chart shows fewer. */
    private static final int MOST = 8192;

    private final FollowedFile metrics;
    private final FollowedFile validation;
    /** Each the mean of {@link #together} logs. */
    private final List<TrainingLog> logs = new ArrayList<>();
    /** Fewer than {@link #together}, the newest. */
    private final List<TrainingLog> rest = new ArrayList<>();

    private final List<ValidationLosses> validations = new ArrayList<>();
    private int together = 1;
    private long spikes;
    /** Null before the first log. */
    private TrainingLog last;

    public RunHistory(RunFolder folder) {
        metrics = new FollowedFile(folder.metrics());
        validation = new FollowedFile(folder.validation());
    }

    /** Reads what is new. */
    public void refresh() throws IOException {
        metrics.poll(this::forget, line -> TrainingLog.of(JsonLine.parse(line)).ifPresent(this::add));
        validation.poll(
                validations::clear,
                line -> ValidationLosses.of(JsonLine.parse(line)).ifPresent(validations::add));
    }

    private void forget() {
        logs.clear();
        rest.clear();
        together = 1;
        spikes = 0;
        last = null;
    }

    private void add(TrainingLog log) {
        last = log;
        if (log.spike()) spikes++;
        rest.add(log);
        if (rest.size() < together) return;
        logs.add(mean(rest));
        rest.clear();
        if (logs.size() < MOST) return;
        List<TrainingLog> halved = new ArrayList<>();
        for (int i = 0; i < MOST; i += 2) halved.add(mean(logs.subList(i, i + 2)));
        logs.clear();
        logs.addAll(halved);
        together *= 2;
    }

    private static TrainingLog mean(List<TrainingLog> some) {
        TrainingLog newest = some.get(some.size() - 1);
        if (some.size() == 1) return newest;
        return new TrainingLog(
                whole(some, TrainingLog::step),
                whole(some, TrainingLog::images),
                mean(some, TrainingLog::loss),
                mean(some, TrainingLog::gradientNorm),
                mean(some, TrainingLog::learningRate),
                newest.skippedSteps(),
                some.stream().anyMatch(TrainingLog::spike),
                new TrainingLog.Time(
                        newest.time().at(),
                        mean(some, log -> log.time().stepsPerSecond()),
                        mean(some, log -> log.time().imagesPerSecond()),
                        mean(some, log -> log.time().percentOfPeak()),
                        newest.time().memoryBytes()));
    }

    private static long whole(List<TrainingLog> some, ToLongFunction<TrainingLog> value) {
        return Math.round(some.stream().mapToLong(value).average().orElseThrow());
    }

    /** Of those that have the value; NaN if none has it. */
    private static double mean(List<TrainingLog> some, ToDoubleFunction<TrainingLog> value) {
        return some.stream()
                .mapToDouble(value)
                .filter(Double::isFinite)
                .average()
                .orElse(Double.NaN);
    }

    /** In the order of their steps; where there are thousands, the means of as many after each other, and of the rest. */
    public List<TrainingLog> logs() {
        if (rest.isEmpty()) return logs;
        List<TrainingLog> all = new ArrayList<>(logs);
        all.add(mean(rest));
        return all;
    }

    /** The newest log itself. */
    public Optional<TrainingLog> last() {
        return Optional.ofNullable(last);
    }

    /** How many of all logs were flagged. */
    public long spikes() {
        return spikes;
    }

    /** In the order of their steps. */
    public List<ValidationLosses> validations() {
        return validations;
    }
}
