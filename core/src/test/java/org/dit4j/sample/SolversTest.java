package org.dit4j.sample;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.diffusion.Coefficient;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.diffusion.StandIn;
import org.dit4j.diffusion.Timesteps;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class SolversTest {
    private static final GaussianDiffusion TEN = GaussianDiffusion.published().spaced("10");

    /** The three solvers behind one signature. */
    enum Solver {
        DDPM,
        DDIM,
        DDIM_REVERSE;

        Tensor run(
                Denoiser denoiser, GaussianDiffusion diffusion, Tensor start, StepNoise noise, StepListener listener) {
            Condition rows = Condition.unconditional(start.size(0));
            return switch (this) {
                case DDPM -> Solvers.ddpm(denoiser, diffusion, start, rows, noise, false, listener);
                case DDIM -> Solvers.ddim(denoiser, diffusion, start, rows, 0.5, noise, false, listener);
                case DDIM_REVERSE -> Solvers.ddimReverse(denoiser, diffusion, start, rows, false, listener);
            };
        }
    }

    private TensorScope scope;

    @BeforeEach
    void openScope() {
        scope = new TensorScope();
    }

    @AfterEach
    void closeScope() {
        scope.close();
    }

    private static Tensor start(long... indices) {
        return Noise.normal(7, Purpose.SAMPLE_START, 0, indices, 4, 4, 4);
    }

    /** Knows that every image is constant, and in which grey. */
    private static Denoiser knowing(Tensor x0) {
        return (latents, timestep, condition) -> x0.add(new Scalar(0));
    }

    private static GaussianDiffusion x0Diffusion(NoiseSchedule schedule) {
        return GaussianDiffusion.of(schedule.betas(1000), Prediction.X0, Variance.FIXED_SMALL);
    }

    @Test
    void aDenoiserThatKnowsTheImageIsBelieved() {
        Tensor image = start(3, 4).tanh(), noise = start(1, 2);
        Condition rows = Condition.unconditional(2);
        for (String spacing : List.of("1", "2", "10", "ddim50"))
            for (NoiseSchedule schedule : List.of(NoiseSchedule.LINEAR, NoiseSchedule.COSINE, NoiseSchedule.JSD)) {
                GaussianDiffusion diffusion = x0Diffusion(schedule).spaced(spacing);
                StepNoise drawn = StepNoise.byIndex(1, 1, 2);
                Tensor ddpm = Solvers.ddpm(knowing(image), diffusion, noise, rows, drawn, false, StepListener.NONE);
                Tensor ddim =
                        Solvers.ddim(knowing(image), diffusion, noise, rows, 0.5, drawn, false, StepListener.NONE);
                // the last step of both ends at x0 itself
                assertTrue(Golden.relativeError(image, ddpm) < 1e-6, spacing + " " + schedule);
                assertTrue(Golden.relativeError(image, ddim) < 1e-6, spacing + " " + schedule);
            }
    }

    @ParameterizedTest
    @EnumSource(Solver.class)
    void oneStepIsEnough(Solver solver) {
        GaussianDiffusion one = GaussianDiffusion.published().spaced("1");
        List<Integer> asked = new ArrayList<>();
        Tensor result = solver.run(StandIn.denoiser(), one, start(1), StepNoise.byIndex(1, 1), step -> {
            asked.add((int) step.timestep());
            assertEquals(1, step.numSteps());
            return true;
        });
        assertEquals(List.of(999), asked);
        for (float value : Tensors.toFloats(result)) assertTrue(Float.isFinite(value));
    }

    @Test
    void clippingKeepsTheImageInItsRange() {
        Tensor bright = start(1).mul(new Scalar(100));
        Tensor clipped = Solvers.ddpm(
                knowing(bright),
                x0Diffusion(NoiseSchedule.LINEAR).spaced("5"),
                start(1),
                Condition.unconditional(1),
                StepNoise.byIndex(1, 1),
                true,
                StepListener.NONE);
        for (float value : Tensors.toFloats(clipped)) assertTrue(Math.abs(value) <= 1);
    }

    @Test
    void withoutEtaDdimIgnoresTheNoise() {
        Tensor first = ddim(0, StepNoise.byIndex(1, 1, 2)), second = ddim(0, StepNoise.byIndex(2, 1, 2));
        assertArrayEquals(Tensors.toFloats(first), Tensors.toFloats(second));
        Tensor noisy = ddim(0.5, StepNoise.byIndex(1, 1, 2));
        assertTrue(Golden.relativeError(first, noisy) > 0.01);
        assertThrows(IllegalArgumentException.class, () -> ddim(-0.1, StepNoise.byIndex(1, 1, 2)));
        assertThrows(IllegalArgumentException.class, () -> ddim(Double.NaN, StepNoise.byIndex(1, 1, 2)));
    }

    private static Tensor ddim(double eta, StepNoise noise) {
        Condition rows = Condition.unconditional(2);
        return Solvers.ddim(StandIn.denoiser(), TEN, start(1, 2), rows, eta, noise, false, StepListener.NONE);
    }

    /** Both follow the same curve of a smooth denoiser, each with a step's error of its own: twice the steps, half the difference. */
    @Test
    void ddimLeadsBackToWhatDdimReverseCameFrom() {
        double coarse = roundTripError("100"), fine = roundTripError("200");
        assertTrue(coarse < 0.1, "error " + coarse);
        assertEquals(2, coarse / fine, 0.4);
    }

    private static double roundTripError(String spacing) {
        GaussianDiffusion diffusion = GaussianDiffusion.of(
                        NoiseSchedule.LINEAR.betas(1000), Prediction.VELOCITY, Variance.FIXED_SMALL)
                .spaced(spacing);
        // the exact denoiser of images that are normal with deviation ½ in every pixel
        double[] alphaCumprod = GaussianDiffusion.published().table(Coefficient.ALPHA_CUMPROD);
        Denoiser smooth = (x, timestep, condition) -> {
            double signal = alphaCumprod[(int) timestep], variance = 0.25 * signal + 1 - signal;
            return x.mul(new Scalar(Math.sqrt(signal * (1 - signal)) * (1 - 0.25) / variance));
        };
        Tensor image = start(1, 2).mul(new Scalar(0.5));
        Condition rows = Condition.unconditional(2);
        Tensor noise = Solvers.ddimReverse(smooth, diffusion, image, rows, false, StepListener.NONE);
        Tensor back =
                Solvers.ddim(smooth, diffusion, noise, rows, 0, StepNoise.byIndex(1, 1, 2), false, StepListener.NONE);
        return Golden.relativeError(image, back);
    }

    @ParameterizedTest
    @EnumSource(Solver.class)
    void anImageIsTheSameWhateverElseIsInTheBatch(Solver solver) {
        Tensor three =
                solver.run(StandIn.denoiser(), TEN, start(4, 9, 2), StepNoise.byIndex(1, 4, 9, 2), StepListener.NONE);
        Tensor other =
                solver.run(StandIn.denoiser(), TEN, start(5, 9, 6), StepNoise.byIndex(1, 5, 9, 6), StepListener.NONE);
        assertArrayEquals(Tensors.toFloats(three.narrow(0, 1, 1)), Tensors.toFloats(other.narrow(0, 1, 1)));
        Tensor one = solver.run(StandIn.denoiser(), TEN, start(9), StepNoise.byIndex(1, 9), StepListener.NONE);
        // another shape may be vectorised otherwise
        assertTrue(Golden.relativeError(one, three.narrow(0, 1, 1)) < 1e-5);
    }

    @ParameterizedTest
    @EnumSource(Solver.class)
    void theListenerHearsOfEveryStepAndSeesItsTensors(Solver solver) {
        List<Integer> timesteps = new ArrayList<>();
        List<float[]> latents = new ArrayList<>();
        Tensor result = solver.run(StandIn.denoiser(), TEN, start(1), StepNoise.byIndex(1, 1), step -> {
            timesteps.add((int) step.timestep());
            assertEquals(timesteps.size(), step.number());
            assertEquals(10, step.numSteps());
            assertArrayEquals(new long[] {1, 4, 4, 4}, step.x0().shape());
            latents.add(Tensors.toFloats(step.x()));
            return true;
        });
        List<Integer> rising =
                Arrays.stream(Timesteps.spaced(1000, "10")).boxed().toList();
        List<Integer> expected = new ArrayList<>(rising);
        if (solver != Solver.DDIM_REVERSE) Collections.reverse(expected);
        assertEquals(expected, timesteps);
        assertArrayEquals(latents.get(9), Tensors.toFloats(result));
        assertFalse(Arrays.equals(latents.get(8), latents.get(9)));
    }

    @ParameterizedTest
    @EnumSource(Solver.class)
    void theListenerStopsTheSolverBetweenStepsAndNothingIsLeft(Solver solver) {
        Tensor start = start(1);
        solver.run(StandIn.denoiser(), TEN, start, StepNoise.byIndex(1, 1), StepListener.NONE)
                .close();
        long before = NativeObjects.settled();
        int[] heard = {0};
        CancellationException stopped = assertThrows(
                CancellationException.class,
                () -> solver.run(StandIn.denoiser(), TEN, start, StepNoise.byIndex(1, 1), step -> ++heard[0] < 3));
        assertEquals("stopped after step 3 of 10", stopped.getMessage());
        assertEquals(3, heard[0]);
        assertEquals(before, Pointer.totalCount());
    }

    @ParameterizedTest
    @EnumSource(Solver.class)
    void aSolverFreesEverythingButItsResult(Solver solver) {
        Tensor start = start(1, 2);
        StepNoise noise = StepNoise.byIndex(1, 1, 2);
        solver.run(StandIn.denoiser(), TEN, start, noise, StepListener.NONE).close(); // warm up
        long before = NativeObjects.settled();
        Denoiser guided = Guidance.classifierFree(StandIn.denoiser(), 1, 10, 3);
        try (TensorScope inner = new TensorScope()) {
            long[] most = {0};
            Tensor result = solver.run(guided, TEN, start, noise, step -> {
                most[0] = Math.max(most[0], Pointer.totalCount());
                return true;
            });
            assertTrue(most[0] > before, "the counter is blind, so this test means nothing");
            assertEquals(before + 1, Pointer.totalCount());
            assertFalse(result.isNull());
            assertFalse(start.isNull(), "the start is the caller's");
        }
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void respacingForEveryRequestLeavesNothingBehind() {
        Tensor start = start(1);
        GaussianDiffusion full = GaussianDiffusion.published();
        StepNoise noise = StepNoise.byIndex(1, 1);
        Solver.DDPM
                .run(StandIn.denoiser(), full.spaced("3"), start, noise, StepListener.NONE)
                .close();
        long before = NativeObjects.settled();
        Solver.DDPM
                .run(StandIn.denoiser(), full.spaced(" 3"), start, noise, StepListener.NONE)
                .close();
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void guidedSamplingFreesEverythingToo() {
        Tensor start = start(1, 2), labels = Tensors.of(new long[] {3, 4}, 2);
        Denoiser guided = Guidance.classifierFree(StandIn.denoiser(), 4, 10, 3);
        Condition condition = Condition.of(labels);
        try (TorchNoise noise = new TorchNoise(1, Backend.device("cpu"), true)) {
            Solvers.ddpm(guided, TEN, start, condition, noise, false, StepListener.NONE)
                    .close();
            long before = NativeObjects.settled();
            Solvers.ddpm(guided, TEN, start, condition, noise, false, StepListener.NONE)
                    .close();
            assertEquals(before, Pointer.totalCount());
        }
    }

    @Test
    void noiseIsAskedForAfterTheNetworkAndToldOfWhereItIsNotUsed() {
        List<String> events = new ArrayList<>();
        Denoiser denoiser = (latents, timestep, condition) -> {
            events.add("network " + (int) timestep);
            return StandIn.denoiser().predict(latents, timestep, condition);
        };
        StepNoise noise = new StepNoise() {
            @Override
            public Tensor draw(int step, Tensor x) {
                events.add("draw " + step);
                return StepNoise.byIndex(1, 1).draw(step, x);
            }

            @Override
            public void skip(int step, Tensor x) {
                events.add("skip " + step);
            }
        };
        Condition rows = Condition.unconditional(1);
        GaussianDiffusion two = GaussianDiffusion.published().spaced("2");
        Solvers.ddpm(denoiser, two, start(1), rows, noise, false, StepListener.NONE);
        assertEquals(List.of("network 999", "draw 0", "network 0", "skip 1"), events);
        events.clear();
        Solvers.ddim(denoiser, two, start(1), rows, 0, noise, false, StepListener.NONE);
        assertEquals(List.of("network 999", "skip 0", "network 0", "skip 1"), events);
    }

    @Test
    void aConditionOfOtherRowsThanTheStartIsRefused() {
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> Solvers.ddpm(
                                StandIn.denoiser(),
                                TEN,
                                start(1, 2),
                                Condition.unconditional(3),
                                StepNoise.byIndex(1, 1, 2),
                                false,
                                StepListener.NONE))
                .getMessage();
        assertTrue(message.contains("[2, 4, 4, 4]") && message.contains("3 rows"), message);
    }
}
