package org.dit4j.train;

import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiTConfig;

/**
 * What is learned, but for the data: with these and the number of steps it fixes the weights. How it is computed is {@link Execution}'s.
 *
 * @param model the network
 * @param diffusion what it learns to undo, and what is minimised
 * @param seed of the initial weights, data order, flips, timesteps, noise and label dropout
 * @param globalBatchSize images to an optimiser step
 * @param learningRate the schedule of the learning rate
 * @param weightDecay AdamW's; 0 as published
 * @param clipNorm gradients with a longer Euclidean norm are scaled down to it; 0, as published, is never
 * @param ema how the averaged weights follow
 * @param flip whether images are mirrored at random
 */
public record TrainConfig(
        DiTConfig model,
        DiffusionConfig diffusion,
        long seed,
        int globalBatchSize,
        LearningRate learningRate,
        double weightDecay,
        double clipNorm,
        EmaSchedule ema,
        boolean flip) {
    /** @throws IllegalArgumentException naming the value that is out of range, or if network and diffusion do not go with each other */
    public TrainConfig {
        require(globalBatchSize >= 1, "global batch size " + globalBatchSize + " is below 1");
        require(weightDecay >= 0, "weight decay " + weightDecay + " is negative");
        require(clipNorm >= 0, "clip norm " + clipNorm + " is negative; 0 is no clipping");
        require(
                model.learnSigma() == diffusion.variance().isLearned(),
                "the network predicts " + (model.learnSigma() ? "a" : "no") + " variance, the diffusion's is "
                        + diffusion.variance() + "; both learn it, or neither does");
    }

    /**
     * The published recipe: batch 256, AdamW at 1e-4 without weight decay, EMA 0.9999, random flips, the published diffusion (for a network
     * that predicts no variance, with the posterior's).
     */
    public static TrainConfig published(DiTConfig model) {
        DiffusionConfig diffusion = model.learnSigma()
                ? DiffusionConfig.PUBLISHED
                : DiffusionConfig.PUBLISHED.withVariance(DiffusionConfig.Variance.FIXED_SMALL);
        return new TrainConfig(
                model, diffusion, 0, 256, new LearningRate(1e-4, 0), 0, 0, new EmaSchedule(0.9999, 0), true);
    }

    public TrainConfig withModel(DiTConfig other) {
        return new TrainConfig(other, diffusion, seed, globalBatchSize, learningRate, weightDecay, clipNorm, ema, flip);
    }

    public TrainConfig withDiffusion(DiffusionConfig other) {
        return new TrainConfig(model, other, seed, globalBatchSize, learningRate, weightDecay, clipNorm, ema, flip);
    }

    public TrainConfig withSeed(long other) {
        return new TrainConfig(
                model, diffusion, other, globalBatchSize, learningRate, weightDecay, clipNorm, ema, flip);
    }

    public TrainConfig withGlobalBatchSize(int images) {
        return new TrainConfig(model, diffusion, seed, images, learningRate, weightDecay, clipNorm, ema, flip);
    }

    public TrainConfig withLearningRate(LearningRate other) {
        return new TrainConfig(model, diffusion, seed, globalBatchSize, other, weightDecay, clipNorm, ema, flip);
    }

    public TrainConfig withWeightDecay(double decay) {
        return new TrainConfig(model, diffusion, seed, globalBatchSize, learningRate, decay, clipNorm, ema, flip);
    }

    public TrainConfig withClipNorm(double norm) {
        return new TrainConfig(model, diffusion, seed, globalBatchSize, learningRate, weightDecay, norm, ema, flip);
    }

    public TrainConfig withEma(EmaSchedule other) {
        return new TrainConfig(
                model, diffusion, seed, globalBatchSize, learningRate, weightDecay, clipNorm, other, flip);
    }

    public TrainConfig withFlip(boolean mirrored) {
        return new TrainConfig(
                model, diffusion, seed, globalBatchSize, learningRate, weightDecay, clipNorm, ema, mirrored);
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
