package org.dit4j.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NoiseScheduleTest {
    @ParameterizedTest
    @EnumSource(NoiseSchedule.class)
    void everyBetaIsInItsRangeAndEveryNameIsKnown(NoiseSchedule schedule) {
        for (double beta : schedule.betas(1000)) assertTrue(beta > 0 && beta <= 1);
        assertEquals(schedule, NoiseSchedule.of(schedule.published()));
        assertTrue(NoiseSchedule.names().contains(schedule.published()));
    }

    @ParameterizedTest
    @EnumSource(NoiseSchedule.class)
    void everyScheduleMakesADiffusionThatEndsInNoise(NoiseSchedule schedule) {
        GaussianDiffusion diffusion = GaussianDiffusion.of(schedule.betas(1000), Prediction.X0, Variance.FIXED_SMALL);
        double[] alphaCumprod = diffusion.table(Coefficient.ALPHA_CUMPROD);
        for (int t = 1; t < 1000; t++) assertTrue(alphaCumprod[t] < alphaCumprod[t - 1]);
        assertEquals(0, alphaCumprod[999], 1e-2);
    }

    @Test
    void anUnknownNameIsRefusedWithTheKnownOnes() {
        String message = assertThrows(IllegalArgumentException.class, () -> NoiseSchedule.of("lineer"))
                .getMessage();
        assertTrue(message.contains("\"lineer\"") && message.contains("squaredcos_cap_v2"), message);
    }

    @Test
    void tooFewTimestepsAreRefusedWithTheFirstBetaOutside() {
        // 1000 / 10 times the ends rises from 0.01 to 2 in nine steps, so past 1 at the fifth
        String message = assertThrows(IllegalArgumentException.class, () -> NoiseSchedule.LINEAR.betas(10))
                .getMessage();
        assertTrue(message.contains("timestep 5 is 1.1155555") && message.contains("(0, 1]"), message);
        assertThrows(IllegalArgumentException.class, () -> NoiseSchedule.LINEAR.betas(0));
        assertThrows(IllegalArgumentException.class, () -> NoiseSchedule.CONST.betas(10, 0.1, Double.NaN));
    }

    @Test
    void theNoiseCannotBePredictedWhereNoSignalIsLeft() {
        double[] betas = NoiseSchedule.JSD.betas(100);
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> GaussianDiffusion.of(betas, Prediction.NOISE, Variance.FIXED_SMALL))
                .getMessage();
        assertTrue(message.contains("VELOCITY"), message);
    }

    @Test
    void respacingKeepsTheSignalOfTheTimestepsItVisits() {
        GaussianDiffusion full = GaussianDiffusion.published(), some = full.spaced("10,15,20");
        double[] all = full.table(Coefficient.ALPHA_CUMPROD), kept = some.table(Coefficient.ALPHA_CUMPROD);
        assertEquals(45, some.numTimesteps());
        for (int i = 0; i < kept.length; i++) assertEquals(all[some.originalTimestep(i)], kept[i], 1e-12 * kept[i]);
        // respacing starts from the original diffusion, however often it is done
        assertArrayEquals(
                some.table(Coefficient.BETA),
                full.spaced("7").spaced("10,15,20").table(Coefficient.BETA));
    }

    @Test
    void aTableIsACopy() {
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        Arrays.fill(diffusion.table(Coefficient.BETA), 7);
        assertEquals(0.02, diffusion.table(Coefficient.BETA)[999], 1e-12);
    }
}
