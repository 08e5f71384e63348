package org.dit4j.run;

import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.OfficialCheckpoint;
import org.dit4j.checkpoint.OfficialTraining;
import org.dit4j.checkpoint.Retention;
import org.dit4j.checkpoint.Weights;
import org.dit4j.data.Dataset;
import org.dit4j.data.RandomLatents;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.Snapshot;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A training checkpoint of the published script (PyTorch 2.11), gone on from. */
@ExtendWith(Golden.Cases.class)
class InitialStateGoldenTest {
    private static final String FILE = "checkpoints/train.pt";
    /** The fused optimiser computes in float32, the expectation in float64; a step moves weights by a thousandth. */
    private static final double ROUNDING = 1e-7;

    private static final Execution EXECUTION = new Execution("cpu", Precision.FP32, 4, false, 0);

    private static Trainer begin(TrainConfig config, Dataset data, InitialState state) throws IOException {
        return Trainer.begin(config, EXECUTION, data, state.steps(), state::load);
    }

    private static TrainConfig config() throws IOException {
        DiTConfig model = OfficialCheckpoint.read(Golden.path(FILE), Weights.MODEL, OptionalInt.of(4))
                .description()
                .model();
        return new TrainConfig(
                model,
                DiffusionConfig.PUBLISHED,
                0,
                4,
                new LearningRate(2e-3, 0),
                0,
                0,
                new EmaSchedule(0.99, 0),
                false);
    }

    private static Dataset data(DiTConfig model) {
        return new RandomLatents(model.inChannels(), model.inputHeight(), model.inputWidth(), model.numClasses());
    }

    @Test
    void theNextStepIsAdamWsFromTheMomentsWeightsAndStepsOfTheFile() throws IOException {
        Path file = Golden.path(FILE);
        TrainConfig config = config();
        InitialState state = InitialState.ofPublished(file, config);
        try (TensorScope scope = new TensorScope();
                Trainer trainer = begin(config, data(config.model()), state)) {
            OfficialTraining given = OfficialTraining.read(file, config.model());
            long steps = given.steps();
            assertEquals(steps, trainer.steps());
            assertEquals(steps * config.globalBatchSize(), trainer.state().trainedImages());
            Map<String, Tensor> weights = given.model().read(),
                    average = given.ema().read();
            Map<String, Tensor> moments = given.readMoments();
            Map<String, Tensor> network = StateDict.of(trainer.state().network()),
                    ema = StateDict.of(trainer.state().averagedNetwork());
            network.forEach((name, tensor) -> assertTrue(tensor.equal(weights.get(name)), name));
            ema.forEach((name, tensor) -> assertTrue(tensor.equal(average.get(name)), name));

            trainer.step();

            trainer.state()
                    .parameters()
                    .views(trainer.state().parameters().gradients())
                    .forEach((name, gradient) -> {
                        Tensor first = moments.get("exp_avg." + name), second = moments.get("exp_avg_sq." + name);
                        Tensor stepped = stepped(weights.get(name), gradient, first, second, steps + 1);
                        assertClose(name, stepped, network.get(name), ROUNDING);
                        Tensor averaged = average.get(name)
                                .to(ScalarType.Double)
                                .mul(new Scalar(0.99))
                                .add(stepped.mul(new Scalar(0.01)));
                        assertClose("average of " + name, averaged, ema.get(name), ROUNDING);
                        if (name.equals("blocks.0.mlp.fc1.weight")) {
                            Tensor forgotten = stepped(weights.get(name), gradient, first, second, 1);
                            assertRejected("a step count that begins again", forgotten, network.get(name), ROUNDING);
                        }
                    });
        }
    }

    /** The published script averages the position table too, and rounds it. */
    @Test
    void theAveragesOwnPositionsComeThroughACheckpoint(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("train.pt");
        TrainConfig config = config();
        Dataset data = data(config.model());
        try (TensorScope scope = new TensorScope()) {
            Map<Object, Object> root = new LinkedHashMap<>((Map<?, ?>) TorchFile.read(Golden.path(FILE)));
            root.remove("args");
            Tensor positions = (Tensor) ((Map<?, ?>) root.get("ema")).get("pos_embed");
            positions.mul_(new Scalar(1.0001));
            TorchFile.write(file, root);
            Path checkpoint;
            try (Trainer trainer = begin(config, data, InitialState.ofPublished(file, config));
                    Snapshot snapshot = new Snapshot(
                            trainer.state(), new DiTDescription(config.model(), List.of(), config.diffusion(), ""))) {
                snapshot.take(Map.of());
                checkpoint = snapshot.save(folder, new Retention(1, 0));
            }
            try (Trainer resumed = Trainer.resume(config, EXECUTION, data, checkpoint)) {
                Golden.ran();
                Tensor network = StateDict.of(resumed.state().network()).get("pos_embed");
                Tensor average = StateDict.of(resumed.state().averagedNetwork()).get("pos_embed");
                assertTrue(average.equal(positions));
                assertFalse(network.equal(average));
            }
        }
    }

    /** AdamW without weight decay (Loshchilov and Hutter 2019, algorithm 2) in float64. */
    private static Tensor stepped(Tensor weight, Tensor gradient, Tensor first, Tensor second, long step) {
        Tensor g = gradient.to(ScalarType.Double);
        Tensor m = first.to(ScalarType.Double).mul(new Scalar(0.9)).add(g.mul(new Scalar(0.1)));
        Tensor v =
                second.to(ScalarType.Double).mul(new Scalar(0.999)).add(g.mul(g).mul(new Scalar(0.001)));
        Tensor direction = m.div(new Scalar(1 - Math.pow(0.9, step)))
                .div(v.div(new Scalar(1 - Math.pow(0.999, step))).sqrt().add(new Scalar(1e-8)));
        return weight.to(ScalarType.Double).sub(direction.mul(new Scalar(2e-3)));
    }

    @Test
    void whatTheFileSaysOtherwiseIsReported() throws IOException {
        TrainConfig config = config();
        List<String> notes = InitialState.ofPublished(Golden.path(FILE), config).notes();
        OfficialTraining given = OfficialTraining.read(Golden.path(FILE), config.model());
        Golden.ran();
        assertTrue(notes.get(0).contains("step " + given.steps() + " of the published script"), notes.toString());
        assertTrue(
                notes.contains("learning rate is 0.002 here, "
                        + given.hyperParameters().get("lr") + " in the file"),
                notes.toString());
        assertTrue(
                notes.contains(
                        "global batch size is 4 here, " + given.args().get("global_batch_size") + " in the file"),
                notes.toString());
        assertEquals(3, notes.size(), notes.toString());
    }

    @Test
    void anotherModelIsRefusedByItsShapes() throws IOException {
        DiTConfig model = config().model();
        for (DiTConfig other : List.of(model.withPatchSize(4), DiTConfig.of("DiT-S/2"))) {
            Golden.ran();
            String message = assertThrows(FormatException.class, () -> OfficialTraining.read(Golden.path(FILE), other))
                    .getMessage();
            assertTrue(message.contains("x_embedder.proj.weight is " + "[" + model.hiddenSize()), message);
        }
    }
}
