package org.dit4j.run;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedChannelException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.dit4j.data.Dataset;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Precision;
import org.dit4j.train.DivergedException;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;
import org.dit4j.train.ValidationLosses;

/**
 * The loop around {@link Trainer#step} in a run folder: the log, samples, and checkpoints, which are written beside the training. A folder
 * that has a checkpoint is continued from the newest whole one, to the last bit as if the run had never stopped (on CUDA after
 * {@link org.dit4j.torch.Backend#useDeterministicAlgorithms}).
 */
public final class TrainingRun implements AutoCloseable {
    /** Why a run ended. */
    public enum Ending {
        /** It has all its steps, or its listener ended it. */
        FINISHED,
        /** By {@link #stop}, or an interrupt of its thread; the same command continues it. */
        STOPPED
    }

    private final RunLock lock;
    private final RunFolder folder;
    private final RunPlan plan;
    private final Lifetime lifetime = new Lifetime("this run", () -> {});
    private final Trainer trainer;
    private final RunLog log;
    private final MetricsLog metrics;
    private final Optional<Validation> validation;
    private final ValidationLog validationLog;
    private final Saver saver;
    private final RollBack rollBack;
    private final Speed speed;
    private final List<String> origin;

    private final long epochSize;
    /** The epoch of the next step, once the log says it; −1 before. */
    private long epoch = -1;

    private volatile boolean stopping, saveAsked;
    /** Whether the thread was, which is to end the run; the mark itself would end all work on files. */
    private boolean interrupted;
    /** Null before {@link #run}. */
    private TrainingListener listener;

    private final Timetable timetable;
    /** The step of the last log, and when it was, later by what the looks since then took. */
    private long logged, loggedNanos;

    private TrainingRun(OpenedRun opened) {
        lock = opened.lock();
        folder = opened.folder();
        plan = opened.plan();
        trainer = opened.trainer();
        log = opened.log();
        metrics = opened.metrics();
        validation = opened.validation();
        validationLog = opened.validationLog();
        saver = opened.saver();
        rollBack = opened.rollBack();
        origin = opened.origin();
        epochSize = opened.dataset().size();
        speed = new Speed(plan.config(), plan.execution(), trainer.device());
        timetable = new Timetable(plan.cadence());
        logStart(opened.checkpoint(), opened.dataset());
    }

    /**
     * Begins a run in {@code results}, or goes on with the one there that learns the same from the same data.
     *
     * @param name of a new run's folder, after its number; a slash becomes a dash
     * @param dataset stays the caller's to close, after this
     * @throws IllegalArgumentException if another process trains this run, or plan and data do not fit each other
     */
    public static TrainingRun open(Path results, String name, RunPlan plan, Dataset dataset) throws IOException {
        Trainer.requireFits(plan.config(), plan.execution(), dataset);
        RunLock lock = RunLock.take(results, () -> {
            Precision precision = plan.execution().precision();
            Optional<RunFolder> begun = RunFolder.find(results, plan.config(), precision, dataset, Origin.FRESH);
            return begun.isPresent()
                    ? begun.get()
                    : RunFolder.create(results, name, RunIdentity.of(plan.config(), precision, dataset));
        });
        return open(lock, plan, dataset, Optional.empty());
    }

    /**
     * Opens a run in its folder: locks it, removes what a crash left, and makes the trainer, from the newest whole checkpoint if there is
     * one, else from what the folder says that the run begins with.
     *
     * @param dataset stays the caller's to close, after this
     * @throws IllegalArgumentException if another process trains in this folder, or its run has another model
     * @throws IOException if there are checkpoints, but none is whole
     */
    public static TrainingRun open(RunFolder folder, RunPlan plan, Dataset dataset) throws IOException {
        return open(folder, plan, dataset, Optional.empty());
    }

    /**
     * As {@link #open(RunFolder, RunPlan, Dataset)}, with data to validate on, which change nothing in the training.
     *
     * @throws IllegalArgumentException also if the model takes other pictures than these data, or they have other classes than those that
     *     are trained on
     */
    public static TrainingRun open(RunFolder folder, RunPlan plan, Dataset dataset, Optional<Validation> validation)
            throws IOException {
        return open(RunLock.take(folder), plan, dataset, validation);
    }

    /** As {@link #open(RunFolder, RunPlan, Dataset, Optional)}, its lock being taken; this closes it, also when it fails. */
    public static TrainingRun open(RunLock lock, RunPlan plan, Dataset dataset, Optional<Validation> validation)
            throws IOException {
        return new TrainingRun(RunOpening.open(lock, plan, dataset, validation));
    }

    /** Where the run keeps what it makes. */
    public RunFolder folder() {
        return folder;
    }

    private void logStart(Optional<Path> checkpoint, Dataset dataset) {
        if (checkpoint.isPresent()) {
            log.add("Resumed from " + checkpoint.get());
        } else {
            log.add("Experiment directory created at " + folder.path());
            log.add("DiT Parameters: %,d", plan.config().model().parameters());
            for (String line : origin) log.add("Origin: " + line);
        }
        long steps = plan.cadence().maxSteps(), images = steps * plan.config().globalBatchSize();
        if (epochSize == Dataset.ENDLESS) {
            log.add("Dataset contains endless images (%s)", dataset.describe());
            validation.ifPresent(on -> log.add("Validation on " + on.data().describe()));
            log.add("Training for %,d steps...", steps);
        } else {
            log.add("Dataset contains %,d images (%s)", epochSize, dataset.describe());
            validation.ifPresent(on -> log.add("Validation on " + on.data().describe()));
            log.add("Training for %,d epochs...", (images + epochSize - 1) / epochSize);
        }
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

    /** Has {@link #run} write a checkpoint after the step that it is at, and go on; from any thread. */
    public void save() {
        saveAsked = true;
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
     * Trains to the last step, until the listener ends it, or {@link #stop} or an interrupt of this thread does. Whatever it ends with, an
     * exception or error of the data, the listener or the machine, a checkpoint of the last whole step is written before, but for a run
     * that diverged. Samples, logs and validations that fail, where the listener makes them, are logged as a warning and end nothing,
     * unless they cannot be written and {@link Safety#onSaveFailure} says that this ends the run.
     *
     * @throws SaveException if a checkpoint cannot be written that must be
     * @throws IOException if data cannot be read, or something cannot be written that must be
     * @throws DivergedException if losses, gradients or weights are no longer finite and going back did not help
     */
    public Ending run(TrainingListener following) throws IOException {
        return lifetime.use(() -> runNow(following));
    }

    private Ending runNow(TrainingListener following) throws IOException {
        listener = following;
        logged = trainer.steps();
        try {
            log.tellTo(following);
            return train();
        } catch (IOException | RuntimeException | Error e) {
            hearInterrupt();
            if (interrupted && isOfInterrupt(e) && trainer.state().isIntact()) return stopped();
            keep(e);
            throw e;
        } finally {
            if (interrupted) Thread.currentThread().interrupt();
        }
    }

    private Ending train() throws IOException {
        boolean last = timetable.isLast(trainer.steps());
        if (trainer.steps() > 0) { // a run that was stopped has saved without what was due then
            look(
                    timetable.toValidate(trainer.steps(), last, last) && !isValidated(),
                    timetable.toDraw(trainer.steps(), last, last) && Files.notExists(folder.samples(trainer.steps())));
            if (stopping) return stopped();
        }
        loggedNanos = System.nanoTime();
        saver.startClock();
        while (!last) {
            logEpoch();
            hearInterrupt();
            trainer.step();
            saver.poll();
            last = !listener.onStep(trainer) || timetable.isLast(trainer.steps());
            hearInterrupt();
            boolean toLog = timetable.toLog(trainer.steps(), last);
            if (toLog) report();
            if (last) save(true); // what follows may take long
            boolean hasTime = timetable.hasTime(toLog, last);
            boolean toValidate = timetable.toValidate(trainer.steps(), hasTime, last),
                    toDraw = timetable.toDraw(trainer.steps(), hasTime, last);
            if (toValidate || toDraw) {
                trainer.synchronize(); // what the device is still at belongs to the steps
                long start = System.nanoTime();
                if (hasTime) timetable.beginLook();
                look(toValidate, toDraw);
                if (hasTime) timetable.endLook();
                loggedNanos += System.nanoTime() - start;
            }
            if (stopping && (!last || toValidate || toDraw)) return stopped();
            if (!last && (timetable.toSave(trainer.steps()) || isLastSaveOld() || saveAsked)) {
                saveAsked = false;
                save(false);
            }
        }
        if (trainer.skippedSteps() > 0)
            log.warn("Of all " + trainer.steps() + " steps " + trainer.skippedSteps()
                    + " were skipped and trained nothing: their loss or gradients were not finite");
        log.add("Done!");
        return Ending.FINISHED;
    }

    /** An interrupt stops the run. Its mark is taken away until the end, since it would close the files that are written until then. */
    private void hearInterrupt() {
        if (!Thread.interrupted()) return;
        interrupted = true;
        stopping = true;
    }

    /** Whether something failed only because the thread was interrupted. */
    private static boolean isOfInterrupt(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause())
            if (cause instanceof InterruptedIOException
                    || cause instanceof ClosedChannelException
                    || cause instanceof InterruptedException) return true;
        return false;
    }

    /** A checkpoint of the last step before the run ends with {@code ending}, if the state is that of a step. */
    private void keep(Throwable ending) {
        log.add("Ended after step " + trainer.steps() + " by " + ending);
        if (ending instanceof DivergedException
                || trainer.steps() == 0
                || !trainer.state().isIntact()) return;
        try {
            // by what comes after the step that failed, the log would have other means in a run that goes on
            boolean last = timetable.isLast(trainer.steps());
            if (timetable.toLog(trainer.steps(), last) && logged < trainer.steps()) logMetrics();
            saver.begin(trainer.steps(), rollBack.count());
            saver.finish(true);
        } catch (IOException | RuntimeException | Error e) {
            if (e != ending) ending.addSuppressed(e);
        }
    }

    private Ending stopped() throws IOException {
        if (trainer.steps() > 0) save(true);
        log.add("Stopped at step " + trainer.steps());
        return Ending.STOPPED;
    }

    /** Validates and draws, but for what a stop leaves out. */
    private void look(boolean toValidate, boolean toDraw) throws IOException {
        if (toValidate && validation.isPresent() && !stopping) validate(validation.get());
        if (toDraw && !stopping) show("samples", () -> listener.onSamples(trainer));
    }

    /** What a person is shown of a run. */
    @FunctionalInterface
    private interface Show {
        void run() throws IOException;
    }

    /** What is shown costs no run: what fails is logged, and left out; so is what is ended by a stop. */
    private void show(String what, Show show) throws IOException {
        try {
            show.run();
        } catch (CancellationException e) {
            if (!stopping) notShown(what, e);
        } catch (IOException e) {
            if (plan.safety().onSaveFailure() == Safety.OnSaveFailure.STOP) throw e;
            notShown(what, e);
        } catch (RuntimeException | VirtualMachineError | LinkageError e) { // as memory, or fonts, that are not there
            notShown(what, e);
        }
    }

    private void notShown(String what, Throwable failure) throws IOException {
        hearInterrupt();
        if (interrupted && isOfInterrupt(failure)) return;
        log.warn("No " + what + " of step " + trainer.steps() + ": " + failure);
    }

    private boolean isValidated() throws IOException {
        return loggedValidations().stream().anyMatch(losses -> losses.step() == trainer.steps());
    }

    private void validate(Validation on) throws IOException {
        ValidationLosses losses;
        try {
            losses = on.losses(trainer);
        } catch (IOException | RuntimeException | VirtualMachineError e) {
            notShown("validation", e);
            return;
        }
        try {
            validationLog.add(losses);
        } catch (IOException e) {
            if (plan.safety().onSaveFailure() == Safety.OnSaveFailure.STOP) throw e;
            log.warn("No validation in its log: " + e.getMessage());
        }
        log.add("(step=%07d) Validation Loss: %.4f", losses.step(), losses.loss());
        show("report of the validation", () -> listener.onValidation(trainer, losses));
    }

    /** As published; where a batch begins in one epoch and ends in the next, the line stands before the batch after it. */
    private void logEpoch() {
        if (epochSize == Dataset.ENDLESS) return;
        long now = trainer.state().trainedImages() / epochSize;
        if (now == epoch) return;
        epoch = now;
        log.add("Beginning epoch %d...", epoch);
    }

    private boolean isLastSaveOld() {
        int seconds = plan.cadence().ckptSeconds();
        return seconds > 0 && saver.isOlderThan(seconds);
    }

    private void report() throws IOException {
        TrainingLog figures = logMetrics();
        show("report of the log", () -> listener.onLog(trainer, figures));
        if (trainer.skippedInARow() > 0)
            log.warn("Skipped " + trainer.skippedInARow() + " steps in a row, " + trainer.skippedSteps()
                    + " in all: the loss or the gradients were not finite");
        if (trainer.skippedInARow() >= plan.safety().maxSkippedInARow())
            rollBack("the loss or the gradients of the last " + trainer.skippedInARow() + " steps up to step "
                    + trainer.steps() + " are not finite");
    }

    private TrainingLog logMetrics() throws IOException {
        double loss = trainer.drainMeanLoss(); // waits for the device, so the time is that of finished steps
        TrainingLog figures = described(loss, (trainer.steps() - logged) * 1e9 / (System.nanoTime() - loggedNanos));
        logged = trainer.steps();
        loggedNanos = System.nanoTime();
        try {
            metrics.add(figures);
        } catch (IOException e) {
            if (plan.safety().onSaveFailure() == Safety.OnSaveFailure.STOP) throw e;
            log.warn("No metrics: " + e.getMessage());
        }
        log.add(
                "(step=%07d) Train Loss: %.4f, Train Steps/Sec: %.2f%s",
                figures.step(), loss, figures.time().stepsPerSecond(), figures.spike() ? " (spike)" : "");
        return figures;
    }

    private TrainingLog described(double loss, double stepsPerSecond) {
        TrainConfig config = plan.config();
        return new TrainingLog(
                trainer.steps(),
                trainer.state().trainedImages(),
                loss,
                trainer.gradientNorm(),
                config.learningRate().at(trainer.steps()),
                trainer.skippedSteps(),
                metrics.isSpike(loss),
                speed.at(stepsPerSecond));
    }

    private void rollBack(String reason) throws IOException {
        saver.finish(false);
        rollBack.apply(trainer, reason);
    }

    /** Beside the training, but for the last one. */
    private void save(boolean last) throws IOException {
        try {
            saver.begin(trainer.steps(), rollBack.count());
        } catch (DivergedException e) {
            rollBack(e.getMessage());
            if (last) save(true);
            return;
        }
        if (last) saver.finish(true);
    }

    /**
     * Ends {@link #run}, if another thread is in it, as {@link #stop} does, and waits for the checkpoint that is being written; the folder is
     * free then.
     *
     * @throws IllegalStateException if the run itself calls this, as by its listener
     */
    @Override
    public void close() throws IOException {
        if (lifetime.isUsedHere())
            throw new IllegalStateException("a run is closed when run() has returned; stop() ends it");
        stopping = true;
        lifetime.close();
        try (lock;
                trainer) {
            saver.close();
        }
    }
}
