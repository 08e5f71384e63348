package org.dit4j.train;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.data.Dataset;
import org.dit4j.data.EpochOrder;
import org.dit4j.diffusion.Objective;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The loss on data that are not trained on, by timestep. The timesteps are spread evenly over all (stratified: draw k of n is at a random
 * place of the k-th n-th of them), the items come in a random order, without flips and dropped labels; small data sets are gone through
 * several times. All that is drawn depends on the number of the draw alone, not even on the seed of the run.
 */
public final class Validation {
    /** Ten buckets show where along the noise a model gets better, and have still enough draws each to be compared. */
    static final int BUCKETS = 10;

    static final int FEWEST_DRAWS = 250;
    private static final long SEED = 0;
    /** Training draws from sub-stream 0. */
    private static final int SUB_STREAM = 1;

    /** A network, for which timesteps are a tensor. */
    @FunctionalInterface
    interface Predictor {
        /** (N, C, H, W), timesteps (N), labels (N) or null → the prediction in float32. */
        Tensor predict(Tensor xt, Tensor timesteps, Tensor labels);
    }

    private final Dataset data;
    private final EpochOrder order;

    /**
     * On these data, all of them.
     *
     * @param data finite; stays the caller's to close
     * @throws IllegalArgumentException if the data are endless
     */
    public Validation(Dataset data) {
        if (data.size() == Dataset.ENDLESS)
            throw new IllegalArgumentException("these data are endless; validate on a Subset of them");
        this.data = data;
        order = EpochOrder.of(data, SEED);
    }

    /** What it validates on. */
    public Dataset data() {
        return data;
    }

    /** How often the network predicts: at least once for each item. */
    int numDraws() {
        long passes = (FEWEST_DRAWS + data.size() - 1) / data.size();
        return Math.toIntExact(Math.multiplyExact(passes, data.size()));
    }

    /** The item of a draw. */
    long item(int draw) {
        return order.index(draw);
    }

    /** Where of {@link #numDraws} equal parts of the range of times a draw is, in [draw, draw + 1). */
    static double place(int draw) {
        return draw + Noise.uniform(SEED, Purpose.TIMESTEP, SUB_STREAM, draw);
    }

    private Tensor times(Objective objective, int from, int count) {
        return objective.timesAt(
                IntStream.range(from, from + count)
                        .mapToDouble(Validation::place)
                        .toArray(),
                numDraws());
    }

    /** The losses of the trainer's averaged weights now. Changes nothing in the trainer. */
    public ValidationLosses losses(Trainer trainer) throws IOException {
        long start = System.nanoTime();
        Objective objective = trainer.objective();
        int numTimesteps = objective.numTimesteps();
        double[] losses = losses(trainer, trainer::predictAveraged);
        double[] sums = new double[Math.min(BUCKETS, numTimesteps)], counts = new double[sums.length];
        int[] buckets = buckets(objective, sums.length);
        for (int draw = 0; draw < losses.length; draw++) {
            sums[buckets[draw]] += losses[draw];
            counts[buckets[draw]]++;
        }
        List<Double> means = new ArrayList<>();
        for (int bucket = 0; bucket < sums.length; bucket++) means.add(sums[bucket] / counts[bucket]);
        return new ValidationLosses(
                trainer.steps(),
                Arrays.stream(losses).average().orElseThrow(),
                means,
                numTimesteps,
                data.size(),
                Instant.now(),
                (System.nanoTime() - start) / 1e9);
    }

    private int[] buckets(Objective objective, int numBuckets) {
        try (TensorScope scope = new TensorScope()) {
            return objective.buckets(times(objective, 0, numDraws()), numBuckets);
        }
    }

    /** The loss of each draw. */
    double[] losses(Trainer trainer, Predictor predictor) throws IOException {
        double[] losses = new double[numDraws()];
        int batch = trainer.execution().microBatchSize(trainer.config());
        for (int from = 0; from < losses.length; from += batch)
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                double[] some = losses(trainer, predictor, from, Math.min(batch, losses.length - from));
                System.arraycopy(some, 0, losses, from, some.length);
            }
        return losses;
    }

    private double[] losses(Trainer trainer, Predictor predictor, int from, int count) throws IOException {
        Objective objective = trainer.objective();
        int channels = data.channels(), height = data.height(), width = data.width(), size = channels * height * width;
        float[] pixels = new float[Math.multiplyExact(size, count)];
        long[] draws = new long[count], labels = new long[count];
        for (int row = 0; row < count; row++) {
            int draw = from + row;
            draws[row] = draw;
            labels[row] = data.label(item(draw));
            // latents are drawn as for a sample that training never reaches
            data.sample(SEED, Long.MAX_VALUE - draw, item(draw), false, pixels, row * size);
        }
        Tensor x0 = trainer.onDevice(Tensors.of(pixels, count, channels, height, width));
        Tensor noise = KernelLookup.of(x0)
                .normal(SEED, Purpose.TRAINING_NOISE, SUB_STREAM, draws, x0.device(), channels, height, width);
        Tensor t = trainer.onDevice(times(objective, from, count));
        Tensor y = trainer.config().model().numClasses() == 0 ? null : trainer.onDevice(Tensors.of(labels, count));
        Tensor xt = objective.noised(x0, noise, t);
        return Tensors.toDoubles(
                objective.loss(predictor.predict(xt, t, y), x0, xt, noise, t).values());
    }
}
