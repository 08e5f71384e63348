package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.data.Batch;
import org.dit4j.data.BrokenLatents;
import org.dit4j.data.Dataset;
import org.dit4j.data.Glyphs;
import org.dit4j.data.RandomLatents;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    /** A small run; a test changes what it is about. */
    private static final class Setup {
        DiTConfig model = TINY;
        Dataset data = new Glyphs(3, 8);
        long seed = 7;
        int globalBatchSize = 8, microBatchSize = 8, numWorkers = 1, warmupSteps;
        double rate = 2e-3, clipNorm;
        EmaSchedule ema = new EmaSchedule(0.9, 0);
        boolean flip, bf16, fused, recompute;

        Trainer trainer() {
            return new Trainer(
                    new TrainConfig(
                            model,
                            DiffusionConfig.PUBLISHED,
                            seed,
                            globalBatchSize,
                            new LearningRate(rate, warmupSteps),
                            0,
                            clipNorm,
                            ema,
                            flip),
                    new Execution(
                            "cpu",
                            fused ? Precision.BF16 : bf16 ? Precision.AUTOCAST : Precision.FP32,
                            microBatchSize,
                            recompute,
                            numWorkers),
                    data);
        }

        float[] weightsAfter(int numSteps) throws IOException {
            try (Trainer trainer = trainer()) {
                steps(trainer, numSteps);
                return weights(trainer);
            }
        }

        double[] losses(int numSteps) throws IOException {
            double[] losses = new double[numSteps];
            try (Trainer trainer = trainer()) {
                for (int i = 0; i < numSteps; i++) {
                    trainer.step();
                    losses[i] = trainer.drainMeanLoss();
                }
            }
            return losses;
        }

        /** Mean loss of the last quarter of 60 steps over that of the first. */
        double lossRatio() throws IOException {
            double[] losses = losses(60);
            return Arrays.stream(losses, 45, 60).sum()
                    / Arrays.stream(losses, 0, 15).sum();
        }
    }

    private static void steps(Trainer trainer, int count) throws IOException {
        for (int i = 0; i < count; i++) trainer.step();
    }

    private static float[] weights(Trainer trainer) {
        return Tensors.toFloats(trainer.state().parameters().values());
    }

    /** Takes the weights away from their start, where most gradients are zero. */
    private static void scramble(Trainer trainer) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            torch.manual_seed(1);
            torch.normal_(trainer.state().parameters().values(), 0, 0.15);
        }
    }

    @Test
    void theSameSeedGivesTheSameWeightsToTheLastBit() throws IOException {
        Setup setup = new Setup();
        setup.flip = true;
        float[] weights = setup.weightsAfter(5);
        assertArrayEquals(weights, setup.weightsAfter(5));
        setup.seed = 8;
        assertFalse(Arrays.equals(weights, setup.weightsAfter(5)));
    }

    @Test
    void theNumberOfLoaderThreadsDoesNotMatter() throws IOException {
        Setup setup = new Setup();
        setup.flip = true;
        setup.numWorkers = 0;
        float[] weights = setup.weightsAfter(3);
        for (int workers : new int[] {1, 3}) {
            setup.numWorkers = workers;
            assertArrayEquals(weights, setup.weightsAfter(3), workers + " workers");
        }
    }

    /** A step's gradients and loss, from weights that are all at work. */
    private static double[] gradientsAndLoss(Setup setup) throws IOException {
        try (Trainer trainer = setup.trainer()) {
            scramble(trainer);
            trainer.step();
            double[] gradients = Tensors.toDoubles(trainer.state().parameters().gradients());
            double[] both = Arrays.copyOf(gradients, gradients.length + 1);
            both[gradients.length] = trainer.drainMeanLoss();
            return both;
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4})
    void microBatchesGiveTheGradientsOfTheWholeBatch(int microBatchSize) throws IOException {
        Setup setup = new Setup();
        double[] whole = gradientsAndLoss(setup);
        setup.microBatchSize = microBatchSize;
        // float32 sums in another order; a wrong weight of one micro-batch would give 0.1 and more
        double error = Golden.relativeError(whole, gradientsAndLoss(setup));
        assertTrue(error < 3e-6, "relative error " + error);
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void everyBlockDesignLearns(DiTBlock.Kind kind) throws IOException {
        Setup setup = new Setup();
        setup.model = TINY.withBlock(kind);
        double ratio = setup.lossRatio();
        assertTrue(ratio < 0.8, "the loss fell to " + ratio + " of its start only");
    }

    @Test
    void aModelWithoutClassesLearns() throws IOException {
        Setup setup = new Setup();
        setup.model = new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 0, 0, true, DiTBlock.Kind.ADALN_ZERO);
        double ratio = setup.lossRatio();
        assertTrue(ratio < 0.8, "the loss fell to " + ratio + " of its start only");
    }

    @Test
    void recomputationChangesRoundingOnly() throws IOException {
        Setup setup = new Setup();
        double[] expected = setup.losses(5);
        setup.recompute = true;
        double error = Golden.relativeError(expected, setup.losses(5));
        assertTrue(error < 1e-5, "relative error " + error);
    }

    @ParameterizedTest
    @ValueSource(strings = {"autocast", "recompute", "fused", "fused micro-batches"})
    void bfloat16LearnsTheSame(String variant) throws IOException {
        Setup setup = new Setup();
        double[] exact = setup.losses(30);
        setup.bf16 = true;
        setup.recompute = variant.equals("recompute");
        setup.fused = variant.startsWith("fused");
        if (variant.endsWith("micro-batches")) setup.microBatchSize = 4;
        double error = Golden.relativeError(exact, setup.losses(30));
        // bfloat16 keeps eight bits, so the losses agree to two digits, but never to seven
        assertTrue(error < 0.03 && error > 1e-6, "relative error " + error);
    }

    @Test
    void labelDropoutReplacesItsShareByTheNullLabel() {
        int count = 20_000;
        Setup setup = new Setup();
        try (Trainer trainer = setup.trainer()) {
            long[] given = new long[count], samples = new long[count];
            Arrays.setAll(given, i -> i % 10);
            Arrays.setAll(samples, i -> i);
            long[] labels = trainer.labels(new Batch(null, given, 0), samples);
            int dropped = 0;
            for (int i = 0; i < count; i++) {
                if (labels[i] == TINY.nullLabel()) dropped++;
                else assertEquals(given[i], labels[i]);
            }
            // five standard errors of a share of 0.1
            assertEquals(0.1, (double) dropped / count, 5 * Math.sqrt(0.1 * 0.9 / count));
            long[] alone = trainer.labels(new Batch(null, new long[] {given[77]}, 77), new long[] {77});
            assertEquals(labels[77], alone[0], "a sample's label does not depend on its batch");
            assertEquals(3, given[3], "the batch's own labels stay");
        }
    }

    @Test
    void withoutANullLabelNoLabelIsReplaced() {
        Setup setup = new Setup();
        setup.model = new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 10, 0, true, DiTBlock.Kind.ADALN_ZERO);
        try (Trainer trainer = setup.trainer()) {
            long[] given = new long[1000], samples = new long[1000];
            Arrays.setAll(given, i -> i % 10);
            Arrays.setAll(samples, i -> i);
            assertArrayEquals(given, trainer.labels(new Batch(null, given, 0), samples));
        }
    }

    @Test
    void aModelWithoutClassesIsGivenNoLabels() {
        Setup setup = new Setup();
        setup.model = new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 0, 0.1, true, DiTBlock.Kind.ADALN_ZERO);
        try (Trainer trainer = setup.trainer()) {
            assertNull(trainer.labels(new Batch(null, new long[] {1}, 0), new long[] {0}));
        }
    }

    @Test
    void clippingScalesLongGradientsToTheNormAndLeavesShortOnes() throws IOException {
        Setup setup = new Setup();
        double[] free = gradients(setup);
        double norm = norm(free);
        setup.clipNorm = norm / 3;
        double[] clipped = gradients(setup);
        assertEquals(norm / 3, norm(clipped), 1e-5 * norm);
        for (int i = 0; i < free.length; i++) free[i] /= 3;
        assertTrue(Golden.relativeError(free, clipped) < 1e-5, "the direction stays");
        setup.clipNorm = norm * 3;
        for (int i = 0; i < free.length; i++) free[i] *= 3;
        assertTrue(Golden.relativeError(free, gradients(setup)) < 1e-7, "short gradients stay");
    }

    private static double[] gradients(Setup setup) throws IOException {
        double[] both = gradientsAndLoss(setup);
        return Arrays.copyOf(both, both.length - 1);
    }

    private static double norm(double[] values) {
        return Math.sqrt(Arrays.stream(values).map(v -> v * v).sum());
    }

    @Test
    void theFirstStepOfAWarmUpIsThatOfASmallerRate() throws IOException {
        Setup setup = new Setup();
        float[] small = setup.weightsAfter(1);
        setup.rate *= 8;
        float[] large = setup.weightsAfter(1);
        setup.warmupSteps = 8;
        assertArrayEquals(small, setup.weightsAfter(1));
        assertFalse(Arrays.equals(small, large));
    }

    @Test
    void theAveragedNetworkFollowsTheTraining() throws IOException {
        try (Trainer trainer = new Setup().trainer()) {
            float[] average = weights(trainer);
            for (int step = 1; step <= 4; step++) {
                trainer.step();
                float[] weights = weights(trainer);
                for (int i = 0; i < average.length; i++) average[i] = 0.9f * average[i] + 0.1f * weights[i];
            }
            float[] actual = Tensors.toFloats(trainer.state().average());
            for (int i = 0; i < average.length; i++) assertEquals(average[i], actual[i], 1e-6);
            assertAveragedNetworkIsAViewOfTheAverage(trainer);
        }
    }

    private static void assertAveragedNetworkIsAViewOfTheAverage(Trainer trainer) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard();
                DiT copy = TINY.network()) {
            Map<String, Tensor> weights =
                    trainer.state().parameters().views(trainer.state().average());
            weights.put("pos_embed", StateDict.of(trainer.state().network()).get("pos_embed"));
            StateDict.load(copy, weights);
            Tensor x = torch.randn(2, 3, 8, 8),
                    t = Tensors.of(new long[] {10, 900}, 2),
                    y = Tensors.of(new long[] {0, 10}, 2);
            Tensor averaged = trainer.state().averagedNetwork().forward(x, t, y);
            assertTrue(torch.equal(copy.forward(x, t, y), averaged));
            assertFalse(torch.equal(trainer.state().network().forward(x, t, y), averaged));
            StateDict.of(trainer.state().averagedNetwork())
                    .forEach((name, tensor) -> assertFalse(tensor.requires_grad(), name + " is not trained"));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"plain", "micro-batches", "clip", "recompute", "bf16", "fused"})
    void aStepFreesWhatItMakes(String variant) throws IOException {
        Setup setup = new Setup();
        setup.microBatchSize = variant.equals("micro-batches") ? 2 : 8;
        setup.clipNorm = variant.equals("clip") ? 1 : 0;
        setup.recompute = variant.equals("recompute");
        setup.bf16 = variant.equals("bf16");
        setup.fused = variant.equals("fused");
        try (Trainer trainer = setup.trainer()) {
            steps(trainer, 2);
            trainer.drainMeanLoss();
            long before = NativeObjects.settled();
            steps(trainer, 2);
            trainer.drainMeanLoss();
            assertEquals(before, Pointer.totalCount());
        }
    }

    @Test
    void aClosedTrainerLeavesNothing() throws IOException {
        new Setup().losses(1);
        long before = NativeObjects.settled();
        new Setup().losses(1);
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void theDrainedLossIsTheMeanOfTheStepsSinceTheLast() throws IOException {
        Setup setup = new Setup();
        double[] losses = setup.losses(3);
        try (Trainer trainer = setup.trainer()) {
            assertTrue(Double.isNaN(trainer.drainMeanLoss()), "no step, no loss");
            trainer.step();
            assertEquals(losses[0], trainer.drainMeanLoss());
            steps(trainer, 2);
            assertEquals((losses[1] + losses[2]) / 2, trainer.drainMeanLoss(), 1e-6);
            assertTrue(Double.isNaN(trainer.drainMeanLoss()));
            assertEquals(3, trainer.steps());
            assertEquals(24, trainer.state().trainedImages());
        }
    }

    /** Pictures that are not numbers for some samples. */
    private static Dataset brokenAt(long... samples) {
        return new BrokenLatents(Arrays.stream(samples).boxed().toList());
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 1})
    void aStepWithoutAFiniteLossIsCountedAndChangesNothing(double clipNorm) throws IOException {
        Setup setup = new Setup();
        setup.data = brokenAt(19); // in the third batch of eight
        setup.clipNorm = clipNorm;
        try (Trainer trainer = setup.trainer()) {
            steps(trainer, 2);
            double loss = trainer.drainMeanLoss();
            float[] weights = weights(trainer),
                    average = Tensors.toFloats(trainer.state().average());
            float[] second = Tensors.toFloats(trainer.state().secondMoments());
            trainer.step();
            assertTrue(Double.isFinite(loss) && Double.isNaN(trainer.drainMeanLoss()));
            assertEquals(1, trainer.skippedSteps());
            assertEquals(1, trainer.skippedInARow());
            assertArrayEquals(weights, weights(trainer));
            assertArrayEquals(average, Tensors.toFloats(trainer.state().average()));
            assertArrayEquals(second, Tensors.toFloats(trainer.state().secondMoments()));
            assertEquals(2, trainer.state().stepCount().item_double());
            steps(trainer, 2);
            assertTrue(Double.isFinite(trainer.drainMeanLoss()));
            assertEquals(1, trainer.skippedSteps());
            assertEquals(0, trainer.skippedInARow());
            assertTrue(Double.isFinite(trainer.gradientNorm()));
            assertEquals(4, trainer.state().stepCount().item_double());
            assertFalse(Arrays.equals(weights, weights(trainer)));
        }
    }

    @Test
    void aSkippedStepIsNotInTheMeanLoss() throws IOException {
        Setup setup = new Setup();
        setup.data = brokenAt();
        double[] losses = setup.losses(2);
        setup.data = brokenAt(19);
        try (Trainer trainer = setup.trainer()) {
            steps(trainer, 3);
            assertEquals((losses[0] + losses[1]) / 2, trainer.drainMeanLoss(), 1e-6);
        }
    }

    @Test
    void weightsThatAreNoNumbersSkipEveryStep() throws IOException {
        try (Trainer trainer = new Setup().trainer()) {
            trainer.step();
            try (TensorScope scope = new TensorScope()) {
                trainer.state().parameters().values().fill_(new Scalar(Float.NaN));
            }
            steps(trainer, 3);
            trainer.drainMeanLoss();
            assertEquals(3, trainer.skippedInARow());
        }
    }

    private static String refusal(DiTConfig model, Dataset data) {
        Setup setup = new Setup();
        setup.model = model;
        setup.data = data;
        return assertThrows(IllegalArgumentException.class, setup::trainer).getMessage();
    }

    @Test
    void dataThatDoNotFitTheModelAreRefused() {
        assertEquals(
                "the data are 3×16×16 (channels, height, width), the model takes 3×8×8",
                refusal(TINY, new Glyphs(3, 16)));
        assertEquals(
                "the data are 1×8×8 (channels, height, width), the model takes 3×8×8",
                refusal(TINY, new RandomLatents(1, 8, 8, 10)));
        assertEquals(
                "the data have 11 classes, the model 10; it needs at least as many",
                refusal(TINY, new RandomLatents(3, 8, 8, 11)));
    }

    @Test
    void aModelMayHaveMoreClassesThanTheData() throws IOException {
        Setup setup = new Setup();
        setup.data = new RandomLatents(3, 8, 8, 4);
        assertEquals(1, setup.losses(1).length);
    }
}
