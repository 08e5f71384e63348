package org.dit4j.web;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** Pictures that somebody waits for: one request, or the cells of a grid, one after another. */
final class Job {
    private static final SecureRandom RANDOM = new SecureRandom();

    /** How a job stands. */
    enum State {
        QUEUED,
        RUNNING,
        DONE,
        FAILED,
        CANCELLED,
        /** The process died while it ran, too often to try again. */
        LOST;

        boolean isOver() {
            return this != QUEUED && this != RUNNING;
        }

        String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** What the axes of a grid vary, and their values as people read them. */
    record Axes(String x, List<String> xs, String y, List<String> ys) {}

    /**
     * What was asked for, as it is written down before it is accepted.
     *
     * @param draft only looked at, not kept
     * @param key that the client called the request by; null if by none
     * @param bodyDigest of the request, to know it again
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Order(
            String id,
            String client,
            String created,
            boolean draft,
            String key,
            String bodyDigest,
            Axes axes,
            List<Generation> cells) {
        static Order of(
                String client, boolean draft, String key, String bodyDigest, Axes axes, List<Generation> cells) {
            byte[] random = new byte[5];
            RANDOM.nextBytes(random);
            String id = Long.toString(System.currentTimeMillis(), 36)
                    + HexFormat.of().formatHex(random);
            return new Order(id, client, Instant.now().toString(), draft, key, bodyDigest, axes, List.copyOf(cells));
        }

        int pictures() {
            return cells.stream().mapToInt(cell -> cell.labels().size()).sum();
        }
    }

    /** What the journal says of a job. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Saved(Order order, State state, int attempts, List<String> images, String error, String ended) {}

    final Order order;
    final Topic topic;
    final Previews previews;
    private final List<String> images = new ArrayList<>();
    private State state = State.QUEUED;
    private int attempts, cell, step;
    private String error, waitingFor;
    private Instant started, ended;
    private long startedNanos;
    private double seconds;
    private volatile boolean cancelled;

    Job(Order order, EventHub hub) {
        this.order = order;
        topic = new Topic(hub);
        previews = new Previews(topic);
    }

    /** As the journal has it. */
    static Job of(Saved saved, EventHub hub) {
        Job job = new Job(saved.order(), hub);
        job.state = saved.state();
        job.attempts = saved.attempts();
        job.images.addAll(saved.images() == null ? List.of() : saved.images());
        job.error = saved.error();
        job.ended = saved.ended() == null ? null : Instant.parse(saved.ended());
        return job;
    }

    synchronized Saved saved() {
        return new Saved(order, state, attempts, List.copyOf(images), error, ended == null ? null : ended.toString());
    }

    synchronized State state() {
        return state;
    }

    synchronized int attempts() {
        return attempts;
    }

    synchronized List<String> images() {
        return List.copyOf(images);
    }

    /** Asks it to end before its next step. */
    void cancel() {
        cancelled = true;
    }

    boolean isCancelled() {
        return cancelled;
    }

    synchronized void begin() {
        state = State.RUNNING;
        attempts++;
        started = Instant.now();
        startedNanos = System.nanoTime();
        images.clear();
        cell = 0;
        step = 0;
    }

    synchronized void at(int currentCell, int currentStep) {
        cell = currentCell;
        step = currentStep;
    }

    synchronized void drew(List<String> ids) {
        images.addAll(ids);
    }

    /** What keeps it from going on, for people; null for nothing. */
    synchronized void waitFor(String what) {
        waitingFor = what;
    }

    /** Back to the queue, of this process or the next. */
    synchronized void again() {
        state = State.QUEUED;
        attempts = Math.max(0, attempts - 1);
    }

    synchronized void end(State how, String why) {
        state = how;
        error = why;
        ended = Instant.now();
        if (startedNanos != 0) seconds = (System.nanoTime() - startedNanos) / 1e9;
        waitingFor = null;
    }

    /** Rows of the network that are still to be computed, each once for each step. */
    synchronized double rowStepsLeft(int ofCell) {
        Generation generation = order.cells().get(ofCell);
        double all = (double) generation.rows() * generation.numSteps();
        if (state != State.RUNNING || ofCell > cell) return all;
        return ofCell < cell ? 0 : all - (double) generation.rows() * step;
    }

    synchronized ObjectNode toJson(int position, double secondsLeft) {
        ObjectNode json = Json.object()
                .put("id", order.id())
                .put("state", state.word())
                .put("client", order.client())
                .put("created", order.created())
                .put("draft", order.draft())
                .put("pictures", order.pictures())
                .put("cell", cell)
                .put("cells", order.cells().size())
                .put("step", step)
                .put(
                        "steps",
                        order.cells()
                                .get(Math.min(cell, order.cells().size() - 1))
                                .numSteps());
        json.set("request", order.cells().get(0).toJson());
        json.set("images", Json.strings(images));
        if (state == State.QUEUED) json.put("position", position);
        if (started != null) json.put("started", started.toString());
        if (ended != null) json.put("ended", ended.toString());
        if (state.isOver() && startedNanos != 0) json.put("seconds", seconds);
        if (!state.isOver() && secondsLeft > 0) json.put("seconds_left", secondsLeft);
        if (error != null) json.put("error", error);
        if (waitingFor != null) json.put("waiting_for", waitingFor);
        if (order.axes() != null) json.set("grid", Json.tree(order.axes()));
        return json;
    }
}
