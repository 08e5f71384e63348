package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Instant;
import java.util.Collections;
import java.util.TreeSet;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.data.Dataset;
import org.dit4j.data.Glyphs;
import org.dit4j.data.Subset;
import org.dit4j.diffusion.Coefficient;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;

class ValidationTest {
    private static final Dataset GLYPHS = new Glyphs(3, 8);
    private static final int SIZE = 3 * 8 * 8;

    private static Validation of(int numItems) {
        return new Validation(Subset.heldOut(GLYPHS, numItems, 1));
    }

    private Trainer trainer(Prediction prediction) {
        TrainConfig config = TrainConfig.published(Tiny.MODEL);
        DiTConfig model = config.model();
        DiTConfig fixed = new DiTConfig(8, 8, 2, 3, 12, 1, 2, 2, 10, model.labelDropout(), false, model.block());
        DiffusionConfig diffusion = DiffusionConfig.of(NoiseSchedule.LINEAR, 1000, prediction, Variance.FIXED_SMALL);
        TrainConfig other = new TrainConfig(fixed, diffusion, 1, 8, config.learningRate(), 0, 0, config.ema(), false);
        return new Trainer(other, new Execution("cpu", Precision.FP32, 8, false, 0), GLYPHS);
    }

    private static float[] pixels(Validation validation, int draw) throws IOException {
        float[] pixels = new float[SIZE];
        validation.data().pixels(validation.item(draw), pixels, 0);
        return pixels;
    }

    /** What the validation adds to a draw, from its documentation. */
    private static float[] noise(int draw) {
        float[] noise = new float[SIZE];
        Noise.normal(0, Purpose.TRAINING_NOISE, 1, draw, noise, 0, SIZE);
        return noise;
    }

    /** Where a draw is in its stratum, from the documentation. */
    private static int timestep(Validation validation, int draw, int numTimesteps) {
        double place = draw + Noise.uniform(0, Purpose.TIMESTEP, 1, draw);
        return (int) (place * numTimesteps / validation.numDraws());
    }

    private static double meanSquare(float[] values) {
        double sum = 0;
        for (float value : values) sum += (double) value * value;
        return sum / values.length;
    }

    @Test
    void aPredictorThatKnowsThePictureHasNoLoss() throws IOException {
        Validation validation = of(30);
        try (Trainer trainer = trainer(Prediction.X0)) {
            int[] next = {0};
            double[] losses = validation.losses(trainer, (xt, timesteps, labels) -> {
                int count = (int) xt.size(0);
                float[] pictures = new float[count * SIZE];
                for (int row = 0; row < count; row++, next[0]++) {
                    assertEquals(timestep(validation, next[0], 1000), Tensors.toLongs(timesteps)[row]);
                    assertEquals(validation.data().label(validation.item(next[0])), Tensors.toLongs(labels)[row]);
                    System.arraycopy(picture(validation, next[0]), 0, pictures, row * SIZE, SIZE);
                }
                return Tensors.of(pictures, count, 3, 8, 8);
            });
            assertArrayEquals(new double[270], losses, "nine passes over 30 items are the first with 250 draws");
        }
    }

    private static float[] picture(Validation validation, int draw) {
        try {
            return pixels(validation, draw);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aPredictorOfZerosHasTheMeanSquareOfWhatItShouldPredict() throws IOException {
        Validation validation = of(300);
        try (Trainer noise = trainer(Prediction.NOISE);
                Trainer x0 = trainer(Prediction.X0)) {
            double[] ofNoise = validation.losses(noise, (xt, timesteps, labels) -> torch.zeros_like(xt));
            double[] ofX0 = validation.losses(x0, (xt, timesteps, labels) -> torch.zeros_like(xt));
            assertEquals(300, ofNoise.length);
            for (int draw = 0; draw < 300; draw++) {
                assertEquals(meanSquare(noise(draw)), ofNoise[draw], 1e-5, "draw " + draw);
                assertEquals(meanSquare(pixels(validation, draw)), ofX0[draw], 1e-5, "draw " + draw);
            }
        }
    }

    @Test
    void aFreshNetworkPredictsZerosAndSoHasTheSameLoss() throws IOException {
        Validation validation = of(300);
        try (Trainer trainer = trainer(Prediction.NOISE)) {
            ValidationLosses losses = validation.losses(trainer);
            double mean = 0;
            for (int draw = 0; draw < 300; draw++) mean += meanSquare(noise(draw)) / 300;
            assertEquals(mean, losses.loss(), 1e-5);
            assertEquals(10, losses.buckets().size());
            assertEquals(300, losses.numItems());
            for (int bucket = 0; bucket < 10; bucket++) {
                double expected = 0;
                for (int draw = 30 * bucket; draw < 30 * (bucket + 1); draw++) expected += meanSquare(noise(draw)) / 30;
                assertEquals(expected, losses.buckets().get(bucket), 1e-5, "30 draws fall into each tenth");
            }
        }
    }

    @Test
    void theLossIsThatOfTheAveragedNetwork() throws IOException {
        Validation validation = of(250);
        TrainConfig config = TrainConfig.published(Tiny.MODEL) // with a learned variance
                .withGlobalBatchSize(4)
                .withLearningRate(new LearningRate(2e-3, 5))
                .withEma(new EmaSchedule(0.99, 0.05));
        try (Trainer trainer = new Trainer(config, Tiny.EXECUTION, GLYPHS)) {
            for (int step = 0; step < 20; step++) trainer.step();
            double[] losses = validation.losses(trainer, trainer::predictAveraged);
            double[] alphaCumprod = GaussianDiffusion.published().table(Coefficient.ALPHA_CUMPROD);
            for (int draw : new int[] {0, 1, 100, 249})
                try (TensorScope scope = new TensorScope();
                        NoGradGuard noGrad = new NoGradGuard()) {
                    int t = timestep(validation, draw, 1000);
                    float[] x0 = pixels(validation, draw), noise = noise(draw), xt = new float[SIZE];
                    for (int i = 0; i < SIZE; i++)
                        xt[i] = (float)
                                (Math.sqrt(alphaCumprod[t]) * x0[i] + Math.sqrt(1 - alphaCumprod[t]) * noise[i]);
                    Tensor noisy = Tensors.of(xt, 1, 3, 8, 8), timestep = Tensors.of(new long[] {t}, 1);
                    long[] label = {validation.data().label(validation.item(draw))};
                    Device device = Backend.device(trainer.execution().device());
                    Tensor prediction = Tensors.to(
                            trainer.state()
                                    .averagedNetwork()
                                    .forward(
                                            Tensors.to(noisy, device),
                                            Tensors.to(timestep, device),
                                            Tensors.to(Tensors.of(label, 1), device)),
                            Backend.device("cpu"));
                    float[] both = Tensors.toFloats(prediction);
                    double mse = 0;
                    for (int i = 0; i < SIZE; i++) mse += Math.pow(noise[i] - both[i], 2) / SIZE;
                    var loss = trainer.objective()
                            .loss(
                                    prediction,
                                    Tensors.of(x0, 1, 3, 8, 8),
                                    noisy,
                                    Tensors.of(noise, 1, 3, 8, 8),
                                    timestep);
                    assertEquals(mse, Tensors.toDoubles(loss.mse())[0], 1e-5);
                    assertEquals(Tensors.toDoubles(loss.values())[0], losses[draw], 1e-4 * losses[draw] + 1e-6);
                }
        }
    }

    @Test
    void timestepsAreSpreadEvenlyAndBucketsCutThemEvenly() {
        for (int numItems : new int[] {1, 7, 100, 250, 999, 2000}) {
            Validation validation = of(numItems);
            int draws = validation.numDraws();
            assertTrue(draws >= 250 && draws % numItems == 0);
            for (int numTimesteps : new int[] {1, 10, 1000}) {
                for (int draw = 0; draw < draws; draw++) {
                    int t = timestep(validation, draw, numTimesteps);
                    assertTrue(t >= (long) draw * numTimesteps / draws, "not before its stratum");
                    assertTrue(t <= (draw + 1L) * numTimesteps / draws && t < numTimesteps, "not after it");
                }
            }
            TreeSet<Long> pass = new TreeSet<>();
            for (int draw = 0; draw < numItems; draw++) pass.add(validation.item(draw));
            assertEquals(numItems, pass.size(), "each item once in a pass");
        }
        for (int numTimesteps : new int[] {10, 15, 999, 1000}) {
            ValidationLosses losses =
                    new ValidationLosses(1, 0, Collections.nCopies(10, 0.0), numTimesteps, 1, Instant.EPOCH, 0);
            for (int t = 0; t < numTimesteps; t++) {
                int bucket = t * 10 / numTimesteps;
                assertTrue(losses.firstTimestep(bucket) <= t && t < losses.firstTimestep(bucket + 1));
            }
            assertEquals(numTimesteps, losses.firstTimestep(10));
        }
    }
}
