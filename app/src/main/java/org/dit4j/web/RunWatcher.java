package org.dit4j.web;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dit4j.io.JsonLine;
import org.dit4j.report.RunHistory;
import org.dit4j.report.RunSummary;
import org.dit4j.run.RunFolder;
import org.dit4j.run.TrainingLog;
import org.dit4j.train.ValidationLosses;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Follows the folders of runs, whoever trains there. Nothing is read of a run that nobody looks at. */
final class RunWatcher implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(RunWatcher.class);
    private static final long PAUSE_MILLIS = 500;
    private static final int MOST_FOLLOWED = 16;
    private static final Pattern GRID = Pattern.compile("step-(\\d{1,12})\\.png");

    private final Models models;
    private final EventHub hub;
    private final Map<String, Followed> followed = new LinkedHashMap<>(16, 0.75f, true);
    private final ScheduledExecutorService watch = Executors.newSingleThreadScheduledExecutor(runnable -> {
        Thread thread = new Thread(runnable, "studio-runs");
        thread.setDaemon(true);
        return thread;
    });

    /** A run that somebody has looked at. */
    private static final class Followed {
        private final RunFolder folder;
        private final RunHistory history;
        private final Topic topic;
        private String seen = "";

        Followed(RunFolder folder, EventHub hub) {
            this.folder = folder;
            history = new RunHistory(folder);
            topic = new Topic(hub);
        }

        /** Changes where there is something new. */
        private String state() throws IOException {
            return size(folder.metrics()) + " " + size(folder.validation()) + " "
                    + grids(folder).size();
        }
    }

    RunWatcher(Models models, EventHub hub) {
        this.models = models;
        this.hub = hub;
        watch.scheduleWithFixedDelay(this::look, PAUSE_MILLIS, PAUSE_MILLIS, TimeUnit.MILLISECONDS);
    }

    private static String size(Path file) throws IOException {
        return Files.exists(file)
                ? Files.size(file) + ":" + Files.getLastModifiedTime(file).toMillis()
                : "";
    }

    private synchronized List<Followed> all() {
        return new ArrayList<>(followed.values());
    }

    private void look() {
        for (Followed one : all())
            try {
                if (!one.topic.isWatched()) continue;
                String state = one.state();
                if (state.equals(one.seen)) continue;
                one.seen = state;
                one.topic.newest(
                        "changed", Json.object().put("grids", grids(one.folder).size()));
            } catch (IOException | RuntimeException e) { // a run that is taken away meanwhile
                LOGGER.debug("{}", one.folder, e);
            }
    }

    private synchronized Followed follow(String id) {
        RunFolder folder = models.run(id);
        Followed one = followed.get(id);
        if (one == null || !one.folder.equals(folder)) {
            one = new Followed(folder, hub);
            followed.put(id, one);
            followed.values().removeIf(old -> followed.size() > MOST_FOLLOWED && !old.topic.isWatched());
        }
        return one;
    }

    Topic topic(String id) {
        return follow(id).topic;
    }

    /** All runs, newest first. */
    List<ObjectNode> list() throws IOException {
        models.refresh();
        List<ObjectNode> list = new ArrayList<>();
        for (Map.Entry<String, RunFolder> run : models.runs().entrySet()) {
            RunSummary summary = RunSummary.ofExisting(run.getValue()).orElse(null);
            if (summary == null) continue;
            ObjectNode json = Json.tree(summary);
            json.remove("path"); // where it is on this machine is nobody's business
            json.remove("process");
            list.add(json.put("id", run.getKey()));
        }
        return list;
    }

    ObjectNode metrics(String id) throws IOException {
        Followed one = follow(id);
        synchronized (one) {
            one.history.refresh();
            ObjectNode json = Json.object();
            ArrayNode logs = json.putArray("logs"), validations = json.putArray("validations");
            for (TrainingLog log : one.history.logs()) {
                ObjectNode line = logs.addObject().put("step", log.step()).put("images", log.images());
                JsonLine.put(line, "loss", log.loss());
                JsonLine.put(line, "gradient_norm", log.gradientNorm());
                JsonLine.put(line, "learning_rate", log.learningRate());
                JsonLine.put(line, "images_per_second", log.time().imagesPerSecond());
            }
            for (ValidationLosses losses : one.history.validations()) {
                ObjectNode line = validations.addObject().put("step", losses.step());
                JsonLine.put(line, "loss", losses.loss());
                ArrayNode buckets = line.putArray("buckets");
                losses.buckets().forEach(bucket -> buckets.add(JsonLine.finite(bucket)));
            }
            return json;
        }
    }

    /** The steps of which there is a grid. */
    private static List<Long> grids(RunFolder folder) throws IOException {
        if (!Files.isDirectory(folder.samples())) return List.of();
        try (Stream<Path> files = Files.list(folder.samples())) {
            return files.map(path -> GRID.matcher(path.getFileName().toString()))
                    .filter(Matcher::matches)
                    .map(matcher -> Long.valueOf(matcher.group(1)))
                    .sorted()
                    .toList();
        }
    }

    List<Long> samples(String id) throws IOException {
        return grids(models.run(id));
    }

    byte[] sample(String id, long step) throws IOException {
        RunFolder folder = models.run(id);
        if (!grids(folder).contains(step)) throw new Problem(404, "this run has no grid of step " + step);
        return Files.readAllBytes(folder.samples(step));
    }

    @Override
    public void close() {
        watch.shutdownNow();
    }
}
