package org.dit4j.run;

import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import org.dit4j.data.Dataset;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.train.Execution;
import org.dit4j.train.MemoryNeed;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;

/**
 * How long a step of a run will take, from a few steps that are taken and forgotten: of the run itself where that is quick, else of networks
 * of the same width with fewer blocks and images, of which both the time grows in proportion.
 *
 * @param secondsPerStep of one optimiser step, the reading of its images included
 * @param wholeSteps how many steps of the run itself were timed; 0 where the figure is extrapolated
 * @param blocks the largest number of blocks that was timed
 * @param images the largest number of images to a step that was timed
 */
public record Rehearsal(double secondsPerStep, int wholeSteps, int blocks, int images) {
    private static final int FEW_BLOCKS = 3, MOST_STEPS = 200;
    /** Images are added while a step of one block takes less than half of it; a longer step is not repeated. */
    private static final double SHORT_SECONDS = 0.6, WHOLE_SECONDS = 5;

    /** What is rehearsed: the run itself, or a smaller one like it. */
    private record Work(TrainConfig config, Execution execution, Dataset dataset) {
        /** With fewer blocks, and so many images to a step: at most those of a micro-batch at once. */
        Work with(int blocks, int images) {
            DiTConfig model = config.model();
            return new Work(
                    config.withModel(model.withTrunk(model.hiddenSize(), blocks, model.numHeads()))
                            .withGlobalBatchSize(images),
                    execution.withMicroBatchSize(Math.min(images, execution.microBatchSize(config))),
                    dataset);
        }

        boolean fits(long freeBytes) {
            return MemoryNeed.of(config, execution).inMemoryOf(Backend.device(execution.device())) < freeBytes;
        }

        Trainer trainer() {
            return new Trainer(config, execution, dataset);
        }
    }

    /**
     * Takes about {@code budgetSeconds}, more only where the smallest step does.
     *
     * @param freeBytes memory of the device that networks may take
     * @return nothing if not even a network with three blocks fits
     */
    public static Optional<Rehearsal> of(
            TrainConfig config, Execution execution, Dataset dataset, long freeBytes, double budgetSeconds)
            throws IOException {
        long start = System.nanoTime();
        Work work = new Work(config, execution, dataset);
        int few = Math.min(FEW_BLOCKS, config.model().depth());
        if (!work.with(few, 1).fits(freeBytes)) return Optional.empty();
        int images = Math.min(2, config.globalBatchSize());
        while (2 * images <= execution.microBatchSize(config)
                && work.with(few, 2 * images).fits(freeBytes)
                && seconds(work.with(1, images)) < SHORT_SECONDS / 2) images *= 2;
        double predicted = extrapolated(work, few, images);
        double left = budgetSeconds - (System.nanoTime() - start) / 1e9;
        if (!work.fits(freeBytes) || predicted * 6 > left) return Optional.of(new Rehearsal(predicted, 0, few, images));
        double[] times = times(work, Math.min(WHOLE_SECONDS, left / 2));
        Arrays.sort(times);
        return Optional.of(new Rehearsal(
                times[times.length / 2], times.length, config.model().depth(), config.globalBatchSize()));
    }

    /** From one and {@code blocks} blocks, half of the images and all: what is constant, by image, by block, and by both. */
    private static double extrapolated(Work work, int blocks, int images) throws IOException {
        int half = Math.max(1, images / 2), all = work.config.globalBatchSize();
        double small = atDepth(work, blocks, half);
        double large = images == half ? small : atDepth(work, blocks, images);
        if (images == half) return large * all;
        double perImage = Math.max(0, (large - small) / (images - half));
        double constant = Math.max(0, large - perImage * images);
        return constant + perImage * all;
    }

    /** A step of all blocks with so many images. */
    private static double atDepth(Work work, int blocks, int images) throws IOException {
        int depth = work.config.model().depth();
        double deep = seconds(work.with(blocks, images));
        if (blocks == depth) return deep;
        double flat = seconds(work.with(1, images));
        return flat + (deep - flat) * (depth - 1) / (blocks - 1);
    }

    /** The fastest of up to three steps after the first; what disturbs a step only makes it longer. */
    private static double seconds(Work work) throws IOException {
        try (Trainer trainer = work.trainer()) {
            step(trainer);
            double fastest = Double.POSITIVE_INFINITY, all = 0;
            for (int i = 0; i < 3 && all < SHORT_SECONDS; i++) {
                double time = step(trainer);
                fastest = Math.min(fastest, time);
                all += time;
            }
            return fastest;
        }
    }

    /** Steps of the run itself, after two that do not count. */
    private static double[] times(Work work, double budgetSeconds) throws IOException {
        try (Trainer trainer = work.trainer()) {
            for (int i = 0; i < 2; i++) step(trainer);
            double[] times = new double[MOST_STEPS];
            int count = 0;
            for (double total = 0; !enough(count, total, budgetSeconds); total += times[count++])
                times[count] = step(trainer);
            return Arrays.copyOf(times, count);
        }
    }

    private static boolean enough(int steps, double seconds, double budgetSeconds) {
        return steps == MOST_STEPS || steps >= 3 && seconds > budgetSeconds || steps >= 10 && seconds > SHORT_SECONDS;
    }

    private static double step(Trainer trainer) throws IOException {
        long start = System.nanoTime();
        trainer.step();
        trainer.drainMeanLoss(); // waits for the device
        return (System.nanoTime() - start) / 1e9;
    }
}
