package org.dit4j.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.diffusion.DiffusionConfig.LossType;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GaussianDiffusionTest {
    private static final double[] BETAS = NoiseSchedule.LINEAR.betas(1000);
    private static final long[] TIMESTEPS = {0, 1, 10, 500, 999};

    private TensorScope scope;

    @BeforeEach
    void openScope() {
        scope = new TensorScope();
    }

    @AfterEach
    void closeScope() {
        scope.close();
    }

    /** (5, channels, 4, 4), normal numbers of this seed. */
    private static Tensor random(long seed, long channels) {
        return Noise.normal(seed, Purpose.SAMPLE_START, 0, new long[] {0, 1, 2, 3, 4}, channels, 4, 4);
    }

    private static Tensor timesteps() {
        return Tensors.of(TIMESTEPS, TIMESTEPS.length);
    }

    private static GaussianDiffusion of(Prediction prediction, Variance variance) {
        return GaussianDiffusion.of(BETAS, prediction, variance);
    }

    private static HybridLoss mse(GaussianDiffusion diffusion) {
        return new HybridLoss(diffusion, LossType.MSE);
    }

    /** What each kind of network predicts if it takes {@code x} to be {@code x0} with the noise that this implies. */
    private static Tensor prediction(Prediction kind, Tensor x0, Tensor noise) {
        GaussianDiffusion diffusion = of(kind, Variance.FIXED_SMALL);
        return switch (kind) {
            case NOISE -> noise;
            case X0 -> x0;
            // v = √ᾱ noise − √(1 − ᾱ) x0 is the noised image of noise for image and −x0 for noise
            case VELOCITY -> diffusion.noised(noise, x0.neg(), timesteps());
        };
    }

    @ParameterizedTest
    @EnumSource(Prediction.class)
    void noiseX0AndVelocityOfTheSameImageAreTheSameStep(Prediction kind) {
        Tensor x0 = random(1, 4), noise = random(2, 4), t = timesteps();
        GaussianDiffusion diffusion = of(kind, Variance.FIXED_LARGE);
        Tensor xt = diffusion.noised(x0, noise, t);
        Moments p = diffusion.pMeanVariance(prediction(kind, x0, noise), xt, t, false);
        // at timestep 999 x0 comes from noise as √(1 / ᾱ) = 157 times float32's 6e-8 of x and noise each
        assertTrue(Golden.relativeError(x0, p.x0()) < 5e-5);
        Moments q = diffusion.posterior(x0, xt, t);
        assertTrue(Golden.relativeError(q.mean(), p.mean()) < 1e-6);
        assertTrue(Golden.relativeError(noise, diffusion.noiseIn(xt, x0, t)) < 1e-4);
    }

    @ParameterizedTest
    @EnumSource(Prediction.class)
    void aPerfectPredictionHasNoSquaredErrorAndNoGradient(Prediction kind) {
        Tensor x0 = random(1, 4), noise = random(2, 4), t = timesteps();
        GaussianDiffusion diffusion = of(kind, Variance.FIXED_SMALL);
        Tensor xt = diffusion.noised(x0, noise, t);
        Loss loss = mse(diffusion).loss(prediction(kind, x0, noise), x0, xt, noise, t);
        assertArrayEquals(new double[5], Tensors.toDoubles(loss.values()), 1e-12);
        assertArrayEquals(new double[5 * 4 * 4 * 4], Tensors.toDoubles(loss.gradient()), 1e-8);
        assertNull(loss.vb(), "a fixed variance leaves nothing for the bound to teach");
    }

    @Test
    void theBoundOfAPerfectPredictionVanishesButAtTheFirstTimestep() {
        Tensor x0 = random(1, 4), noise = random(2, 4), t = timesteps();
        GaussianDiffusion diffusion = of(Prediction.X0, Variance.FIXED_SMALL);
        double[] bits = Tensors.toDoubles(new HybridLoss(diffusion, LossType.KL)
                .loss(x0, x0, diffusion.noised(x0, noise, t), noise, t)
                .values());
        assertArrayEquals(new double[4], Arrays.copyOfRange(bits, 1, 5), 1e-6);
        assertTrue(bits[0] > 0.1);
    }

    /** The mean of the posterior of an image without noise is the image at the timestep before: c1 + c2 √ᾱ(t) = √ᾱ(t−1). */
    @Test
    void thePosteriorLeadsBackToTheTimestepBefore() {
        GaussianDiffusion diffusion = GaussianDiffusion.published().spaced("250");
        double[] c1 = diffusion.table(Coefficient.POSTERIOR_MEAN_X0);
        double[] c2 = diffusion.table(Coefficient.POSTERIOR_MEAN_XT);
        double[] signal = diffusion.table(Coefficient.SQRT_ALPHA_CUMPROD);
        double[] previous = diffusion.table(Coefficient.ALPHA_CUMPROD_PREVIOUS);
        for (int t = 0; t < 250; t++) assertEquals(Math.sqrt(previous[t]), c1[t] + c2[t] * signal[t], 1e-12);
    }

    @Test
    void aLearnedRangeReachesFromThePosteriorsVarianceToBeta() {
        GaussianDiffusion diffusion = of(Prediction.NOISE, Variance.LEARNED_RANGE);
        Tensor x = random(1, 4), t = timesteps();
        Tensor low = Tensors.cat(1, x, x.mul(new Scalar(0)).sub(new Scalar(1)));
        Tensor high = Tensors.cat(1, x, x.mul(new Scalar(0)).add(new Scalar(1)));
        double[] small = diffusion.table(Coefficient.POSTERIOR_LOG_VARIANCE_CLIPPED);
        double[] large = diffusion.table(Coefficient.BETA);
        double[] lowest =
                Tensors.toDoubles(diffusion.pMeanVariance(low, x, t, false).logVariance());
        double[] highest =
                Tensors.toDoubles(diffusion.pMeanVariance(high, x, t, false).logVariance());
        for (int row = 0; row < TIMESTEPS.length; row++) {
            assertEquals(small[(int) TIMESTEPS[row]], lowest[row * 64], 1e-5);
            assertEquals(Math.log(large[(int) TIMESTEPS[row]]), highest[row * 64 + 63], 1e-5);
        }
    }

    @Test
    void aLearnedVarianceIsTheSecondHalfItself() {
        GaussianDiffusion diffusion = of(Prediction.NOISE, Variance.LEARNED);
        Tensor x = random(1, 4), prediction = random(2, 8);
        Tensor logVariance =
                diffusion.pMeanVariance(prediction, x, timesteps(), false).logVariance();
        assertEquals(0, Golden.relativeError(prediction.narrow(1, 4, 4), logVariance));
    }

    /** With the mean not detached the bound would pull at it too; its gradient then differs by far more than rounding. */
    @Test
    void theBoundOfTheHybridLossTeachesTheVarianceOnly() {
        Tensor x0 = random(1, 4), noise = random(2, 4), prediction = random(3, 8), t = timesteps();
        GaussianDiffusion hybrid = of(Prediction.NOISE, Variance.LEARNED_RANGE);
        HybridLoss bound = new HybridLoss(hybrid, LossType.KL);
        Tensor xt = hybrid.noised(x0, noise, t);
        Tensor gradient = mse(hybrid).loss(prediction, x0, xt, noise, t).gradient();
        Tensor ofBound = bound.loss(prediction, x0, xt, noise, t).gradient();
        // d mean((noise − prediction)²) / d prediction, over 5 rows of 64 numbers
        Tensor ofSquares = prediction.narrow(1, 0, 4).sub(noise).mul(new Scalar(2.0 / (5 * 64)));
        assertTrue(Golden.relativeError(ofSquares, gradient.narrow(1, 0, 4)) < 1e-6);
        assertEquals(0, Golden.relativeError(ofBound.narrow(1, 4, 4), gradient.narrow(1, 4, 4)));
        Tensor notDetached = ofSquares.add(ofBound.narrow(1, 0, 4));
        Golden.assertRejected("a mean not detached", ofSquares, notDetached, 1e-2);
    }

    @ParameterizedTest
    @EnumSource(LossType.class)
    void gradientsAreThoseOfFiniteDifferences(LossType lossType) {
        // not timestep 0, where the clamped logarithm of a learned variance's likelihood has corners
        Tensor t = Tensors.of(new long[] {1, 5, 10, 500, 999}, 5);
        GaussianDiffusion diffusion = of(Prediction.VELOCITY, Variance.LEARNED_RANGE);
        HybridLoss objective = new HybridLoss(diffusion, lossType);
        Tensor x0 = wide(random(1, 4)), noise = wide(random(2, 4)), prediction = wide(random(3, 8));
        Tensor xt = diffusion.noised(x0, noise, t);
        double[] gradient =
                Tensors.toDoubles(objective.loss(prediction, x0, xt, noise, t).gradient());
        boolean hybrid = lossType == LossType.MSE || lossType == LossType.RESCALED_MSE;
        double step = 1e-4;
        for (int element : new int[] {0, 70, 130, 300, 450, 639}) {
            boolean isMean = element % 128 < 64;
            double[] sides = new double[2];
            for (int side = 0; side < 2; side++) {
                double[] moved = Tensors.toDoubles(prediction);
                moved[element] += side == 0 ? -step : step;
                Loss loss = objective.loss(Tensors.of(moved, prediction.shape()), x0, xt, noise, t);
                // the squared error moves the mean, the bound the variance
                Tensor value = !hybrid ? loss.values() : isMean ? loss.mse() : loss.vb();
                sides[side] = value.mean().item_double();
            }
            double slope = (sides[1] - sides[0]) / (2 * step);
            assertEquals(slope, gradient[element], 1e-6 * Math.abs(slope) + 1e-8, "element " + element);
        }
    }

    private static Tensor wide(Tensor tensor) {
        return tensor.to(ScalarType.Double);
    }

    @Test
    void aBfloat16PredictionGetsABfloat16GradientOfAFloat32Loss() {
        Tensor x0 = random(1, 4), noise = random(2, 4), t = timesteps();
        Tensor prediction = random(3, 8).to(ScalarType.BFloat16);
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        Tensor xt = diffusion.noised(x0, noise, t);
        Loss loss = mse(diffusion).loss(prediction, x0, xt, noise, t);
        Loss exact = mse(diffusion).loss(prediction.to(ScalarType.Float), x0, xt, noise, t);
        assertEquals(ScalarType.BFloat16, Tensors.dtype(loss.gradient()));
        assertEquals(ScalarType.Float, Tensors.dtype(loss.values()));
        assertArrayEquals(Tensors.toFloats(exact.values()), Tensors.toFloats(loss.values()));
    }

    @Test
    void theLossHasAGradientAlsoWhereGradientsAreOff() {
        Tensor x0 = random(1, 4), noise = random(2, 4), prediction = random(3, 8), t = timesteps();
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        Tensor xt = diffusion.noised(x0, noise, t);
        Tensor expected = mse(diffusion).loss(prediction, x0, xt, noise, t).gradient();
        try (NoGradGuard noGrad = new NoGradGuard()) {
            Tensor gradient = mse(diffusion).loss(prediction, x0, xt, noise, t).gradient();
            assertArrayEquals(Tensors.toFloats(expected), Tensors.toFloats(gradient));
        }
    }

    @Test
    void aTimestepSharedByAllRowsIsThatTimestepInEachRow() {
        Tensor x = random(1, 4), prediction = random(2, 8);
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        Tensor shared = GaussianDiffusion.shared(300, x), each = Tensors.of(new long[] {300, 300, 300, 300, 300}, 5);
        assertArrayEquals(new long[] {300}, Tensors.toLongs(diffusion.originalTimesteps(shared)));
        assertArrayEquals(
                Tensors.toFloats(
                        diffusion.pMeanVariance(prediction, x, each, true).mean()),
                Tensors.toFloats(
                        diffusion.pMeanVariance(prediction, x, shared, true).mean()));
    }

    @ParameterizedTest
    @EnumSource(Variance.class)
    void oneTimestepIsEnoughForEverything(Variance variance) {
        GaussianDiffusion diffusion = of(Prediction.NOISE, variance).spaced("1");
        Tensor x0 = random(1, 4), noise = random(2, 4), t = GaussianDiffusion.shared(0, x0);
        Tensor prediction = random(3, variance.isLearned() ? 8 : 4);
        Tensor xt = diffusion.noised(x0, noise, t);
        Moments p = diffusion.pMeanVariance(prediction, xt, t, true);
        Tensor loss = new HybridLoss(diffusion, LossType.KL)
                .loss(prediction, x0, xt, noise, t)
                .values();
        for (Tensor tensor : new Tensor[] {p.mean(), p.variance(), p.logVariance(), loss})
            for (double value : Tensors.toDoubles(tensor)) assertTrue(Double.isFinite(value));
        // the only step ends at the predicted image
        assertTrue(Golden.relativeError(p.x0(), p.mean()) < 1e-6);
    }

    @Test
    void aPredictionOfTheWrongSizeIsRefusedWithTheRightOne() {
        Tensor x = random(1, 4);
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        String message = assertThrows(
                        IllegalArgumentException.class, () -> diffusion.pMeanVariance(x, x, timesteps(), false))
                .getMessage();
        assertTrue(message.contains("[5, 4, 4, 4]") && message.contains("[5, 8, 4, 4]"), message);
        assertThrows(
                IllegalArgumentException.class, () -> diffusion.ddimStep(x, x, timesteps(), 1.5, x), "eta above 1");
        assertThrows(
                IllegalArgumentException.class,
                () -> GaussianDiffusion.of(new double[0], Prediction.X0, Variance.FIXED_SMALL));
    }

    @Test
    void everyOperationFreesAllButItsResult() {
        Tensor x0 = random(1, 4), noise = random(2, 4), prediction = random(3, 8), t = timesteps();
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        Condition rows = Condition.unconditional(5);
        // warm up: the tables of each spacing go to the device once
        diffusion.noised(x0, noise, t);
        BitsPerDim.of(diffusion.spaced("4"), StandIn.denoiser(), x0, rows, step -> noise, true);
        long before = NativeObjects.settled();
        try (TensorScope inner = new TensorScope()) {
            Tensor xt = diffusion.noised(x0, noise, t);
            assertEquals(before + 1, Pointer.totalCount());
            Loss loss = mse(diffusion).loss(prediction, x0, xt, noise, t);
            assertEquals(before + 5, Pointer.totalCount(), "xt, values, mse, vb, gradient");
            Moments p = diffusion.pMeanVariance(prediction, xt, t, false);
            diffusion.ancestralStep(p, t, noise);
            diffusion.ddimStep(p.x0(), xt, t, 0.5, noise);
            diffusion.ddimReverseStep(p.x0(), xt, t);
            diffusion.posterior(x0, xt, t);
            VariationalBound.prior(diffusion, x0);
            loss.mean();
            BitsPerDim.of(diffusion.spaced("4"), StandIn.denoiser(), x0, rows, step -> noise, true);
        }
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void bitsPerDimensionAreTheSumOfTheirTerms() {
        GaussianDiffusion diffusion = GaussianDiffusion.published().spaced("4");
        Tensor x0 = random(1, 4).tanh(), noise = random(2, 4);
        Condition rows = Condition.unconditional(5);
        BitsPerDim bits = BitsPerDim.of(diffusion, StandIn.denoiser(), x0, rows, step -> noise, true);
        assertArrayEquals(new long[] {5, 4}, bits.vb().shape());
        assertTrue(Golden.relativeError(bits.total(), bits.vb().sum(1).add(bits.prior())) < 1e-7);
    }

    @Test
    void spacingsAreKeptButNotForEver() {
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        GaussianDiffusion first = diffusion.spaced("10");
        assertSame(first, diffusion.spaced("10"));
        assertSame(first, first.spaced(" 10"));
        for (int steps = 11; steps < 200; steps++) diffusion.spaced(Integer.toString(steps));
        assertNotSame(first, diffusion.spaced("10"), "a server that is asked for every number does not keep them all");
    }
}
