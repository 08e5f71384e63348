package org.dit4j.train;

import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.data.RandomLatents;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Optimisation steps on recorded batches by the published training script in PyTorch 2.11 on a CPU: the real trainer is given the same
 * images, noise, timesteps and labels. The files are too big for the small set.
 */
@ExtendWith(Golden.Cases.class)
class TrainingGoldenTest {
    private static final String BATCHES = "training/batches.safetensors";

    /** The network's float32 rounding (5e-6), and that of the steps before, which Adam turns into other weights. */
    private static final double LOSS = 1e-5;
    /**
     * Adam divides by the gradient's own size: where the true gradient is zero, as for the bias of the attention's keys, rounding decides
     * the direction of whole steps. It is a small part of the vector.
     */
    private static final double WEIGHTS = 5e-5;
    /** The average has taken in a part of those steps, and their directions cancel in it. */
    private static final double AVERAGE = 1e-5;

    private TensorScope scope;
    private Map<String, Tensor> batches;
    private Recipe recipe;

    @BeforeEach
    void open() {
        scope = new TensorScope();
        batches = Golden.tensors(BATCHES);
        recipe = Recipe.parse(Golden.metadata(BATCHES).get("recipe"));
    }

    @AfterEach
    void close() {
        scope.close();
    }

    /** What the metadata say, such as "start: transformer/p2 weights; … AdamW lr 1e-3 betas .9 .999 eps 1e-8 wd 0; ema decay 0.99, …". */
    private record Recipe(String start, double learningRate, double weightDecay, double emaDecay) {
        static Recipe parse(String text) {
            assertNotNull(text, BATCHES + " has no recipe in its metadata");
            assertTrue(text.contains("no label dropout"), "the trainer is given the labels as they are: " + text);
            assertTrue(text.contains("ema starts as a copy"), "the average starts as a copy: " + text);
            assertEquals(0.9, number(text, "betas NUMBER "), "β₁ of AdamW is fixed: " + text);
            assertEquals(0.999, number(text, "betas \\S+ NUMBER\\b"), "β₂ of AdamW is fixed: " + text);
            assertEquals(1e-8, number(text, "\\beps NUMBER\\b"), "ε of AdamW is fixed: " + text);
            return new Recipe(
                    found(text, "start: (\\S+) weights"),
                    number(text, "\\blr NUMBER\\b"),
                    number(text, "\\bwd NUMBER\\b"),
                    number(text, "\\bema decay NUMBER\\b"));
        }

        private static double number(String text, String pattern) {
            return Double.parseDouble(found(text, pattern.replace("NUMBER", "([0-9.]+(?:e[-+]?[0-9]+)?)")));
        }

        private static String found(String text, String pattern) {
            Matcher matcher = Pattern.compile(pattern).matcher(text);
            assertTrue(matcher.find(), "the recipe has nothing like \"" + pattern + "\": " + text);
            return matcher.group(1);
        }
    }

    /** What came of a run: the loss of every step, and the final weights, by name. */
    private record Run(Tensor losses, Map<String, Tensor> weights, Map<String, Tensor> average) {}

    private Run train(DiTConfig model, DiffusionConfig diffusion, Map<String, Tensor> start, Recipe recipe) {
        int numSteps = (int) batches.get("x").size(0),
                batchSize = (int) batches.get("x").size(1);
        TrainConfig config = new TrainConfig(
                model,
                diffusion,
                0,
                batchSize,
                new LearningRate(recipe.learningRate(), 0),
                recipe.weightDecay(),
                0,
                new EmaSchedule(recipe.emaDecay(), 0),
                false);
        var data = new RandomLatents(model.inChannels(), model.inputHeight(), model.inputWidth(), model.numClasses());
        double[] losses = new double[numSteps];
        try (Trainer trainer = new Trainer(config, new Execution("cpu", Precision.FP32, batchSize, false, 0), data)) {
            StateDict.load(trainer.state().network(), start);
            trainer.state().average().copy_(trainer.state().parameters().values()); // starts as a copy
            for (int i = 0; i < numSteps; i++) {
                learn(trainer, i);
                losses[i] = trainer.drainMeanLoss();
            }
            return new Run(
                    Tensors.of(losses, numSteps),
                    copies(StateDict.of(trainer.state().network())),
                    copies(StateDict.of(trainer.state().averagedNetwork())));
        }
    }

    private void learn(Trainer trainer, int step) {
        trainer.state().begin();
        trainer.accumulate(recorded("x", step), recorded("noise", step), recorded("t", step), recorded("y", step));
        trainer.state().update();
    }

    private Tensor recorded(String what, int step) {
        return batches.get(what).select(0, step);
    }

    private static Map<String, Tensor> copies(Map<String, Tensor> tensors) {
        Map<String, Tensor> copies = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> copies.put(name, tensor.clone()));
        return copies;
    }

    private static Tensor vector(Map<String, Tensor> tensors, Predicate<String> which) {
        Map<String, Tensor> sorted = new TreeMap<>(tensors); // files and networks keep different orders
        sorted.keySet().removeIf(which.negate());
        return Tensors.cat(
                0, sorted.values().stream().map(tensor -> tensor.reshape(-1)).toArray(Tensor[]::new));
    }

    private static Tensor vector(Map<String, Tensor> tensors) {
        return vector(tensors, name -> true);
    }

    private Run publishedRun(Recipe recipe) {
        Map<String, Tensor> start = Golden.tensors(recipe.start() + "/weights.safetensors");
        return train(
                Golden.model(recipe.start() + "/config.json").withLearnSigma(true),
                DiffusionConfig.PUBLISHED,
                start,
                recipe);
    }

    @Test
    void theTrainerTakesTheStepsOfThePublishedScript() {
        Run run = publishedRun(recipe);
        Tensor losses = batches.get("losses");
        for (long i = 0; i < losses.size(0); i++)
            assertClose(
                    "loss of step " + i, losses.narrow(0, i, 1), run.losses().narrow(0, i, 1), LOSS);
        Map<String, Tensor> weights = Golden.tensors("training/final.safetensors");
        Map<String, Tensor> average = Golden.tensors("training/final_ema.safetensors");
        assertEquals(weights.keySet(), new TreeMap<>(run.weights()).keySet());
        assertClose("final weights", vector(weights), vector(run.weights()), WEIGHTS);
        assertClose("final average", vector(average), vector(run.average()), AVERAGE);
        System.out.printf(
                "40 steps: losses %.1e, weights %.1e, EMA %.1e%n",
                Golden.relativeError(losses, run.losses()),
                Golden.relativeError(vector(weights), vector(run.weights())),
                Golden.relativeError(vector(average), vector(run.average())));
    }

    @Test
    void anotherWeightDecayIsRejected() {
        double wrong = recipe.weightDecay() + 0.01; // 0.01 is the default of PyTorch's AdamW
        Run run = publishedRun(new Recipe(recipe.start(), recipe.learningRate(), wrong, recipe.emaDecay()));
        Map<String, Tensor> weights = Golden.tensors("training/final.safetensors");
        assertRejected("weight decay " + wrong, vector(weights), vector(run.weights()), WEIGHTS);
    }

    @Test
    void anotherDecayOfTheAverageIsRejected() {
        double wrong = 1 - (1 - recipe.emaDecay()) / 10;
        Run run = publishedRun(new Recipe(recipe.start(), recipe.learningRate(), recipe.weightDecay(), wrong));
        Map<String, Tensor> average = Golden.tensors("training/final_ema.safetensors");
        assertRejected("EMA decay " + wrong, vector(average), vector(run.average()), AVERAGE);
    }

    @Test
    void theLossOfAFixedVarianceIsRejected() {
        DiTConfig model = Golden.model(recipe.start() + "/config.json").withLearnSigma(false);
        Map<String, Tensor> start = Golden.tensors(recipe.start() + "/weights.safetensors");
        // of the last layer, only the rows that predict the noise: the channel is the fastest index of a row
        for (String name : new String[] {"final_layer.linear.weight", "final_layer.linear.bias"}) {
            Tensor both = start.get(name);
            Tensor perPixel = both.view(-1, 2L * model.inChannels(), both.numel() / both.size(0));
            long[] shape = both.shape();
            shape[0] /= 2;
            start.put(name, perPixel.narrow(1, 0, model.inChannels()).reshape(shape));
        }
        DiffusionConfig fixed = DiffusionConfig.of(NoiseSchedule.LINEAR, 1000, Prediction.NOISE, Variance.FIXED_SMALL);
        Run run = train(model, fixed, start, recipe);
        for (long i = 0; i < run.losses().size(0); i++)
            assertRejected(
                    "loss of step " + i + " with a fixed variance",
                    batches.get("losses").narrow(0, i, 1),
                    run.losses().narrow(0, i, 1),
                    LOSS);
        Predicate<String> before = name -> !name.startsWith("final_layer.linear");
        Map<String, Tensor> weights = Golden.tensors("training/final.safetensors");
        assertRejected(
                "weights trained with a fixed variance",
                vector(weights, before),
                vector(run.weights(), before),
                WEIGHTS);
    }
}
