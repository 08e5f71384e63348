package org.dit4j.sample;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class GuidanceTest {
    private static final long NULL_LABEL = 10;

    private TensorScope scope;
    private Tensor x;
    private Condition condition;

    @BeforeEach
    void openScope() {
        scope = new TensorScope();
        x = Noise.normal(7, Purpose.SAMPLE_START, 0, new long[] {0, 1}, 4, 4, 4);
        condition = Condition.of(Tensors.of(new long[] {3, 7}, 2));
    }

    @AfterEach
    void closeScope() {
        scope.close();
    }

    /** Every channel, and as many for the variance, is the latents times the label. */
    private static final Denoiser TIMES_LABEL = (latents, timestep, condition) -> {
        Tensor scaled = latents.mul(condition.labels().to(ScalarType.Float).view(-1, 1, 1, 1));
        return Tensors.cat(1, scaled, scaled);
    };

    /** The latents of each row times its number, (2, 8, 4, 4). */
    private Tensor times(double first, double second) {
        Tensor factors = Tensors.of(new float[] {(float) first, (float) second}, 2, 1, 1, 1);
        return Tensors.cat(1, x.mul(factors), x.mul(factors));
    }

    @Test
    void scaleOneIsTheDenoiserItself() {
        assertSame(TIMES_LABEL, Guidance.classifierFree(TIMES_LABEL, 1, NULL_LABEL, 3));
    }

    @Test
    void onlyTheFirstChannelsAreGuidedAndTheVarianceIsNot() {
        Tensor guided = Guidance.classifierFree(TIMES_LABEL, 4, NULL_LABEL, 3).predict(x, 500, condition);
        // 10 + 4 · (3 − 10) and 10 + 4 · (7 − 10)
        assertTrue(Golden.relativeError(times(-18, -2).narrow(1, 0, 3), guided.narrow(1, 0, 3)) < 1e-6);
        assertArrayEquals(Tensors.toFloats(times(3, 7).narrow(1, 3, 5)), Tensors.toFloats(guided.narrow(1, 3, 5)));
        Tensor all = Guidance.classifierFree(TIMES_LABEL, 4, NULL_LABEL, 4).predict(x, 500, condition);
        assertTrue(Golden.relativeError(times(-18, -2).narrow(1, 0, 4), all.narrow(1, 0, 4)) < 1e-6);
    }

    @Test
    void scaleZeroIsTheUnconditionalPrediction() {
        Tensor guided = Guidance.classifierFree(TIMES_LABEL, 0, NULL_LABEL, 4).predict(x, 500, condition);
        assertArrayEquals(Tensors.toFloats(times(10, 10).narrow(1, 0, 4)), Tensors.toFloats(guided.narrow(1, 0, 4)));
    }

    @Test
    void anIntervalGuidesItsTimestepsOnlyBothEndsIncluded() {
        Denoiser guided = (latents, timestep, rows) -> latents.add(new Scalar(1));
        Denoiser plain = (latents, timestep, rows) -> latents.sub(new Scalar(1));
        Denoiser within = Guidance.within(100, 500, guided, plain);
        List<Double> inside = new ArrayList<>();
        for (double timestep : new double[] {0, 99.5, 100, 300, 500, 500.5, 999})
            if (within.predict(x, timestep, condition).sub(x).mean().item_double() > 0) inside.add(timestep);
        assertEquals(List.of(100.0, 300.0, 500.0), inside);
        assertThrows(IllegalArgumentException.class, () -> Guidance.within(500, 100, guided, plain));
    }

    @Test
    void whatCannotBeGuidedIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> Guidance.classifierFree(TIMES_LABEL, -1, NULL_LABEL, 3));
        assertThrows(
                IllegalArgumentException.class, () -> Guidance.classifierFree(TIMES_LABEL, Double.NaN, NULL_LABEL, 3));
        assertThrows(IllegalArgumentException.class, () -> Guidance.classifierFree(TIMES_LABEL, 4, NULL_LABEL, 0));
        Denoiser tooMany = Guidance.classifierFree(TIMES_LABEL, 4, NULL_LABEL, 5);
        assertThrows(IllegalArgumentException.class, () -> tooMany.predict(x, 500, condition));
        Denoiser guided = Guidance.classifierFree(TIMES_LABEL, 4, NULL_LABEL, 3);
        String message = assertThrows(
                        IllegalStateException.class, () -> guided.predict(x, 500, Condition.unconditional(2)))
                .getMessage();
        assertTrue(message.contains("labels"), message);
        assertThrows(IllegalArgumentException.class, () -> Condition.of(x), "labels of the wrong shape");
    }
}
