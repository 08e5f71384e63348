package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.dit4j.model.DiTConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What changes over a run by arithmetic alone: the learning rate and the decay of the average. */
class ScheduleTest {
    @Test
    void thePublishedLearningRateIsConstant() {
        LearningRate rate = TrainConfig.published(DiTConfig.of("DiT-S/8")).learningRate();
        for (long step : new long[] {1, 2, 1000, 400_000}) assertEquals(1e-4, rate.at(step));
    }

    @Test
    void theLearningRateRisesInEqualStepsThatEndAtTheConstant() {
        LearningRate rate = new LearningRate(0.4, 4);
        double[] first = new double[6];
        for (int i = 0; i < first.length; i++) first[i] = rate.at(i + 1);
        assertArrayEquals(new double[] {0.1, 0.2, 0.3, 0.4, 0.4, 0.4}, first, 1e-15);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, -1e-4, Double.NaN, Double.POSITIVE_INFINITY})
    void aLearningRateThatIsNotPositiveIsRefused(double rate) {
        assertThrows(IllegalArgumentException.class, () -> new LearningRate(rate, 0));
    }

    @Test
    void aNegativeWarmUpIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new LearningRate(1e-4, -1));
    }

    @Test
    void thePublishedDecayIsConstantFromTheFirstStepOn() {
        EmaSchedule ema = TrainConfig.published(DiTConfig.of("DiT-S/8")).ema();
        for (long images : new long[] {256, 512, 100_000_000}) assertEquals(0.9999, ema.at(images, 256));
    }

    @ParameterizedTest
    @CsvSource({"1000, 10, 0.05", "64000, 64, 0.05", "64000, 256, 0.2"})
    void aRampsHalfLifeIsItsShareOfTheImagesTrained(long images, int batchSize, double ratio) {
        double decay = new EmaSchedule(0.999999, ratio).at(images, batchSize);
        double stepsOfAHalfLife = images * ratio / batchSize;
        assertEquals(0.5, Math.pow(decay, stepsOfAHalfLife), 1e-12);
    }

    @Test
    void aRampEndsAtTheDecay() {
        EmaSchedule ema = new EmaSchedule(0.99, 0.05);
        assertTrue(ema.at(64, 64) < 1e-5, "the first step forgets the initial network");
        double before = 0;
        for (long images = 64; images <= 640_000; images += 64) {
            double decay = ema.at(images, 64);
            assertTrue(decay >= before && decay <= 0.99);
            before = decay;
        }
        assertEquals(0.99, before);
    }

    @ParameterizedTest
    @CsvSource({"1, 0", "-0.1, 0", "NaN, 0", "0.9, -1", "0.9, NaN"})
    void anImpossibleAverageIsRefused(double decay, double ratio) {
        assertThrows(IllegalArgumentException.class, () -> new EmaSchedule(decay, ratio));
    }

    @Test
    void anAverageIsWorthLookingAtWhenLittleOfItIsUntrained() {
        EmaSchedule published = new EmaSchedule(0.9999, 0), ramped = new EmaSchedule(0.9999, 0.05);
        assertEquals(30_000, published.matureAfter(256));
        assertEquals(0.887, published.untrained(1200, 256), 1e-3, "which draws noise");
        assertTrue(published.untrained(30_000, 256) <= 0.05);
        assertTrue(ramped.matureAfter(64) <= 2, "a ramp forgets the beginning at once");
        assertTrue(ramped.untrained(2, 64) < 0.05);
        assertEquals(0, new EmaSchedule(0, 0).matureAfter(1));
    }
}
