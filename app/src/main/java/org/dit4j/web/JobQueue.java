package org.dit4j.web;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.Images;
import org.dit4j.report.ClassGrid;
import org.dit4j.report.ErrorText;
import org.dit4j.sample.Step;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.LinearRgb;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Jobs, and the one thread for each device that draws them. Clients take turns, each with its oldest job. What is accepted has been written
 * down, and is done, or reported.
 */
final class JobQueue {
    private static final Logger LOGGER = LoggerFactory.getLogger(JobQueue.class);
    static final int MOST_OF_A_CLIENT = 16;
    private static final int KEPT = 200, KEPT_PREVIEWS = 8, MOST_ATTEMPTS = 2;
    private static final long DISK_PAUSE_MILLIS = 2000;
    /** Of the newest step in the measured time of a row. */
    private static final double NEWEST = 0.2;

    private final Models models;
    private final Gallery gallery;
    private final Journal journal;
    private final EventHub hub;
    private final Metrics metrics;
    private final int maxWaiting;
    private final List<Thread> workers = new ArrayList<>();
    private final Thread drawer;
    private final AtomicReference<Previews.Copy> nextPreview = new AtomicReference<>();
    /** Seconds that a row of the network takes for a step, by model. */
    private final Map<String, Double> rowSeconds = new ConcurrentHashMap<>();

    /** All that are known, oldest first. */
    private final Map<String, Job> jobs = new LinkedHashMap<>();
    /** Those that wait, by client; who comes first is served next. */
    private final Map<String, Deque<Job>> waiting = new LinkedHashMap<>();

    private volatile boolean accepting = true, ending, interrupting;

    JobQueue(Models models, Gallery gallery, EventHub hub, Metrics metrics, List<String> devices, int maxWaiting)
            throws IOException {
        this.models = models;
        this.gallery = gallery;
        this.hub = hub;
        this.metrics = metrics;
        this.maxWaiting = maxWaiting;
        journal = new Journal(gallery.folder());
        restore();
        metrics.gauge("dit_queue_length", "Jobs that wait", this::numWaiting);
        for (String device : devices) workers.add(new Thread(() -> work(device), "studio-" + device));
        drawer = new Thread(this::drawPreviews, "studio-previews");
        drawer.setDaemon(true);
    }

    /** What a process before this one had accepted and not finished is done again, unless it was what ended that process. */
    private void restore() throws IOException {
        for (Job.Saved saved : journal.read()) {
            Job job = Job.of(saved, hub);
            jobs.put(job.order.id(), job);
            if (job.state().isOver()) {
                job.topic.end();
                continue;
            }
            if (job.order.draft() || job.attempts() >= MOST_ATTEMPTS) {
                String why = job.order.draft()
                        ? "a draft of a process that has ended"
                        : "the process ended " + job.attempts() + " times while this job ran";
                finish(job, Job.State.LOST, why);
            } else {
                job.again();
                waiting.computeIfAbsent(job.order.client(), client -> new ArrayDeque<>())
                        .add(job);
                job.topic.state(
                        "queued", Json.object().put("id", job.order.id()).put("again", true));
            }
        }
        trim();
    }

    void start() {
        workers.forEach(Thread::start);
        drawer.start();
    }

    /** A job as accepted or, where the client has sent the same under the same key before, as it was then. */
    record Accepted(Job job, boolean isNew) {}

    /** @throws Problem if it is not accepted now */
    Accepted submit(Job.Order order, boolean replace) {
        Job job = new Job(order, hub);
        synchronized (this) {
            if (order.key() != null)
                for (Job known : jobs.values())
                    if (order.client().equals(known.order.client())
                            && order.key().equals(known.order.key())) {
                        if (!order.bodyDigest().equals(known.order.bodyDigest()))
                            throw new Problem(422, "this Idempotency-Key was used for another request; take a new one");
                        return new Accepted(known, false);
                    }
            if (!accepting) throw Problem.later(503, "the studio is stopping; it takes no more jobs", 30);
            if (replace) cancelAll(order.client());
            int ofClient = 0, all = 0;
            for (Job one : jobs.values())
                if (!one.state().isOver() && !one.isCancelled()) {
                    if (one.state() == Job.State.QUEUED) all++;
                    if (one.order.client().equals(order.client())) ofClient++;
                }
            if (ofClient >= MOST_OF_A_CLIENT)
                throw Problem.later(
                        429,
                        "this client has " + ofClient + " jobs already; at most " + MOST_OF_A_CLIENT,
                        secondsToPlace());
            if (all >= maxWaiting)
                throw Problem.later(429, all + " jobs wait already; the queue is full", secondsToPlace());
            jobs.put(order.id(), job); // it has its place; the disk is not waited for with the lock
        }
        try {
            journal.write(job);
        } catch (IOException e) {
            synchronized (this) {
                jobs.remove(order.id());
            }
            throw Problem.later(503, "the job cannot be written down: " + ErrorText.of(e), 60);
        }
        synchronized (this) {
            waiting.computeIfAbsent(order.client(), client -> new ArrayDeque<>())
                    .add(job);
            job.topic.state("queued", Json.object().put("id", order.id()).put("position", position(job)));
            metrics.count("dit_jobs_accepted_total", "Jobs accepted");
            notifyAll();
        }
        return new Accepted(job, true);
    }

    private void cancelAll(String client) {
        for (Job job : List.copyOf(jobs.values()))
            if (job.order.client().equals(client) && !job.state().isOver()) cancel(job);
    }

    /** Until a job that runs has ended and the next one leaves the queue. */
    private double secondsToPlace() {
        return jobs.values().stream()
                .filter(job -> job.state() == Job.State.RUNNING)
                .mapToDouble(this::secondsLeft)
                .min()
                .orElse(1);
    }

    private double secondsLeft(Job job) {
        double seconds = 0;
        for (int i = 0; i < job.order.cells().size(); i++)
            seconds += job.rowStepsLeft(i)
                    * rowSeconds.getOrDefault(key(job.order.cells().get(i)), 0.0);
        return seconds;
    }

    private static String key(Generation generation) {
        return generation.model() + " " + generation.weights();
    }

    synchronized Job get(String id) {
        Job job = jobs.get(id);
        if (job == null) throw new Problem(404, "there is no such job");
        return job;
    }

    /** @throws Problem if it is over */
    void cancel(Job job) {
        if (job.state().isOver())
            throw new Problem(409, "this job is " + job.state().word() + " already; its pictures are in the gallery");
        job.cancel();
        synchronized (this) {
            Deque<Job> ofClient = waiting.get(job.order.client());
            if (ofClient == null || !ofClient.remove(job)) return; // its worker hears of it before the next step
            if (ofClient.isEmpty()) waiting.remove(job.order.client());
        }
        finish(job, Job.State.CANCELLED, null);
    }

    synchronized ObjectNode toJson(Job job) {
        return job.toJson(position(job), secondsLeft(job));
    }

    /** Newest first. */
    synchronized List<ObjectNode> list() {
        List<ObjectNode> list = new ArrayList<>();
        for (Job job : jobs.values()) list.add(0, toJson(job));
        return list;
    }

    private synchronized int numWaiting() {
        return waiting.values().stream().mapToInt(Deque::size).sum();
    }

    /** How many are served before it; −1 if it does not wait. */
    private int position(Job job) {
        int before = 0;
        boolean found = false;
        Deque<Job> own = waiting.get(job.order.client());
        int depth = own == null ? -1 : new ArrayList<>(own).indexOf(job);
        if (depth < 0) return -1;
        for (Map.Entry<String, Deque<Job>> client : waiting.entrySet()) {
            boolean isOwn = client.getKey().equals(job.order.client());
            // clients before it in the round come depth + 1 times, those after it depth times
            before += isOwn ? depth : Math.min(client.getValue().size(), found ? depth : depth + 1);
            found |= isOwn;
        }
        return before;
    }

    private synchronized Job take() throws InterruptedException {
        while (!ending && waiting.isEmpty()) wait();
        if (ending) return null;
        Iterator<Map.Entry<String, Deque<Job>>> clients = waiting.entrySet().iterator();
        Map.Entry<String, Deque<Job>> next = clients.next();
        clients.remove();
        Job job = next.getValue().remove();
        if (!next.getValue().isEmpty()) waiting.put(next.getKey(), next.getValue());
        job.begin();
        return job;
    }

    private void work(String device) {
        try {
            for (Job job; (job = take()) != null; ) {
                try {
                    run(job, device);
                } catch (RuntimeException e) {
                    LOGGER.error("job {}", job.order.id(), e);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void run(Job job, String device) {
        metrics.add(
                "dit_queue_wait_seconds_total",
                "Time that jobs waited before they ran",
                Duration.between(java.time.Instant.parse(job.order.created()), java.time.Instant.now())
                                .toMillis()
                        / 1e3);
        note(job);
        try {
            draw(job, device);
            finish(job, Job.State.DONE, null);
        } catch (CancellationException e) {
            if (job.isCancelled() || !interrupting) finish(job, Job.State.CANCELLED, null);
            else {
                job.again();
                note(job);
                job.topic.end();
            }
        } catch (Problem | IOException | IllegalArgumentException | IllegalStateException e) {
            finish(job, Job.State.FAILED, ErrorText.of(e));
        } catch (OutOfMemoryError e) {
            finish(job, Job.State.FAILED, "out of memory: take fewer pictures at once, or a smaller model");
        } catch (RuntimeException e) { // LibTorch's own
            String text = ErrorText.of(e);
            boolean memory = text.contains("out of memory") || text.contains("can't allocate memory");
            finish(
                    job,
                    Job.State.FAILED,
                    memory ? "out of memory: take fewer pictures at once, or a smaller model (" + text + ")" : text);
        }
    }

    private void draw(Job job, String device) throws IOException {
        int first = 0, batch = 0;
        for (int cell = 0; cell < job.order.cells().size(); cell++) {
            Generation generation = job.order.cells().get(cell);
            try (Models.Lease lease = models.lease(generation.model(), generation.weights(), device, "/model")) {
                Model model = lease.model();
                int count = generation.labels().size(), most = model.pipeline().picturesAtOnce();
                for (int from = 0; from < count; from += most, batch++) {
                    int some = Math.min(most, count - from);
                    Watch watch = new Watch(job, model, generation, cell, batch, first + from, some);
                    List<BufferedImage> drawn = ClassGrid.viewable(
                            model.pipeline().sample(generation.request().part(from, some), watch::onStep));
                    watch.fit(drawn);
                    keep(job, model, generation, from, first + from, drawn);
                }
                first += count;
            }
        }
    }

    /** Follows the steps of one batch, on the worker's thread. */
    private final class Watch {
        private final Job job;
        private final Model model;
        private final Generation generation;
        private final int cell, batch, first, count;
        private long nanos = System.nanoTime();
        /** The last latents, where a projection to colours is to be fitted. */
        private float[] latents;

        private long[] shape;

        Watch(Job job, Model model, Generation generation, int cell, int batch, int first, int count) {
            this.job = job;
            this.model = model;
            this.generation = generation;
            this.cell = cell;
            this.batch = batch;
            this.first = first;
            this.count = count;
        }

        boolean onStep(Step step) {
            if (job.isCancelled() || interrupting) return false;
            long now = System.nanoTime();
            double seconds = (now - nanos) / 1e9;
            nanos = now;
            metrics.add("dit_step_seconds_total", "Time that steps of the network took", seconds);
            metrics.count("dit_steps_total", "Steps of the network");
            double row = seconds / (count * (generation.guidance() == 1 ? 1 : 2));
            rowSeconds.merge(key(generation), row, (known, newest) -> known + NEWEST * (newest - known));
            job.at(cell, step.number());
            ObjectNode event = Json.object()
                    .put("cell", cell)
                    .put("batch", batch)
                    .put("first", first)
                    .put("count", count)
                    .put("step", step.number())
                    .put("steps", step.numSteps())
                    .put("seconds_left", secondsLeft(job));
            job.topic.newest("step", event);
            if (model.preview().isPresent()) {
                if (job.previews.wants(step.number(), step.numSteps())) {
                    Previews.Copy copy = new Previews.Copy(
                            job.previews,
                            model,
                            batch,
                            step.number(),
                            step.numSteps(),
                            first,
                            Tensors.toFloats(step.x0()),
                            step.x0().shape());
                    if (job.order.draft() && step.number() == step.numSteps()) copy.draw(); // it is all there will be
                    else nextPreview.set(copy);
                    synchronized (nextPreview) {
                        nextPreview.notifyAll();
                    }
                }
            } else if (step.number() == step.numSteps()) {
                latents = Tensors.toFloats(step.x());
                shape = step.x().shape();
            }
            return true;
        }

        /** The pictures of this batch show how its latents look. */
        void fit(List<BufferedImage> pictures) {
            if (latents == null) return;
            LinearRgb.Fit fit = new LinearRgb.Fit((int) shape[1]);
            try (TensorScope scope = new TensorScope()) {
                Tensor drawn = Tensors.of(latents, shape);
                for (int i = 0; i < pictures.size(); i++)
                    fit.add(
                            drawn.narrow(0, i, 1),
                            Images.toTensor(pictures.get(i)).unsqueeze(0));
                model.showBy(fit.solve());
            } catch (IllegalArgumentException | IllegalStateException e) {
                LOGGER.debug("no projection to colours yet", e); // too few pixels: the next job's may do
            }
        }
    }

    private void keep(Job job, Model model, Generation generation, int from, int first, List<BufferedImage> drawn)
            throws IOException {
        if (job.order.draft()) return;
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < drawn.size(); i++) {
            Map<String, String> text = PictureRecipe.text(model, generation.picture(from + i));
            while (true)
                try {
                    ids.add(gallery.keep(drawn.get(i), text).id());
                    break;
                } catch (IOException e) {
                    if (!String.valueOf(e.getMessage()).contains("No space left")) throw e;
                    waitForDisk(job);
                }
        }
        job.drew(ids);
        job.topic.state("pictures", Json.object().put("first", first).set("images", Json.strings(ids)));
        metrics.add("dit_pictures_total", "Pictures drawn and kept", ids.size());
    }

    private void waitForDisk(Job job) {
        String why = "the disk of the gallery is full; make room, and it goes on";
        job.waitFor(why);
        job.topic.newest("waiting", Json.object().put("detail", why));
        try {
            for (int i = 0; i < 20; i++) {
                if (job.isCancelled() || interrupting) throw new CancellationException("while the disk was full");
                TimeUnit.MILLISECONDS.sleep(DISK_PAUSE_MILLIS / 20);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException("while the disk was full");
        }
        job.waitFor(null);
    }

    private void finish(Job job, Job.State state, String why) {
        job.end(state, why);
        metrics.count("dit_jobs_total", "Jobs that are over, by outcome", "outcome", state.word());
        note(job); // before anybody is told
        job.topic.state(state == Job.State.DONE ? "done" : "error", job.toJson(-1, 0));
        job.topic.end();
        trim();
    }

    /** Writes down how a job stands. Where that fails the job goes on: in the journal it stands as it did, so the next process does it again. */
    private void note(Job job) {
        try {
            journal.write(job);
        } catch (IOException e) {
            LOGGER.warn("the journal does not know how job {} stands: {}", job.order.id(), e.getMessage());
        }
    }

    /** Forgets the oldest that are over, and the previews of all but the newest. */
    private synchronized void trim() {
        List<Job> over =
                jobs.values().stream().filter(job -> job.state().isOver()).toList();
        for (int i = 0; i < over.size() - KEPT; i++) {
            jobs.remove(over.get(i).order.id());
            try {
                journal.delete(over.get(i));
            } catch (IOException e) {
                LOGGER.warn("a job stays in the journal: {}", e.getMessage());
            }
        }
        for (int i = 0; i < over.size() - KEPT_PREVIEWS; i++) {
            over.get(i).previews.clear();
            over.get(i).topic.forgetNewest();
        }
    }

    private void drawPreviews() {
        try {
            while (true) {
                Previews.Copy copy = nextPreview.getAndSet(null);
                if (copy == null)
                    synchronized (nextPreview) {
                        if (nextPreview.get() == null) nextPreview.wait();
                    }
                else
                    try {
                        copy.draw();
                    } catch (RuntimeException e) { // a model that was closed meanwhile
                        LOGGER.debug("no preview", e);
                    }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    boolean isAccepting() {
        return accepting;
    }

    /** Takes no more jobs; those that run may end within the grace, and those that wait are there for the next process. */
    void stop(Duration grace) {
        synchronized (this) {
            accepting = false;
            ending = true;
            notifyAll();
        }
        long until = System.nanoTime() + grace.toNanos();
        boolean interrupted = false;
        for (Thread worker : workers)
            while (worker.isAlive()) {
                long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
                if (left <= 0) interrupting = true;
                try {
                    worker.join(Math.max(1, left <= 0 ? 100 : left));
                } catch (InterruptedException e) {
                    interrupted = true;
                    until = System.nanoTime();
                }
            }
        drawer.interrupt();
        if (interrupted) Thread.currentThread().interrupt();
    }
}
