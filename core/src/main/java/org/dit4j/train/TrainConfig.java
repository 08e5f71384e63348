package org.dit4j.train;

import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;

/**
 * What fixes a training run but its data.
 *
 * @param model the network
 * @param seed of the initial weights, data order, flips, timesteps, noise and label dropout
 * @param maxSteps optimiser steps
 * @param globalBatchSize images to an optimiser step
 * @param microBatchSize images that go through the network at once, a divisor of {@code globalBatchSize}; gradients of the micro-batches
 *     are added up
 * @param learningRate the schedule of the learning rate
 * @param weightDecay AdamW's; 0 as published
 * @param clipNorm gradients with a longer Euclidean norm are scaled down to it; 0, as published, is never
 * @param ema how the averaged weights follow
 * @param flip whether images are mirrored at random
 * @param numWorkers threads that read and decode images; 0 reads on the training thread
 * @param bf16 whether matrix products run in bfloat16 (autocast)
 * @param recompute whether blocks are computed again in the backward pass, memory for time
 * @param device as {@link Backend#device} takes it
 */
public record TrainConfig(
        DiTConfig model,
        long seed,
        long maxSteps,
        int globalBatchSize,
        int microBatchSize,
        LearningRate learningRate,
        double weightDecay,
        double clipNorm,
        Ema.Schedule ema,
        boolean flip,
        int numWorkers,
        boolean bf16,
        boolean recompute,
        String device) {
    public TrainConfig {
        require(maxSteps >= 1, "max steps " + maxSteps + " is below 1");
        require(globalBatchSize >= 1, "global batch size " + globalBatchSize + " is below 1");
        require(
                microBatchSize >= 1 && globalBatchSize % microBatchSize == 0,
                "global batch size " + globalBatchSize + " is not a multiple of the micro-batch size "
                        + microBatchSize);
        require(weightDecay >= 0, "weight decay " + weightDecay + " is negative");
        require(clipNorm >= 0, "clip norm " + clipNorm + " is negative; 0 is no clipping");
        require(
                numWorkers >= 0 && numWorkers <= 256,
                "number of workers " + numWorkers + " is outside 0 … 256; 0 reads on the training thread");
    }

    /** The published recipe: batch 256, AdamW at 1e-4 without weight decay, EMA 0.9999, random flips, float32. */
    public static TrainConfig published(DiTConfig model) {
        return new TrainConfig(
                model,
                0,
                400_000,
                256,
                256,
                new LearningRate(1e-4, 0),
                0,
                0,
                new Ema.Schedule(0.9999, 0),
                true,
                4,
                false,
                false,
                "auto");
    }

    /** The same run but for what its memory and the time of a step depend on. */
    public TrainConfig resized(DiTConfig network, int global, int micro, boolean again) {
        return new TrainConfig(
                network,
                seed,
                maxSteps,
                global,
                micro,
                learningRate,
                weightDecay,
                clipNorm,
                ema,
                flip,
                numWorkers,
                bf16,
                again,
                device);
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
