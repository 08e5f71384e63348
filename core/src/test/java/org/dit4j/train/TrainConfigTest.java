package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainConfigTest {
    private static final TrainConfig PUBLISHED = TrainConfig.published(DiTConfig.of("DiT-S/8"));

    @Test
    void thePublishedRecipeIsThatOfThePaper() {
        assertEquals(256, PUBLISHED.globalBatchSize());
        assertEquals(new LearningRate(1e-4, 0), PUBLISHED.learningRate());
        assertEquals(0, PUBLISHED.weightDecay());
        assertEquals(0, PUBLISHED.clipNorm());
        assertEquals(new EmaSchedule(0.9999, 0), PUBLISHED.ema());
        assertEquals(DiffusionConfig.PUBLISHED, PUBLISHED.diffusion());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "0 | 8 | 0 | 0 | 0 | global batch size 0 is below 1",
                "8 | 3 | 0 | 0 | 0 | global batch size 8 is not a multiple of the micro-batch size 3",
                "8 | -1 | 0 | 0 | 0 | micro-batch size -1 is negative; 0 is the whole batch",
                "8 | 8 | -0.1 | 0 | 0 | weight decay -0.1 is negative",
                "8 | 8 | NaN | 0 | 0 | weight decay NaN is negative",
                "8 | 8 | 0 | -1 | 0 | clip norm -1.0 is negative; 0 is no clipping",
                "8 | 8 | 0 | 0 | -1 | number of workers -1 is outside 0 … 256; 0 reads on the training thread",
            })
    void impossibleValuesAreRefused(
            int globalBatch, int microBatch, double decay, double clip, int workers, String message) {
        var refused = assertThrows(
                IllegalArgumentException.class,
                () -> Execution.DEFAULT
                        .withMicroBatchSize(microBatch)
                        .withNumWorkers(workers)
                        .microBatchSize(PUBLISHED
                                .withGlobalBatchSize(globalBatch)
                                .withWeightDecay(decay)
                                .withClipNorm(clip)));
        assertEquals(message, refused.getMessage());
    }

    @Test
    void aNetworkAndADiffusionThatDoNotGoTogetherAreRefused() {
        assertThrows(
                IllegalArgumentException.class,
                () -> PUBLISHED.withModel(PUBLISHED.model().withLearnSigma(false)));
    }

    @Test
    void weightsInBfloat16AreRefused() {
        assertThrows(
                IllegalArgumentException.class,
                () -> Execution.DEFAULT.withRecompute(true).withPrecision(Precision.BF16));
    }
}
