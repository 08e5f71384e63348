package org.dit4j.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.data.Batch;
import org.dit4j.data.BatchLoader;
import org.dit4j.data.Dataset;
import org.dit4j.data.LoaderConfig;
import org.dit4j.diffusion.HybridLoss;
import org.dit4j.diffusion.Loss;
import org.dit4j.diffusion.Objective;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Trunk;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The steps of a training: a batch, its noise, the network, the objective, and {@link TrainState}, which it changes. What sample number k
 * sees (its item, flip, time, noise, dropped label) depends on the seed and k alone, so that a run does not depend on how its batches are
 * split.
 */
public final class Trainer implements AutoCloseable {
    private final TrainConfig config;
    private final Execution execution;
    private final int microBatchSize;
    private final Objective objective;
    private final Device device;
    private final TrainState state;
    private final Trunk trunk;
    private final Trunk averagedTrunk;
    /** Null where steps are not captured: those of the plain trunk, and of several micro-batches. */
    private final FixedStep fixedStep;

    private final BatchLoader loader;
    private final Lifetime lifetime = new Lifetime("this trainer", this::free);

    private Tally.Counts counts;

    /**
     * A run from fresh weights.
     *
     * @param dataset stays the caller's to close
     * @throws IllegalArgumentException if configuration, execution and data do not fit each other
     */
    public Trainer(TrainConfig config, Execution execution, Dataset dataset) {
        this(config, execution, dataset, 0);
    }

    private Trainer(TrainConfig config, Execution execution, Dataset dataset, long firstSample) {
        requireFits(config, execution, dataset);
        this.config = config;
        this.execution = execution;
        microBatchSize = execution.microBatchSize(config);
        objective = HybridLoss.of(config.diffusion());
        device = Backend.device(execution.device());
        state = new TrainState(config, device, execution.precision());
        var kind = device.type().intern();
        boolean fused = execution.precision() == Precision.BF16;
        trunk = fused
                ? Trunk.fused(state.network(), state.parameters(), KernelLookup.fusedOf(device), kind)
                : Trunk.of(state.network(), execution.precision(), execution.recompute(), kind);
        fixedStep = fused && microBatchSize == config.globalBatchSize()
                ? new FixedStep(KernelLookup.fusedOf(device), device, this::stepOnDevice)
                : null;
        averagedTrunk =
                Trunk.of(state.averagedNetwork(), fused ? Precision.AUTOCAST : execution.precision(), false, kind);
        loader = new BatchLoader(
                dataset,
                LoaderConfig.of(config.seed(), microBatchSize)
                        .withFirstSample(firstSample)
                        .withFlip(config.flip())
                        .withNumWorkers(execution.numWorkers()));
        counts = state.tally().read();
    }

    /** Sets a state that was made with fresh weights, from wherever it reads. */
    @FunctionalInterface
    public interface Start {
        /** @throws IOException if what it reads is damaged */
        void load(TrainState state) throws IOException;
    }

    /**
     * A run that begins with something else than fresh weights: those of another model, or the state of the published script.
     *
     * @param dataset stays the caller's to close
     * @param steps that lie behind it, by which the data go on
     * @throws org.dit4j.io.FormatException if a file is damaged
     */
    public static Trainer begin(TrainConfig config, Execution execution, Dataset dataset, long steps, Start start)
            throws IOException {
        return started(config, execution, dataset, Math.multiplyExact(steps, config.globalBatchSize()), start);
    }

    /**
     * A run that goes on where {@code checkpoint} was written, on the CPU to the last bit as if it had never stopped; the execution may be
     * another.
     *
     * @param dataset stays the caller's to close
     * @throws org.dit4j.io.FormatException if the checkpoint is of another model
     */
    public static Trainer resume(TrainConfig config, Execution execution, Dataset dataset, Path checkpoint)
            throws IOException {
        return started(
                config,
                execution,
                dataset,
                Snapshot.trainedImages(checkpoint),
                state -> Snapshot.restore(state, checkpoint));
    }

    private static Trainer started(
            TrainConfig config, Execution execution, Dataset dataset, long firstSample, Start start)
            throws IOException {
        Trainer trainer = new Trainer(config, execution, dataset, firstSample);
        try {
            start.load(trainer.state);
            trainer.counts = trainer.state.tally().read();
            return trainer;
        } catch (IOException | RuntimeException e) {
            trainer.close();
            throw e;
        }
    }

    /** @throws IllegalArgumentException if the model takes other pictures, or has fewer classes, than the data */
    public static void requireFits(TrainConfig config, Execution execution, Dataset dataset) {
        DiTConfig model = config.model();
        if (dataset.channels() != model.inChannels()
                || dataset.height() != model.inputHeight()
                || dataset.width() != model.inputWidth())
            throw new IllegalArgumentException(String.format(
                    "the data are %d×%d×%d (channels, height, width), the model takes %d×%d×%d",
                    dataset.channels(),
                    dataset.height(),
                    dataset.width(),
                    model.inChannels(),
                    model.inputHeight(),
                    model.inputWidth()));
        if (execution.precision() == Precision.BF16 && model.block() != DiTBlock.Kind.ADALN_ZERO)
            throw new IllegalArgumentException("precision BF16 is for adaLN-Zero blocks, and these are " + model.block()
                    + "; take AUTOCAST, whose products are in bfloat16 too");
        int images = execution.microBatchSize(config);
        long values = (long) model.inChannels() * model.inputHeight() * model.inputWidth() * images;
        if (values > Integer.MAX_VALUE)
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "a micro-batch of %,d images has %,d values, and %,d are the most; take a smaller one",
                    images,
                    values,
                    Integer.MAX_VALUE));
        if (model.numClasses() > 0 && dataset.classNames().size() > model.numClasses())
            throw new IllegalArgumentException(
                    "the data have " + dataset.classNames().size() + " classes, the model " + model.numClasses()
                            + "; it needs at least as many");
    }

    /**
     * One optimiser step. Nothing in it waits for the device.
     *
     * @throws IOException if the data cannot be read; the weights are as before then
     * @throws IllegalStateException if the trainer is closed
     */
    public void step() throws IOException {
        lifetime.use(() -> {
            stepNow();
            return null;
        });
    }

    private void stepNow() throws IOException {
        if (fixedStep != null) {
            try (TensorScope scope = new TensorScope()) {
                Batch batch = loader.next();
                long[] samples = samples(batch);
                fixedStep.fill(
                        batch.images(),
                        noise(batch.images(), samples),
                        objective.times(config.seed(), samples),
                        labels(batch, samples));
                state.beginUpdate();
                fixedStep.run();
                state.endChange();
            }
            return;
        }
        state.begin();
        for (int done = 0; done < config.globalBatchSize(); done += microBatchSize)
            try (TensorScope scope = new TensorScope()) {
                Batch batch = loader.next();
                long[] samples = samples(batch);
                Tensor x0 = onDevice(batch.images()), noise = noise(x0, samples);
                Tensor times = onDevice(objective.times(config.seed(), samples));
                long[] labels = labels(batch, samples);
                accumulate(x0, noise, times, labels == null ? null : onDevice(Tensors.of(labels, labels.length)));
            }
        state.update();
    }

    private static long[] samples(Batch batch) {
        long[] samples = new long[batch.size()];
        Arrays.setAll(samples, i -> batch.firstSample() + i);
        return samples;
    }

    private Tensor noise(Tensor x0, long[] samples) {
        return KernelLookup.of(device)
                .normal(config.seed(), Purpose.TRAINING_NOISE, 0, samples, device, x0.size(1), x0.size(2), x0.size(3));
    }

    /** All of a step that is the same in every step: on the device, from inputs at a fixed place. */
    private void stepOnDevice(FixedStep.Inputs inputs) {
        state.begin();
        accumulate(inputs.x0(), inputs.noise(), inputs.times(), inputs.labels());
        state.updateOnDevice();
    }

    /** Adds a micro-batch's share to the gradients and to the loss. */
    void accumulate(Tensor x0, Tensor noise, Tensor times, Tensor labels) {
        try (TensorScope scope = new TensorScope()) {
            Tensor xt = objective.noised(x0, noise, times);
            Tensor prediction = trunk.forward(xt, times, labels);
            Loss loss = objective.loss(prediction, x0, xt, noise, times);
            double share = (double) x0.size(0) / config.globalBatchSize();
            trunk.backward(share == 1 ? loss.gradient() : loss.gradient().mul(new Scalar(share)));
            state.addLoss(loss.mean().mul(new Scalar(share))); // stays on the device until it is logged
        }
    }

    /** The labels, some replaced by the null label; null for an unconditional model. */
    long[] labels(Batch batch, long[] samples) {
        if (config.model().numClasses() == 0) return null;
        long[] labels = batch.labels().clone();
        if (config.model().hasNullLabel())
            for (int i = 0; i < labels.length; i++)
                if (Noise.uniform(config.seed(), Purpose.LABEL_DROPOUT, 0, samples[i])
                        < config.model().labelDropout())
                    labels[i] = config.model().nullLabel();
        return labels;
    }

    Tensor onDevice(Tensor tensor) {
        return Tensors.to(tensor, device);
    }

    /** The averaged network's prediction in float32, without a graph, in the precision of the training. */
    Tensor predictAveraged(Tensor xt, Tensor times, Tensor labels) {
        return averagedTrunk.predict(xt, times, labels);
    }

    /** All that the steps change. */
    public TrainState state() {
        return state;
    }

    /** Optimiser steps taken, skipped ones included. */
    public long steps() {
        return state.steps();
    }

    /**
     * The mean loss of the steps since this was last asked; NaN if there were none but skipped ones. Waits for the device, and brings what
     * the next three methods return up to now.
     */
    public double drainMeanLoss() {
        counts = lifetime.use(() -> state.tally().drain());
        return counts.lossSum() / counts.lossSteps();
    }

    /** As {@link #drainMeanLoss}, but the next call says it of the same steps, and those that come. */
    public double readMeanLoss() {
        counts = lifetime.use(() -> state.tally().read());
        return counts.lossSum() / counts.lossSteps();
    }

    /** How many steps of the run were skipped because their loss or gradients were not finite, as of {@link #drainMeanLoss}. */
    public long skippedSteps() {
        return (long) counts.skippedSteps();
    }

    /** How many steps up to the last were skipped, without one between them that was not; as of {@link #drainMeanLoss}. */
    public long skippedInARow() {
        return (long) counts.skippedInARow();
    }

    /** The Euclidean norm of the last step's gradients before any clipping, as of {@link #drainMeanLoss}. */
    public double gradientNorm() {
        return counts.gradientNorm();
    }

    /** Goes back to the weights, average and moments of {@code checkpoint}; steps and data go on, past what made the run diverge. */
    public void rollBack(Path checkpoint) throws IOException {
        lifetime.use(() -> {
            restore(checkpoint);
            return null;
        });
    }

    private void restore(Path checkpoint) throws IOException {
        state.beginChange();
        Snapshot.restoreBuffers(state, checkpoint);
        Tally.Counts now = state.tally().read();
        state.restore(
                state.steps(),
                state.trainedImages(),
                new Tally.Counts(now.lossSum(), now.lossSteps(), now.skippedSteps(), 0, 0));
        state.endChange();
    }

    /** Waits until the device has done what it was given. */
    public void synchronize() {
        if (device.is_cuda()) torch.cuda_synchronize();
    }

    /** Where the network is; this trainer's. */
    public Device device() {
        return device;
    }

    public TrainConfig config() {
        return config;
    }

    public Execution execution() {
        return execution;
    }

    /** What is minimised. */
    public Objective objective() {
        return objective;
    }

    /** Waits for a step that another thread takes. */
    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        loader.close();
        if (fixedStep != null) fixedStep.close();
        trunk.close();
        state.close();
    }
}
