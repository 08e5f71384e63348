package org.dit4j.train;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.TrainState;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;

/** The loop around {@link Trainer#step}: the log, checkpoints and samples of a run folder. */
public final class TrainingRun {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

    /**
     * How often, in steps.
     *
     * @param logEvery 100 as published
     * @param ckptEvery 50,000 as published; the last step always leaves a checkpoint
     * @param sampleEvery 0 is never
     */
    public record Cadence(int logEvery, int ckptEvery, int sampleEvery) {
        public Cadence {
            if (logEvery < 1 || ckptEvery < 1 || sampleEvery < 0)
                throw new IllegalArgumentException("log every " + logEvery + ", checkpoint every " + ckptEvery
                        + ", sample every " + sampleEvery + " steps: the first two are at least 1, the last 0 or more");
        }
    }

    private final Trainer trainer;
    private final RunFolder folder;
    private final List<String> classNames;
    private final Cadence cadence;
    private final TrainingListener listener;

    public TrainingRun(
            Trainer trainer, RunFolder folder, List<String> classNames, Cadence cadence, TrainingListener listener) {
        this.trainer = trainer;
        this.folder = folder;
        this.classNames = List.copyOf(classNames);
        this.cadence = cadence;
        this.listener = listener;
    }

    /** Trains to the last step, or until the listener ends it. */
    public void run() throws IOException {
        log("Experiment directory created at " + folder.path());
        log(String.format(
                Locale.ROOT, "DiT Parameters: %,d", trainer.config().model().parameters()));
        long logged = trainer.steps(), since = System.nanoTime();
        for (boolean going = true; going; ) {
            trainer.step();
            going = listener.onStep(trainer)
                    && trainer.steps() < trainer.config().maxSteps();
            long step = trainer.steps();
            if (step % cadence.logEvery() == 0 || !going) {
                double loss = trainer.drainMeanLoss(); // waits for the device, so the time is that of finished steps
                long now = System.nanoTime();
                double stepsPerSecond = (step - logged) * 1e9 / (now - since);
                log(String.format(
                        Locale.ROOT,
                        "(step=%07d) Train Loss: %.4f, Train Steps/Sec: %.2f",
                        step,
                        loss,
                        stepsPerSecond));
                listener.onLog(trainer, loss, stepsPerSecond);
                logged = step;
                since = System.nanoTime();
            }
            if (cadence.sampleEvery() > 0 && (step % cadence.sampleEvery() == 0 || !going)) listener.onSamples(trainer);
            if (step % cadence.ckptEvery() == 0 || !going) log("Saved checkpoint to " + save());
        }
        log("Done!");
    }

    private java.nio.file.Path save() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, TrainState.Part> parts = new LinkedHashMap<>();
            parts.put(TrainState.MODEL, part(StateDict.of(trainer.network()), "trained " + trainer.steps() + " steps"));
            parts.put(TrainState.EMA, part(StateDict.of(trainer.emaNetwork()), ema()));
            parts.put(TrainState.OPTIMIZER, new TrainState.Part(trainer.moments(), Map.of()));
            return TrainState.save(
                    folder.checkpoints(),
                    trainer.steps(),
                    parts,
                    Map.of(
                            "step",
                            trainer.steps(),
                            "trainedImages",
                            trainer.trainedImages(),
                            "seed",
                            trainer.config().seed()));
        }
    }

    private TrainState.Part part(Map<String, Tensor> tensors, String weights) {
        return new TrainState.Part(
                tensors,
                new DiTCheckpoint.Description(
                                trainer.config().model(),
                                classNames,
                                trainer.diffusion().text(),
                                weights)
                        .metadata());
    }

    /** Which average it is: a ramp makes other weights than the published constant. */
    private String ema() {
        Ema.Schedule schedule = trainer.config().ema();
        String ramp = schedule.rampRatio() == 0
                ? ""
                : ", half-life at most " + schedule.rampRatio() + " of the images trained";
        return "EMA " + schedule.decay() + ramp + ", after " + trainer.steps() + " steps";
    }

    private void log(String message) throws IOException {
        try (BufferedWriter writer =
                Files.newBufferedWriter(folder.log(), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            writer.write("[" + LocalDateTime.now().format(TIME) + "] " + message);
            writer.newLine();
        }
    }
}
