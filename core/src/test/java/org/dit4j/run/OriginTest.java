package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.checkpoint.Surgery;
import org.dit4j.data.Glyphs;
import org.dit4j.data.LatentsHeader;
import org.dit4j.data.RandomLatents;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.train.Trainer;
import org.dit4j.vae.LatentScaling;
import org.dit4j.vae.LatentSpace;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs that begin with trained weights. The state of the published script is in {@link InitialStateGoldenTest}. */
class OriginTest {
    @TempDir
    private Path folder;

    private Path weights;
    private TinyRun tiny;

    /** Weights for latents of 4 × 4 and six classes; the run is on pictures of 8 × 8 in ten. */
    @BeforeEach
    void write() throws IOException {
        weights = folder.resolve("weights.safetensors");
        write(1);
        tiny = new TinyRun(folder.resolve("results"));
        tiny.data = new Glyphs(3, 8);
        tiny.maxSteps = 8;
        tiny.origin = Origin.trainedWeights(weights);
    }

    private void write(long seed) throws IOException {
        DiTConfig model =
                new TinyRun(folder).config().model().withInputSize(4, 4).withClasses(6, 0.1);
        Backend.load();
        torch.manual_seed(seed);
        try (DiT network = model.network()) {
            DiTCheckpoint.write(weights, network, List.of(), DiffusionConfig.PUBLISHED, "");
        }
    }

    @Test
    void trainedWeightsBecomeTheNetworksAndTheAveragesWithFreshClassesAndStretchedPositions() throws IOException {
        InitialState state = tiny.origin.open(tiny.config(), tiny.data);
        assertEquals(
                List.of(
                        "begins with the weights of " + weights,
                        "10 classes here, 6 in the file: fresh rows for all",
                        "input of 8×8 here, 4×4 in the file: positions interpolated"),
                state.notes());
        try (Trainer trainer = Trainer.begin(tiny.config(), tiny.execution(), tiny.data, state.steps(), state::load);
                TensorScope scope = new TensorScope()) {
            assertEquals(0, trainer.steps());
            torch.manual_seed(tiny.seed);
            DiT fitted = Surgery.fitted(
                    Checkpoints.open(weights, OpenOptions.DEFAULT),
                    tiny.config().model());
            Map<String, Tensor> expected = StateDict.of(fitted);
            for (DiT network :
                    List.of(trainer.state().network(), trainer.state().averagedNetwork()))
                StateDict.of(network).forEach((name, tensor) -> assertTrue(tensor.equal(expected.get(name)), name));
            fitted.close();
        }
    }

    @Test
    void latentsOfAnotherAutoencoderThanTheWeightsKnowAreNoted() throws IOException {
        String note =
                "the data are latents of another autoencoder, or scaled otherwise, than those that the weights know";
        DiTWeights known = Checkpoints.open(weights, OpenOptions.DEFAULT);
        DiTDescription of = known.description()
                .withLatents(Optional.of(new LatentSpace("a".repeat(64), new LatentScaling(0.5, 0))), Optional.empty());
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(weights, known.read(), of.metadata());
        }
        for (double scale : new double[] {0.5, 0.25})
            for (String digest : List.of("a", "b")) {
                LatentsHeader header =
                        new LatentsHeader(digest.repeat(64), scale, 0, 64, 64, 3, 8, 8, false, tiny.data.classNames());
                InitialState state =
                        tiny.origin.open(tiny.config(), new RandomLatents(3, 8, 8, 10, Optional.of(header)));
                assertEquals(scale != 0.5 || digest.equals("b"), state.notes().contains(note), digest + " " + scale);
            }
    }

    @Test
    void aRunThatBeganWithWeightsGoesOnWithoutThemToTheLastBit() throws IOException {
        RunFolder whole = tiny.train();
        TinyRun stopped = new TinyRun(folder.resolve("stopped"));
        stopped.maxSteps = 8;
        stopped.origin = tiny.origin;
        stopped.trainAndStopAt(5);
        Files.move(weights, weights.resolveSibling("elsewhere"));
        TinyRun.assertSame(whole, stopped.train());
        assertEquals(List.of("000-tiny"), TinyRun.names(stopped.results));
        try (TensorScope scope = new TensorScope()) {
            // the interpolated table is nowhere but in the checkpoint
            Path last = CheckpointFolder.latest(whole.checkpoints()).orElseThrow();
            Tensor table = Safetensors.read(last.resolve(CheckpointFolder.EMA)).get("pos_embed");
            assertFalse(
                    table.equal(StateDict.of(tiny.config().model().network()).get("pos_embed")));
        }
    }

    @Test
    void otherBytesUnderTheSameNameBeginAnotherRunAndTheSameOnesDoNot() throws IOException {
        RunFolder first = tiny.train();
        Path copy = Files.copy(weights, folder.resolve("copy"));
        Files.move(copy, weights, StandardCopyOption.REPLACE_EXISTING);
        Files.setLastModifiedTime(weights, FileTime.fromMillis(1)); // so that the bytes are compared
        assertEquals(first, tiny.folder());
        write(2);
        RunFolder second = tiny.folder();
        assertFalse(first.equals(second));
        // and a run from fresh weights is neither
        tiny.origin = Origin.FRESH;
        RunFolder fresh = tiny.folder();
        assertFalse(fresh.equals(first) || fresh.equals(second));
        // the second has no checkpoint yet, and must not begin with something else
        write(3);
        Cadence cadence = tiny.cadence;
        IOException refused =
                assertThrows(FormatException.class, () -> TrainingRun.open(second, tiny.plan(), tiny.data));
        assertTrue(refused.getMessage().contains("is not the file any more"), refused.getMessage());
        Files.delete(weights);
        assertThrows(NoSuchFileException.class, () -> TrainingRun.open(second, tiny.plan(), tiny.data));
    }

    @Test
    void aRunFolderOpensWithWhatItRecordsWhateverTheFlagsSay() throws IOException {
        RunFolder folder = tiny.folder();
        tiny.origin = Origin.FRESH;
        try (TrainingRun run = TrainingRun.open(folder, tiny.plan(), tiny.data)) {
            assertEquals(3, run.origin().size());
        }
        String log = Files.readString(folder.log());
        assertTrue(log.contains("Origin: begins with the weights of " + weights), log);
    }
}
