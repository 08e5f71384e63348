package org.dit4j.train;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.dit4j.checkpoint.TrainState;
import org.dit4j.data.Dataset;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The loop around {@link Trainer#step} in a run folder: the log, samples, and checkpoints, which are written beside the training. A folder
 * that has a checkpoint is continued from the newest whole one, to the last bit as if the run had never stopped (on CUDA after
 * {@link org.dit4j.torch.Backend#useDeterministicAlgorithms}).
 */
public final class TrainingRun implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(TrainingRun.class);
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

    /**
     * How often, in steps but for one.
     *
     * @param logEvery 100 as published
     * @param ckptEvery 50,000 as published; the last step always leaves a checkpoint
     * @param sampleEvery 0 is never; {@link #AUTO}
     * @param evalEvery how often to validate, if there are data for it; 0 is never; {@link #AUTO}
     * @param ckptSeconds a checkpoint is due also when the last is so old; 0 is never
     */
    public record Cadence(int logEvery, int ckptEvery, int sampleEvery, int evalEvery, int ckptSeconds) {
        /**
         * With the first log, and then with a log as often as samples and validation together take at most 5% of the wall
         * time; at the end too. A run so short that the first and the last alone take more has these two.
         */
        public static final int AUTO = -1;

        public Cadence {
            if (logEvery < 1 || ckptEvery < 1 || sampleEvery < AUTO || evalEvery < AUTO || ckptSeconds < 0)
                throw new IllegalArgumentException("log every " + logEvery + ", checkpoint every " + ckptEvery
                        + ", sample every " + sampleEvery + ", validate every " + evalEvery
                        + " steps: the first two are at least 1, the others 0 or more, or -1 for AUTO; a checkpoint every "
                        + ckptSeconds + " seconds: 0 or more");
        }

        /** As often validation as samples, and no checkpoints by time. */
        public Cadence(int logEvery, int ckptEvery, int sampleEvery) {
            this(logEvery, ckptEvery, sampleEvery, sampleEvery, 0);
        }
    }

    /** Of the wall time, for what comes at the cadence {@link Cadence#AUTO}. */
    static final double MAX_SHARE = 0.05;

    /** What to do when a checkpoint, metrics or a validation cannot be written, for example because the disk is full. The last checkpoint must be written. */
    public enum OnSaveFailure {
        CONTINUE,
        STOP
    }

    /**
     * What happens when something goes wrong.
     *
     * @param retention which checkpoints stay
     * @param maxSkippedInARow after so many steps without finite losses and gradients the run goes back to its newest checkpoint
     * @param maxRollbacks after going back so often it ends with a {@link DivergedException}; 0 is at once
     */
    public record Safety(
            TrainState.Retention retention, OnSaveFailure onSaveFailure, int maxSkippedInARow, int maxRollbacks) {
        /** Three checkpoints, training goes on without one, ten steps, three times. */
        public static final Safety DEFAULT = new Safety(new TrainState.Retention(3, 0), OnSaveFailure.CONTINUE, 10, 3);

        public Safety {
            if (maxSkippedInARow < 1 || maxRollbacks < 0)
                throw new IllegalArgumentException("at most " + maxSkippedInARow + " skipped steps in a row and "
                        + maxRollbacks + " rollbacks: the first is at least 1, the second 0 or more");
        }
    }

    /** Why a run ended. */
    public enum Ending {
        /** It has all its steps, or its listener ended it. */
        FINISHED,
        /** By {@link #stop}; the same command continues it. */
        STOPPED
    }

    private final RunLock lock;
    private final RunFolder folder;
    private final RunIdentity identity;
    private final Cadence cadence;
    private final Safety safety;
    private final Trainer trainer;
    private final MetricsLog metrics;
    private final Optional<Validation> validation;
    private final ValidationLog validationLog;
    private final Snapshot snapshot;
    private final Speed speed;
    private final ExecutorService writer = Executors.newSingleThreadExecutor(TrainingRun::writerThread);
    /** The checkpoint that is being written, or null. */
    private Future<Path> saving;

    private final long epochSize;
    /** The epoch of the next step, once the log says it; −1 before. */
    private long epoch = -1;
    /** Of a run that has no checkpoint yet: what it begins with. */
    private final List<String> origin;

    private long savedStep;
    /** When the last save began, or the training. */
    private long savedNanos;

    private long rollbacks;
    private volatile boolean stopping;

    /** Null before {@link #run}; what is to be told until then waits for it. */
    private TrainingListener listener;

    private final List<String> untold = new ArrayList<>();

    private TrainingRun(
            RunLock lock,
            RunFolder folder,
            RunIdentity identity,
            Cadence cadence,
            Safety safety,
            Trainer trainer,
            MetricsLog metrics,
            Optional<Validation> validation,
            ValidationLog validationLog,
            long epochSize,
            Snapshot snapshot,
            List<String> origin) {
        this.origin = origin;
        this.lock = lock;
        this.folder = folder;
        this.identity = identity;
        this.cadence = cadence;
        this.safety = safety;
        this.trainer = trainer;
        this.metrics = metrics;
        this.validation = validation;
        this.validationLog = validationLog;
        this.snapshot = snapshot;
        this.epochSize = epochSize;
        speed = new Speed(trainer.config(), trainer.device());
    }

    private static Thread writerThread(Runnable task) {
        Thread thread = new Thread(task, "dit4j-checkpoint");
        thread.setDaemon(true); // a second Ctrl-C does not wait for it
        return thread;
    }

    /**
     * Opens a run in its folder: locks it, removes what a crash left, and makes the trainer, from the newest whole checkpoint if there is
     * one, else from what the folder says that the run begins with.
     *
     * @param dataset stays the caller's to close, after this
     * @throws IllegalArgumentException if another process trains in this folder, or its run has another model
     * @throws IOException if there are checkpoints, but none is whole
     */
    public static TrainingRun open(
            RunFolder folder,
            TrainConfig config,
            GaussianDiffusion diffusion,
            Dataset dataset,
            Cadence cadence,
            Safety safety)
            throws IOException {
        return open(folder, config, diffusion, dataset, Optional.empty(), cadence, safety);
    }

    /**
     * As {@link #open(RunFolder, TrainConfig, GaussianDiffusion, Dataset, Cadence, Safety)}, with data to validate on, which change nothing
     * in the training.
     *
     * @throws IllegalArgumentException also if the model takes other pictures than these data, or they have other classes than those that
     *     are trained on
     */
    public static TrainingRun open(
            RunFolder folder,
            TrainConfig config,
            GaussianDiffusion diffusion,
            Dataset dataset,
            Optional<Validation> validation,
            Cadence cadence,
            Safety safety)
            throws IOException {
        if (validation.isPresent())
            requireSameKind(config, dataset, validation.get().data());
        RunIdentity former = folder.identity();
        RunIdentity identity = RunIdentity.of(config, diffusion, dataset).withOriginOf(former);
        if (!identity.values().get("model").equals(former.values().get("model")))
            throw new IllegalArgumentException(folder.path() + " trains another model: "
                    + String.join("; ", identity.differences(former)) + "; begin another run with --resume never");
        List<AutoCloseable> opened = new ArrayList<>();
        try {
            RunLock lock = RunLock.take(folder);
            opened.add(lock);
            if (!Files.isDirectory(folder.checkpoints()))
                throw new NoSuchFileException(
                        folder.checkpoints().toString(),
                        null,
                        "the folder of the run's checkpoints is not there; bring it back, or start another run with"
                                + " --resume never");
            TrainState.removeOrphans(folder.checkpoints());
            AtomicFile.removeOrphans(folder.path());
            AtomicFile.removeOrphans(folder.samples());
            folder.repair(former);
            List<String> damage = new ArrayList<>();
            Optional<Path> checkpoint = TrainState.newestWhole(folder.checkpoints(), damage::add);
            if (checkpoint.isEmpty() && !damage.isEmpty())
                throw new IOException("no checkpoint of " + folder.path() + " is whole: " + damage.get(0)
                        + "; start another run with --resume never");
            InitialState initial = InitialState.FRESH;
            if (checkpoint.isEmpty()) initial = initialState(former, config, diffusion, dataset);
            Trainer trainer = checkpoint.isPresent()
                    ? Trainer.resume(config, diffusion, dataset, checkpoint.get())
                    : Trainer.begin(config, diffusion, dataset, initial);
            opened.add(trainer);
            long bytes = checkpoint.isPresent()
                    ? TrainState.state(checkpoint.get()).path("metricsBytes").asLong()
                    : 0;
            MetricsLog metrics = new MetricsLog(folder.metrics(), bytes);
            opened.add(metrics);
            Snapshot snapshot = new Snapshot(trainer, dataset);
            opened.add(snapshot);
            TrainingRun run = new TrainingRun(
                    lock,
                    folder,
                    identity,
                    cadence,
                    safety,
                    trainer,
                    metrics,
                    validation,
                    new ValidationLog(folder.validation(), trainer.steps()),
                    dataset.size(),
                    snapshot,
                    initial.notes());
            run.start(checkpoint, damage, identity.differences(former), dataset);
            return run;
        } catch (IOException | RuntimeException e) {
            for (int i = opened.size() - 1; i >= 0; i--) close(opened.get(i), e);
            throw e;
        }
    }

    private static void requireSameKind(TrainConfig config, Dataset dataset, Dataset validation) {
        Trainer.requireFits(config, validation);
        if (config.model().numClasses() > 0 && !validation.classNames().equals(dataset.classNames()))
            throw new IllegalArgumentException("the classes to validate on, " + validation.classNames()
                    + ", are not those to train on, " + dataset.classNames());
        if (!encoding(validation).equals(encoding(dataset)))
            throw new IllegalArgumentException(
                    "what to validate on is " + encoding(validation) + ", what to train on is " + encoding(dataset));
    }

    private static String encoding(Dataset dataset) {
        return dataset.latents()
                .map(latents -> "latents of the encoder " + latents.encoderDigest() + " at scale " + latents.scale()
                        + " and shift " + latents.shift())
                .orElse("pictures");
    }

    private static void close(AutoCloseable opened, Exception failure) {
        try {
            opened.close();
        } catch (Exception e) {
            failure.addSuppressed(e);
        }
    }

    private static InitialState initialState(
            RunIdentity run, TrainConfig config, GaussianDiffusion diffusion, Dataset dataset) throws IOException {
        Origin origin = Origin.of(run);
        InitialState state = origin.open(config, diffusion, dataset);
        if (!origin.isUnchangedSince(run))
            throw new FormatException(
                    origin.path().orElseThrow(),
                    "is not the file any more that this run is to begin with; begin another with --resume never");
        return state;
    }

    private void start(Optional<Path> checkpoint, List<String> damage, List<String> differences, Dataset dataset)
            throws IOException {
        for (String line : damage) warn("Skipped a damaged checkpoint: " + line);
        for (String line : differences) warn("Changed " + line);
        savedStep = -1;
        if (checkpoint.isPresent()) {
            savedStep = trainer.steps();
            rollbacks = TrainState.state(checkpoint.get()).path("rollbacks").asLong();
            log("Resumed from " + checkpoint.get());
        } else {
            log("Experiment directory created at " + folder.path());
            log(text("DiT Parameters: %,d", trainer.config().model().parameters()));
            for (String line : origin) log("Origin: " + line);
        }
        long steps = trainer.config().maxSteps(),
                images = steps * trainer.config().globalBatchSize();
        boolean endless = epochSize == Dataset.ENDLESS;
        log(text("Dataset contains %s images (%s)", endless ? "endless" : text("%,d", epochSize), dataset.describe()));
        validation.ifPresent(on -> log("Validation on " + on.data().describe()));
        if (endless) log(text("Training for %,d steps...", steps));
        else log(text("Training for %,d epochs...", (images + epochSize - 1) / epochSize));
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    /** The trainer, for example to see with how many steps the run begins. */
    public Trainer trainer() {
        return trainer;
    }

    /** What the run begins with, one line each, if that is not fresh weights; none once it has a checkpoint. */
    public List<String> origin() {
        return origin;
    }

    /** What each validation so far said, those of former processes included. */
    public List<ValidationLosses> loggedValidations() throws IOException {
        return ValidationLog.read(folder.validation());
    }

    /** Ends {@link #run} after the step that it is at, with a checkpoint; from any thread. */
    public void stop() {
        stopping = true;
    }

    /** Whether {@link #stop} was asked for: who draws then may end with a {@link CancellationException}, and is asked again by the next run. */
    public boolean isStopping() {
        return stopping;
    }

    /**
     * Measures what the device can do, so that logs say what share of it the training reaches; before {@link #run}, on a device that has
     * nothing else to do.
     */
    public void measurePeak() {
        speed.measurePeak();
    }

    /**
     * What a log would say now, for who wants to see it more often than it is logged; on the training thread. Waits for the device.
     *
     * @param stepsPerSecond as the caller measured it
     */
    public TrainingLog sinceLastLog(double stepsPerSecond) {
        return described(trainer.readMeanLoss(), stepsPerSecond);
    }

    /**
     * Trains to the last step, until the listener ends it, or {@link #stop} does.
     *
     * @throws SaveException if a checkpoint cannot be written that must be
     * @throws IOException if data cannot be read, which leaves a checkpoint, or if something else cannot be written that must be
     * @throws DivergedException if losses, gradients or weights are no longer finite and going back did not help
     */
    public Ending run(TrainingListener following) throws IOException {
        listener = following;
        for (String message : untold) listener.onMessage(message);
        untold.clear();
        TimeShare share = new TimeShare(MAX_SHARE, System::nanoTime);
        long maxSteps = trainer.config().maxSteps(), logged = trainer.steps();
        boolean last = trainer.steps() >= maxSteps;
        if (trainer.steps() > 0) { // a run that was stopped has saved without what was due then
            look(
                    isDue(cadence.evalEvery(), last, last) && !isValidated(),
                    isDue(cadence.sampleEvery(), last, last) && Files.notExists(folder.samples(trainer.steps())));
            if (stopping) return stopped();
        }
        long since = System.nanoTime();
        savedNanos = since;
        while (!last) {
            logEpoch();
            step();
            if (saving != null && saving.isDone()) finishSaving(false);
            last = !listener.onStep(trainer) || trainer.steps() >= maxSteps;
            boolean toLog = isDue(cadence.logEvery(), last);
            if (toLog) {
                double loss = trainer.drainMeanLoss(); // waits for the device, so the time is that of finished steps
                report(loss, (trainer.steps() - logged) * 1e9 / (System.nanoTime() - since));
                logged = trainer.steps();
                since = System.nanoTime();
            }
            if (last) save(true); // what follows may take long
            boolean auto = toLog && (last || share.isDue());
            boolean toValidate = isDue(cadence.evalEvery(), auto, last),
                    toDraw = isDue(cadence.sampleEvery(), auto, last);
            if (toValidate || toDraw) {
                trainer.synchronize(); // what the device is still at belongs to the steps
                long start = System.nanoTime();
                if (auto) share.begin();
                look(toValidate, toDraw);
                if (auto) share.end();
                since += System.nanoTime() - start;
            }
            if (stopping && (!last || toValidate || toDraw)) return stopped();
            if (!last && (isDue(cadence.ckptEvery(), false) || isLastSaveOld())) save(false);
        }
        log("Done!");
        return Ending.FINISHED;
    }

    /** A step, or, if its data cannot be read, a checkpoint of the one before it. */
    private void step() throws IOException {
        try {
            trainer.step();
        } catch (IOException e) {
            try {
                if (trainer.steps() > 0) save(true);
            } catch (IOException | RuntimeException failed) {
                e.addSuppressed(failed);
            }
            throw e;
        }
    }

    private Ending stopped() throws IOException {
        save(true);
        log("Stopped at step " + trainer.steps());
        return Ending.STOPPED;
    }

    /** Validates and draws, but for what a stop leaves out. */
    private void look(boolean toValidate, boolean toDraw) throws IOException {
        if (toValidate && validation.isPresent() && !stopping) validate(validation.get());
        if (!toDraw || stopping) return;
        try {
            listener.onSamples(trainer);
        } catch (CancellationException e) {
            if (!stopping) throw e;
        }
    }

    private boolean isValidated() throws IOException {
        return loggedValidations().stream().anyMatch(losses -> losses.step() == trainer.steps());
    }

    private void validate(Validation on) throws IOException {
        ValidationLosses losses = on.losses(trainer);
        try {
            validationLog.add(losses);
        } catch (IOException e) {
            if (safety.onSaveFailure() == OnSaveFailure.STOP) throw e;
            warn("No validation in its log: " + e.getMessage());
        }
        log(text("(step=%07d) Validation Loss: %.4f", losses.step(), losses.loss()));
        listener.onValidation(trainer, losses);
    }

    /** As published; where a batch begins in one epoch and ends in the next, the line stands before the batch after it. */
    private void logEpoch() {
        if (epochSize == Dataset.ENDLESS) return;
        long now = trainer.trainedImages() / epochSize;
        if (now == epoch) return;
        epoch = now;
        log(text("Beginning epoch %d...", epoch));
    }

    /** Of what {@code auto} says where nothing else does. */
    private boolean isDue(int every, boolean auto, boolean last) {
        return every == Cadence.AUTO ? auto : isDue(every, last);
    }

    private boolean isDue(int every, boolean last) {
        return every > 0 && (last || trainer.steps() % every == 0);
    }

    /** Not while a checkpoint is being written: on a slow disk the training would wait for it again and again. */
    private boolean isLastSaveOld() {
        return cadence.ckptSeconds() > 0
                && saving == null
                && System.nanoTime() - savedNanos >= cadence.ckptSeconds() * 1_000_000_000L;
    }

    private void report(double loss, double stepsPerSecond) throws IOException {
        TrainingLog log = described(loss, stepsPerSecond);
        addMetrics(log);
        log(text(
                "(step=%07d) Train Loss: %.4f, Train Steps/Sec: %.2f%s",
                log.step(), loss, stepsPerSecond, log.spike() ? " (spike)" : ""));
        listener.onLog(trainer, log);
        if (trainer.skippedInARow() > 0)
            warn("Skipped " + trainer.skippedInARow() + " steps in a row, " + trainer.skippedSteps()
                    + " in all: the loss or the gradients were not finite");
        if (trainer.skippedInARow() >= safety.maxSkippedInARow())
            rollBack("the loss or the gradients of the last " + trainer.skippedInARow() + " steps up to step "
                    + trainer.steps() + " are not finite");
    }

    private TrainingLog described(double loss, double stepsPerSecond) {
        return new TrainingLog(
                trainer.steps(),
                trainer.trainedImages(),
                loss,
                trainer.gradientNorm(),
                trainer.config().learningRate().at(trainer.steps()),
                trainer.skippedSteps(),
                metrics.isSpike(loss),
                speed.at(stepsPerSecond));
    }

    /** Goes on from older weights with newer data; the same data would lead to the same end. */
    private void rollBack(String reason) throws IOException {
        finishSaving(false);
        Optional<Path> good = TrainState.newestWhole(folder.checkpoints(), line -> {});
        if (good.isEmpty() || rollbacks >= safety.maxRollbacks())
            throw new DivergedException(
                    reason + (good.isEmpty() ? ", and there is no checkpoint" : ", after " + rollbacks + " rollbacks")
                            + "; lower the learning rate, or clip the gradients (--clip-norm 1)");
        rollbacks++;
        trainer.rollBack(good.get());
        warn("Rolled back to the weights of " + good.get() + ": " + reason);
    }

    /** Copies the state; the writing goes on beside the training, but for the last one. */
    private void save(boolean last) throws IOException {
        finishSaving(false);
        savedNanos = System.nanoTime();
        if (trainer.steps() != savedStep) {
            Map<String, Object> state = new LinkedHashMap<>();
            state.put("rollbacks", rollbacks);
            state.put("metricsBytes", metrics.bytes());
            state.putAll(identity.toState());
            try {
                snapshot.take(state);
            } catch (DivergedException e) {
                rollBack(e.getMessage());
                if (last) save(true);
                return;
            }
            saving = writer.submit(() -> {
                metrics.force(); // a checkpoint's metrics are as durable as itself
                return snapshot.save(folder.checkpoints(), safety.retention());
            });
        }
        if (last) finishSaving(true);
    }

    /** Waits for the checkpoint that is being written, if there is one. */
    private void finishSaving(boolean must) throws IOException {
        if (saving == null) return;
        Future<Path> finished = saving;
        saving = null;
        try {
            Path saved = finished.get();
            savedStep = Long.parseLong(saved.getFileName().toString().substring("step-".length()));
            tell("Saved checkpoint to " + saved);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while a checkpoint was written");
        } catch (ExecutionException e) {
            if (!(e.getCause() instanceof IOException cause))
                throw new IllegalStateException("a checkpoint could not be written: " + e.getCause(), e.getCause());
            warn("Saving failed: " + cause.getMessage());
            if (must || safety.onSaveFailure() == OnSaveFailure.STOP) throw new SaveException(cause);
        }
    }

    private void addMetrics(TrainingLog log) throws IOException {
        try {
            metrics.add(log);
        } catch (IOException e) {
            if (safety.onSaveFailure() == OnSaveFailure.STOP) throw e;
            warn("No metrics: " + e.getMessage());
        }
    }

    private void warn(String message) throws IOException {
        LOGGER.warn(message);
        tell(message);
    }

    /** Logs what a person at a terminal wants to know too. */
    private void tell(String message) throws IOException {
        log(message);
        if (listener == null) untold.add(message);
        else listener.onMessage(message);
    }

    /** What cannot be logged does not end a run. */
    private void log(String message) {
        try (BufferedWriter lines =
                Files.newBufferedWriter(folder.log(), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            lines.write("[" + LocalDateTime.now().format(TIME) + "] " + message);
            lines.newLine();
        } catch (IOException e) {
            LOGGER.error("{} cannot be written: {}", folder.log(), e.getMessage());
        }
    }

    /** Waits for the checkpoint that is being written; the folder is free then. */
    @Override
    public void close() throws IOException {
        writer.shutdown();
        boolean interrupted = false;
        while (!writer.isTerminated()) { // it reads the snapshot's memory
            try {
                writer.awaitTermination(1, TimeUnit.HOURS);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
        snapshot.close();
        metrics.close();
        trainer.close();
        lock.close();
    }
}
