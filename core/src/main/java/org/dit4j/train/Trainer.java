package org.dit4j.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.data.Batch;
import org.dit4j.data.BatchLoader;
import org.dit4j.data.Dataset;
import org.dit4j.data.LoaderConfig;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.Loss;
import org.dit4j.model.DiT;
import org.dit4j.model.TrainingPass;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Trains a network on a data set. What sample number k sees (its item, flip, timestep, noise, dropped label) depends on the seed and k
 * alone, so that a run does not depend on how its batches are split.
 */
public final class Trainer implements AutoCloseable {
    private final TrainConfig config;
    private final GaussianDiffusion diffusion;
    private final Device device;
    private final DiT network;
    private final DiT emaNetwork;
    private final FlatParameters parameters;
    private final AdamW optimizer;
    private final Ema ema;
    private final TrainingPass pass;
    private final TrainingPass averagedPass;
    private final BatchLoader loader;
    private final Tally tally;

    private long steps;
    private long trainedImages;
    private Tally.Counts counts;

    /**
     * A run from fresh weights.
     *
     * @param dataset stays the caller's to close
     */
    public Trainer(TrainConfig config, GaussianDiffusion diffusion, Dataset dataset) {
        this(config, diffusion, dataset, 0);
    }

    private Trainer(TrainConfig config, GaussianDiffusion diffusion, Dataset dataset, long firstSample) {
        requireFits(config, dataset);
        this.config = config;
        this.diffusion = diffusion;
        device = Backend.device(config.device());
        torch.manual_seed(config.seed());
        network = onDevice(config.model().network());
        parameters = new FlatParameters(network);
        optimizer = new AdamW(parameters, config.weightDecay());
        ema = new Ema(parameters);
        emaNetwork = averaged(ema.average());
        pass = TrainingPass.of(
                network, config.bf16(), config.recompute(), device.type().intern());
        averagedPass =
                TrainingPass.of(emaNetwork, config.bf16(), false, device.type().intern());
        loader = new BatchLoader(
                dataset,
                LoaderConfig.of(config.seed(), config.microBatchSize())
                        .withFirstSample(firstSample)
                        .withFlip(config.flip())
                        .withNumWorkers(config.numWorkers()));
        tally = new Tally(device);
        counts = tally.read();
    }

    /**
     * A run that begins with something else than fresh weights: those of another model, or the state of the published script.
     *
     * @param dataset stays the caller's to close
     * @throws org.dit4j.io.FormatException if a file is damaged
     */
    public static Trainer begin(TrainConfig config, GaussianDiffusion diffusion, Dataset dataset, InitialState state)
            throws IOException {
        long firstSample = Math.multiplyExact(state.steps(), config.globalBatchSize());
        Trainer trainer = new Trainer(config, diffusion, dataset, firstSample);
        try {
            state.load(trainer);
            return trainer;
        } catch (IOException | RuntimeException e) {
            trainer.close();
            throw e;
        }
    }

    /**
     * A run that goes on where {@code checkpoint} was written, on the CPU to the last bit as if it had never stopped. The configuration
     * may have another device, micro-batch size, number of workers and number of steps.
     *
     * @param dataset stays the caller's to close
     * @throws org.dit4j.io.FormatException if the checkpoint is of another model
     */
    public static Trainer resume(TrainConfig config, GaussianDiffusion diffusion, Dataset dataset, Path checkpoint)
            throws IOException {
        Trainer trainer = new Trainer(config, diffusion, dataset, Snapshot.trainedImages(checkpoint));
        try {
            Snapshot.restore(trainer, checkpoint);
            return trainer;
        } catch (IOException | RuntimeException e) {
            trainer.close();
            throw e;
        }
    }

    /** @throws IllegalArgumentException if the model takes other pictures, or has fewer classes, than the data */
    public static void requireFits(TrainConfig config, Dataset dataset) {
        var model = config.model();
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
        long values = (long) model.inChannels() * model.inputHeight() * model.inputWidth() * config.microBatchSize();
        if (values > Integer.MAX_VALUE)
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "a micro-batch of %,d images has %,d values, and %,d are the most; take a smaller one",
                    config.microBatchSize(),
                    values,
                    Integer.MAX_VALUE));
        if (model.numClasses() > 0 && dataset.classNames().size() > model.numClasses())
            throw new IllegalArgumentException(
                    "the data have " + dataset.classNames().size() + " classes, the model " + model.numClasses()
                            + "; it needs at least as many");
    }

    private DiT onDevice(DiT network) {
        try (TensorScope scope = new TensorScope()) {
            network.to(device, false);
        }
        return network;
    }

    /** A network without weights of its own: its parameters are views of the flat average. */
    private DiT averaged(Tensor average) {
        DiT averaged = onDevice(config.model().network());
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> views = parameters.views(average);
            StateDict.of(averaged).forEach((name, tensor) -> {
                tensor.requires_grad_(false);
                if (views.containsKey(name)) tensor.set_data(views.get(name));
            });
        }
        return averaged;
    }

    /** One optimiser step. Nothing in it waits for the device. */
    public void step() throws IOException {
        zeroGradients();
        for (int done = 0; done < config.globalBatchSize(); done += config.microBatchSize())
            try (TensorScope scope = new TensorScope()) {
                Batch batch = loader.next();
                long[] samples = new long[batch.size()];
                Arrays.setAll(samples, i -> batch.firstSample() + i);
                Tensor x0 = Tensors.to(batch.images(), device);
                Tensor noise = Tensors.to(
                        Noise.normal(
                                config.seed(), Purpose.TRAINING_NOISE, 0, samples, x0.size(1), x0.size(2), x0.size(3)),
                        device);
                accumulate(x0, noise, onDevice(timesteps(samples)), onDevice(labels(batch, samples)));
            }
        update();
    }

    void zeroGradients() {
        try (TensorScope scope = new TensorScope()) {
            parameters.gradients().zero_();
            tally.begin();
        }
    }

    /** Adds a micro-batch's share to the gradients and to the loss. */
    void accumulate(Tensor x0, Tensor noise, Tensor timesteps, Tensor labels) {
        try (TensorScope scope = new TensorScope()) {
            Tensor xt = diffusion.noised(x0, noise, timesteps);
            Tensor prediction = pass.forward(xt, timesteps, labels);
            Loss loss = diffusion.loss(prediction, x0, xt, noise, timesteps);
            double share = (double) x0.size(0) / config.globalBatchSize();
            pass.backward(share == 1 ? loss.gradient() : loss.gradient().mul(new Scalar(share)));
            tally.add(loss.mean().mul(new Scalar(share))); // stays on the device until it is logged
        }
    }

    /** Moves the weights by the gradients of one whole batch, and the average after them; skips what is not finite. */
    void update() {
        steps++;
        trainedImages += config.globalBatchSize();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor norm = parameters.gradientNorm();
            Tensor skip = tally.finish(norm);
            if (config.clipNorm() > 0) clip(norm);
            optimizer.step(config.learningRate().at(steps), skip);
            ema.update(config.ema().at(trainedImages, config.globalBatchSize()), skip);
        }
    }

    private void clip(Tensor norm) {
        Tensor factor = norm.add(new Scalar(1e-6)).reciprocal().mul(new Scalar(config.clipNorm()));
        parameters.gradients().mul_(factor.clamp(new ScalarOptional(), new ScalarOptional(new Scalar(1))));
    }

    private long[] timesteps(long[] samples) {
        return Arrays.stream(samples)
                .map(sample -> Noise.below(diffusion.numTimesteps(), config.seed(), Purpose.TIMESTEP, sample))
                .toArray();
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

    private Tensor onDevice(long[] values) {
        return values == null ? null : Tensors.to(Tensors.of(values, values.length), device);
    }

    /** Optimiser steps taken, skipped ones included. */
    public long steps() {
        return steps;
    }

    /** Images that went through the network, in whole batches. */
    public long trainedImages() {
        return trainedImages;
    }

    /**
     * The mean loss of the steps since this was last asked; NaN if there were none but skipped ones. Waits for the device, and brings what
     * the next three methods return up to now.
     */
    public double drainMeanLoss() {
        counts = tally.drain();
        return counts.lossSum() / counts.lossSteps();
    }

    /** As {@link #drainMeanLoss}, but the next call says it of the same steps, and those that come. */
    double readMeanLoss() {
        counts = tally.read();
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
    void rollBack(Path checkpoint) throws IOException {
        Snapshot.restoreBuffers(this, checkpoint);
        Tally.Counts now = tally.read();
        tally.restore(new Tally.Counts(now.lossSum(), now.lossSteps(), now.skippedSteps(), 0, 0));
    }

    /** Sets the counters that a checkpoint holds. */
    void restore(long restoredSteps, long restoredImages, Tally.Counts restored) {
        steps = restoredSteps;
        trainedImages = restoredImages;
        tally.restore(restored);
        counts = restored;
    }

    /** The averaged network's prediction in float32, without a graph, in the precision of the training. */
    Tensor predictAveraged(Tensor xt, Tensor timesteps, Tensor labels) {
        return averagedPass.forward(xt, timesteps, labels);
    }

    Tensor onDevice(Tensor tensor) {
        return Tensors.to(tensor, device);
    }

    /** Waits until the device has done what it was given. */
    void synchronize() {
        if (device.is_cuda()) torch.cuda_synchronize();
    }

    Device device() {
        return device;
    }

    Tally tally() {
        return tally;
    }

    public TrainConfig config() {
        return config;
    }

    public GaussianDiffusion diffusion() {
        return diffusion;
    }

    /** The network in training. */
    public DiT network() {
        return network;
    }

    /** The network with the averaged weights, which follow the training; sample from this one. */
    public DiT emaNetwork() {
        return emaNetwork;
    }

    /** The flat buffers, for whoever stores the state of a run: weights, then the optimiser and the average. */
    public FlatParameters parameters() {
        return parameters;
    }

    public AdamW optimizer() {
        return optimizer;
    }

    public Ema ema() {
        return ema;
    }

    @Override
    public void close() {
        loader.close();
        emaNetwork.close();
        network.close();
        tally.close();
        ema.close();
        optimizer.close();
        parameters.close();
    }
}
