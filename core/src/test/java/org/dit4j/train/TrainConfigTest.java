package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.dit4j.model.DiTConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainConfigTest {
    private static final TrainConfig PUBLISHED = TrainConfig.published(DiTConfig.of("DiT-S/8"));

    private static TrainConfig config(
            long maxSteps, int globalBatch, int microBatch, double weightDecay, double clipNorm, int numWorkers) {
        return new TrainConfig(
                PUBLISHED.model(),
                0,
                maxSteps,
                globalBatch,
                microBatch,
                PUBLISHED.learningRate(),
                weightDecay,
                clipNorm,
                PUBLISHED.ema(),
                true,
                numWorkers,
                false,
                false,
                "cpu");
    }

    @Test
    void thePublishedRecipeIsThatOfThePaper() {
        assertEquals(256, PUBLISHED.globalBatchSize());
        assertEquals(new LearningRate(1e-4, 0), PUBLISHED.learningRate());
        assertEquals(0, PUBLISHED.weightDecay());
        assertEquals(0, PUBLISHED.clipNorm());
        assertEquals(new Ema.Schedule(0.9999, 0), PUBLISHED.ema());
        assertEquals(400_000, PUBLISHED.maxSteps());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "0 | 8 | 8 | 0 | 0 | 0 | max steps 0 is below 1",
                "1 | 0 | 8 | 0 | 0 | 0 | global batch size 0 is below 1",
                "1 | 8 | 3 | 0 | 0 | 0 | global batch size 8 is not a multiple of the micro-batch size 3",
                "1 | 8 | 0 | 0 | 0 | 0 | global batch size 8 is not a multiple of the micro-batch size 0",
                "1 | 8 | 8 | -0.1 | 0 | 0 | weight decay -0.1 is negative",
                "1 | 8 | 8 | NaN | 0 | 0 | weight decay NaN is negative",
                "1 | 8 | 8 | 0 | -1 | 0 | clip norm -1.0 is negative; 0 is no clipping",
                "1 | 8 | 8 | 0 | 0 | -1 | number of workers -1 is outside 0 … 256; 0 reads on the training thread",
            })
    void impossibleValuesAreRefused(
            long maxSteps, int globalBatch, int microBatch, double decay, double clip, int workers, String message) {
        var refused = assertThrows(
                IllegalArgumentException.class, () -> config(maxSteps, globalBatch, microBatch, decay, clip, workers));
        assertEquals(message, refused.getMessage());
    }
}
