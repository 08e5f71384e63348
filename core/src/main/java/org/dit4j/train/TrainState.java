package org.dit4j.train;

import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.kernels.AdamW;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.kernels.OptimizerScalars;
import org.dit4j.model.DiT;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;

/**
 * All that training changes, and its one owner: the network in training and the averaged one, both views of flat buffers; AdamW's moments;
 * what an optimiser step reads from the device; and the counters. Whoever saves, loads, shows or shards a run's state does it here.
 */
public final class TrainState implements AutoCloseable {
    private final TrainConfig config;
    private final DiT network;
    private final DiT averagedNetwork;
    private final FlatParameters parameters;
    private final Tensor firstMoments, secondMoments, average;
    private final OptimizerScalars scalars;
    private final AdamW settings;
    private final Tally tally;

    private final Lifetime lifetime = new Lifetime("this training state", this::free);

    private long steps;
    private long trainedImages;
    private boolean intact = true;

    /** Of step 0: fresh weights from the seed of the configuration, in whose training {@code device} is the caller's. */
    public TrainState(TrainConfig config, Device device, Precision precision) {
        this.config = config;
        torch.manual_seed(config.seed());
        network = onDevice(config.model().network(), device);
        parameters = new FlatParameters(network, precision.weights());
        firstMoments = TensorScope.keeping(() -> torch.zeros_like(parameters.values()));
        secondMoments = TensorScope.keeping(() -> torch.zeros_like(parameters.values()));
        scalars = new OptimizerScalars(device);
        settings = AdamW.withDecay(config.weightDecay());
        average = TensorScope.keeping(() -> parameters.values().clone());
        averagedNetwork = averaged(device);
        tally = new Tally(device);
    }

    private static DiT onDevice(DiT network, Device device) {
        try (TensorScope scope = new TensorScope()) {
            network.to(device, false);
        }
        return network;
    }

    /** A network without weights of its own: its parameters are views of the flat average. */
    private DiT averaged(Device device) {
        DiT averaged = onDevice(config.model().network(), device);
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

    /** Before the first micro-batch of a step. */
    void begin() {
        lifetime.use(() -> {
            try (TensorScope scope = new TensorScope()) {
                parameters.gradients().zero_();
                tally.begin();
            }
            return null;
        });
    }

    /** A micro-batch's share of the step's loss. */
    void addLoss(Tensor share) {
        lifetime.use(() -> {
            tally.add(share);
            return null;
        });
    }

    /** Moves the weights by the gradients of one whole batch, and the average after them; skips what is not finite. Waits for nothing. */
    void update() {
        lifetime.use(() -> {
            updateNow();
            return null;
        });
    }

    private void updateNow() {
        beginUpdate();
        updateOnDevice();
        endChange();
    }

    /** The part of an update that the device knows nothing of: counts the step, and puts where the device reads it what the step's number decides. */
    void beginUpdate() {
        beginChange();
        steps++;
        trainedImages += config.globalBatchSize();
        double decay = config.ema().at(trainedImages, config.globalBatchSize());
        scalars.set(config.learningRate().at(steps), 1 - decay);
    }

    /** The rest, which is the same in every step. */
    void updateOnDevice() {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor norm = parameters.gradientNorm();
            Tensor skip = tally.finish(norm);
            if (config.clipNorm() > 0) clip(norm);
            KernelLookup.of(average)
                    .adamWEma(
                            parameters.values(),
                            parameters.weights(),
                            parameters.gradients(),
                            firstMoments,
                            secondMoments,
                            average,
                            skip,
                            scalars,
                            settings);
        }
    }

    /** From here to {@link #endChange} the state is that of no step. */
    void beginChange() {
        intact = false;
    }

    void endChange() {
        intact = true;
    }

    /** Whether the state is that of the last step; false once a change of it failed half-way. */
    public boolean isIntact() {
        return intact;
    }

    private void clip(Tensor norm) {
        Tensor factor = norm.add(new Scalar(1e-6)).reciprocal().mul(new Scalar(config.clipNorm()));
        parameters.gradients().mul_(factor.clamp(new ScalarOptional(), new ScalarOptional(new Scalar(1))));
    }

    /** @throws DivergedException if a weight, average or moment is not finite */
    void requireFinite() {
        lifetime.use(() -> {
            requireFiniteNow();
            return null;
        });
    }

    private void requireFiniteNow() {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor norms = torch.zeros_like(parameters.values().norm());
            for (Tensor buffer : List.of(parameters.values(), average, firstMoments, secondMoments))
                norms.add_(buffer.norm());
            if (!Double.isFinite(norms.item_double()))
                throw new DivergedException("weights are no longer finite at step " + steps);
        }
    }

    /** Sets the counters; what the buffers hold is set by copying into them. */
    void restore(long restoredSteps, long restoredImages, Tally.Counts counts) {
        lifetime.use(() -> {
            steps = restoredSteps;
            trainedImages = restoredImages;
            tally.restore(counts);
            parameters.round();
            return null;
        });
    }

    /** Sets the counters to a number of whole steps of which nothing was counted, for who has filled the buffers. */
    public void beginAfter(long stepsTaken) {
        lifetime.use(() -> {
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                scalars.step().fill_(new Scalar((double) stepsTaken));
            }
            return null;
        });
        restore(stepsTaken, Math.multiplyExact(stepsTaken, config.globalBatchSize()), new Tally.Counts(0, 0, 0, 0, 0));
    }

    /** What is trained. */
    public TrainConfig config() {
        return config;
    }

    /** Optimiser steps taken, skipped ones included. */
    public long steps() {
        return steps;
    }

    /** Images that went through the network, in whole batches. */
    public long trainedImages() {
        return trainedImages;
    }

    /** The network in training. */
    public DiT network() {
        lifetime.requireOpen();
        return network;
    }

    /** The network with the averaged weights, which follow the training; sample from this one. */
    public DiT averagedNetwork() {
        lifetime.requireOpen();
        return averagedNetwork;
    }

    /** Weights and gradients; its views name the parts of the buffers below too. */
    public FlatParameters parameters() {
        lifetime.requireOpen();
        return parameters;
    }

    /** The flat first moments. */
    public Tensor firstMoments() {
        lifetime.requireOpen();
        return firstMoments;
    }

    /** The flat second moments. */
    public Tensor secondMoments() {
        lifetime.requireOpen();
        return secondMoments;
    }

    /** The flat average. */
    public Tensor average() {
        lifetime.requireOpen();
        return average;
    }

    /** The number of steps taken and not skipped, a float32 scalar on the device, as AdamW counts them. */
    public Tensor stepCount() {
        lifetime.requireOpen();
        return scalars.step();
    }

    Tally tally() {
        lifetime.requireOpen();
        return tally;
    }

    /** Waits for what another thread does with it. */
    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        averagedNetwork.close();
        network.close();
        tally.close();
        average.close();
        scalars.close();
        secondMoments.close();
        firstMoments.close();
        parameters.close();
    }
}
