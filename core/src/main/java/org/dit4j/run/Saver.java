package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.dit4j.train.DivergedException;
import org.dit4j.train.Snapshot;

/** Writes a run's checkpoints: the state is copied between two steps, and the writing goes on beside the training. */
final class Saver implements AutoCloseable {
    private final Path checkpoints;
    private final Safety safety;
    private final RunIdentity identity;
    private final Snapshot snapshot;
    private final MetricsLog metrics;
    private final RunLog log;
    private final ExecutorService writer = Executors.newSingleThreadExecutor(Saver::writerThread);
    /** The checkpoint that is being written, or null. */
    private Future<Path> saving;

    private long savedStep;
    /** When the last save began, or the training. */
    private long savedNanos = System.nanoTime();

    /** @param savedStep of the newest checkpoint; −1 if there is none */
    Saver(
            Path checkpoints,
            Safety safety,
            RunIdentity identity,
            Snapshot snapshot,
            MetricsLog metrics,
            RunLog log,
            long savedStep) {
        this.checkpoints = checkpoints;
        this.safety = safety;
        this.identity = identity;
        this.snapshot = snapshot;
        this.metrics = metrics;
        this.log = log;
        this.savedStep = savedStep;
        writer.execute(() -> {}); // makes its thread now: later there may be too many, as a container limits them
    }

    private static Thread writerThread(Runnable task) {
        Thread thread = new Thread(task, "dit4j-checkpoint");
        thread.setDaemon(true); // a second Ctrl-C does not wait for it
        return thread;
    }

    /** The time that counts begins now. */
    void startClock() {
        savedNanos = System.nanoTime();
    }

    /** Whether the last checkpoint is older. Not while one is being written: on a slow disk the training would wait for it again and again. */
    boolean isOlderThan(int seconds) {
        return saving == null && System.nanoTime() - savedNanos >= seconds * 1_000_000_000L;
    }

    /**
     * Copies the state after a step, unless that is saved already; the writing goes on beside the training.
     *
     * @throws DivergedException if a weight, average or moment is not finite; nothing is saved then
     */
    void begin(long step, long rollbacks) throws IOException {
        finish(false);
        savedNanos = System.nanoTime();
        if (step == savedStep) return;
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("rollbacks", rollbacks);
        state.put("metricsBytes", metrics.bytes());
        state.putAll(identity.toState());
        snapshot.take(state);
        saving = writer.submit(() -> {
            metrics.force(); // a checkpoint's metrics are as durable as itself
            return snapshot.save(checkpoints, safety.retention());
        });
    }

    /** Says that a checkpoint was written, once it is; waits for none. */
    void poll() throws IOException {
        if (saving != null && saving.isDone()) finish(false);
    }

    /**
     * Waits for the checkpoint that is being written, if there is one.
     *
     * @throws SaveException if it could not be written, and it must be
     */
    void finish(boolean must) throws IOException {
        if (saving == null) return;
        Future<Path> finished = saving;
        saving = null;
        Path saved;
        try {
            saved = uninterrupted(finished);
        } catch (ExecutionException e) {
            IOException cause = e.getCause() instanceof IOException failed
                    ? failed
                    : new IOException("a checkpoint could not be written: " + e.getCause(), e.getCause());
            log.warn("Saving failed: " + cause.getMessage());
            if (must || safety.onSaveFailure() == Safety.OnSaveFailure.STOP) throw new SaveException(cause);
            return;
        }
        savedStep = Long.parseLong(saved.getFileName().toString().substring("step-".length()));
        log.tell("Saved checkpoint to " + saved);
    }

    /** An interrupt ends the run, but not what is being written, and until then nobody may touch the snapshot. */
    private static <T> T uninterrupted(Future<T> future) throws ExecutionException {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return future.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) Thread.currentThread().interrupt();
        }
    }

    /** Waits for what is being written, which reads the snapshot's memory. */
    @Override
    public void close() {
        writer.shutdown();
        boolean interrupted = false;
        while (!writer.isTerminated()) {
            try {
                writer.awaitTermination(1, TimeUnit.HOURS);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
        snapshot.close();
    }
}
