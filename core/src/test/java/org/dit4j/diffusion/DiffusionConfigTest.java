package org.dit4j.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.dit4j.diffusion.DiffusionConfig.LossType;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Products;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.junit.jupiter.api.Test;

class DiffusionConfigTest {
    private static final DiffusionConfig COSINE =
            DiffusionConfig.of(NoiseSchedule.COSINE, 500, Prediction.X0, Variance.FIXED_SMALL);

    @Test
    void jsonKeepsEverything() {
        for (DiffusionConfig config : new DiffusionConfig[] {
            DiffusionConfig.PUBLISHED,
            COSINE,
            DiffusionConfig.PUBLISHED.withLoss(LossType.RESCALED_KL),
            DiffusionConfig.PUBLISHED
                    .withSchedule(NoiseSchedule.QUAD, 100, 1e-3, 0.1)
                    .withProducts(Products.FLOAT32)
        }) assertEquals(config, DiffusionConfig.ofJson(config.toJson()));
    }

    @Test
    void aNewerVersionAndAnotherProcessAreRefusedByName() {
        String newer = assertThrows(
                        IllegalArgumentException.class,
                        () -> DiffusionConfig.ofJson(COSINE.toJson().put("version", 2)))
                .getMessage();
        assertEquals("the diffusion is of version 2; known is 1", newer);
        String other = assertThrows(
                        IllegalArgumentException.class,
                        () -> DiffusionConfig.ofJson(COSINE.toJson().put("process", "flow")))
                .getMessage();
        assertTrue(other.contains("\"flow\""), other);
        assertThrows(
                IllegalArgumentException.class,
                () -> DiffusionConfig.ofJson(COSINE.toJson().put("prediction", "sound")));
    }

    @Test
    void theFourWordsOfTheFirstVersionAreUnderstood() {
        assertEquals(DiffusionConfig.PUBLISHED, DiffusionConfig.ofText("linear 1000 noise learned_range"));
        assertEquals(COSINE, DiffusionConfig.ofText("squaredcos_cap_v2 500 x0 fixed_small"));
        for (String wrong : new String[] {
            "", "linear", "linear x noise learned", "linear 1000 sound learned", "line 1000 noise learned"
        }) assertThrows(IllegalArgumentException.class, () -> DiffusionConfig.ofText(wrong));
    }

    @Test
    void forPeopleItIsAsShortAsItCanBe() {
        assertEquals("linear 1000 noise learned_range", DiffusionConfig.PUBLISHED.text());
        assertEquals(
                "quad 100 noise learned_range, beta 0.001 to 0.1, loss kl",
                DiffusionConfig.PUBLISHED
                        .withSchedule(NoiseSchedule.QUAD, 100, 1e-3, 0.1)
                        .withLoss(LossType.KL)
                        .text());
    }

    @Test
    void endsThatAScheduleHasNotMakeNoOtherConfiguration() {
        assertEquals(COSINE, COSINE.withSchedule(NoiseSchedule.COSINE, 500, 0.001, 0.5));
    }

    /** The published code scales the ends of a linear schedule by 1000 / T, diffusers takes them as they are. */
    @Test
    void theSameBetaComesOutOfBothArithmetics() {
        DiffusionConfig published =
                DiffusionConfig.of(NoiseSchedule.LINEAR, 250, Prediction.NOISE, Variance.FIXED_LARGE);
        DiffusionConfig diffusers = published.withProducts(Products.FLOAT32);
        assertEquals(4e-4, diffusers.betaStart());
        assertEquals(published, diffusers.withProducts(Products.FLOAT64));
        double[] exact = GaussianDiffusion.of(published).table(Coefficient.ALPHA_CUMPROD);
        double[] rounded = GaussianDiffusion.of(diffusers).table(Coefficient.ALPHA_CUMPROD);
        assertArrayEquals(exact, rounded, 1e-5);
    }
}
