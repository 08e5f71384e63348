package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.DiTShapes;
import org.dit4j.io.Safetensors;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs that begin with what others trained. */
class TakeOverTest {
    @TempDir
    private static Path folder;

    @TempDir
    private Path results;

    /** After three steps, and after five. */
    private static Path three, five;

    /** A checkpoint of the published training script with the state after three steps. */
    private static Path official;

    @BeforeAll
    static void trainAndWrite() throws IOException {
        Path run = TinyRun.train(folder.resolve("whole"), "--max-steps=5", "--ckpt-every=3", "--sample-every=0");
        three = run.resolve("checkpoints/step-0000003");
        five = run.resolve("checkpoints/step-0000005");
        official = folder.resolve("0000003.pt");
        write(official, three);
    }

    private static void write(Path file, Path checkpoint) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path model = checkpoint.resolve("model.safetensors");
            List<String> names = List.copyOf(
                    DiTShapes.of(DiTCheckpoint.describe(model).model()).keySet());
            Map<String, Tensor> moments = Safetensors.read(checkpoint.resolve("optimizer.safetensors"));
            Map<Integer, Object> state = new LinkedHashMap<>();
            for (int i = 1; i < names.size(); i++) // 0 is pos_embed, which is not trained
            state.put(
                        i,
                        Map.of(
                                "step", moments.get("step"),
                                "exp_avg", moments.get("exp_avg." + names.get(i)),
                                "exp_avg_sq", moments.get("exp_avg_sq." + names.get(i))));
            Map<String, Object> group = new LinkedHashMap<>();
            group.put("lr", 1e-4);
            group.put("weight_decay", 0);
            group.put("params", IntStream.range(0, names.size()).boxed().toList());
            Map<String, Object> root = new LinkedHashMap<>();
            root.put("model", Safetensors.read(model, names));
            root.put("ema", Safetensors.read(checkpoint.resolve("ema.safetensors"), names));
            root.put("opt", Map.of("state", state, "param_groups", List.of(group)));
            TorchFile.write(file, root);
        }
    }

    private CommandRun train(String... flags) {
        List<String> all = new ArrayList<>(List.of("--results-dir=" + results, "--sample-every=0"));
        all.addAll(List.of(flags));
        return CommandRun.of(TinyRun.flags("train", all.toArray(String[]::new)));
    }

    private List<String> runs() throws IOException {
        try (Stream<Path> entries = Files.list(results)) {
            return entries.map(entry -> entry.getFileName().toString())
                    .filter(name -> !name.startsWith("."))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void aStateOfThePublishedScriptGoesOnAsTheRunThatLeftItWouldHave() throws IOException {
        Path state = Files.copy(official, results.resolve("state.pt"));
        CommandRun dry = train("--resume=" + state, "--max-steps=5", "--learning-rate=1e-3", "--dry-run");
        assertEquals(0, dry.exitCode(), dry.err());
        assertTrue(
                dry.out()
                        .startsWith("# goes on from " + state + ": step 3 of the published script\n"
                                + "# learning rate is 0.001 here, 1.0E-4 in the file\n"),
                dry.out());
        assertEquals(List.of("state.pt"), runs());

        CommandRun taken = train("--resume=" + state, "--max-steps=5");
        assertEquals(0, taken.exitCode(), taken.err());
        assertTrue(taken.err().contains("goes on after step 3"), taken.err());
        Path run = results.resolve("000-DiT-16x1-4");
        for (String file : List.of("model.safetensors", "ema.safetensors", "optimizer.safetensors"))
            assertArrayEquals(
                    Files.readAllBytes(five.resolve(file)),
                    Files.readAllBytes(run.resolve("checkpoints/step-0000005").resolve(file)),
                    file);

        Files.delete(state); // its own checkpoint is all that the run needs
        CommandRun again = train("--resume=" + state, "--max-steps=5");
        assertEquals(0, again.exitCode(), again.err());
        assertTrue(again.err().contains("has its 5 steps already"), again.err());
        CommandRun dryAgain = train("--resume=" + state, "--max-steps=5", "--dry-run");
        assertTrue(
                dryAgain.out().startsWith("# goes on with " + run.resolve("checkpoints/step-0000005")), dryAgain.out());
        CommandRun byRecipe = CommandRun.of("train", "--config=" + run.resolve("config.yaml"), "--max-steps=6");
        assertEquals(0, byRecipe.exitCode(), byRecipe.err());
        assertTrue(byRecipe.err().contains("goes on after step 5"), byRecipe.err());
        assertEquals(List.of("000-DiT-16x1-4"), runs());
    }

    @Test
    void weightsBeginARunWithOtherClassesAndAnotherSize() throws IOException {
        CommandRun tuned = train("--init-from=" + official, "--image-size=48", "--num-classes=12");
        assertEquals(0, tuned.exitCode(), tuned.err());
        assertTrue(tuned.err().contains("begins with the weights of " + official), tuned.err());
        assertTrue(tuned.err().contains("12 classes here, 10 in the file: fresh rows for all"), tuned.err());
        assertTrue(tuned.err().contains("input of 48×48 here, 32×32 in the file"), tuned.err());
        String card = Files.readString(results.resolve("000-DiT-16x1-4/README.md"));
        assertTrue(card.contains("| began with | the weights of " + official + " |"), card);
        CommandRun again = train("--init-from=" + official, "--image-size=48", "--num-classes=12");
        assertTrue(again.err().contains("has its 3 steps already"), again.err());
        assertFalse(again.err().contains("begins with"), again.err());
        // a run folder is as good: another run, for it began with something else
        CommandRun ofRun = train("--init-from=" + three, "--image-size=48", "--num-classes=12", "--max-steps=1");
        assertEquals(0, ofRun.exitCode(), ofRun.err());
        assertEquals(List.of("000-DiT-16x1-4", "001-DiT-16x1-4"), runs());
        CommandRun sample = CommandRun.of(
                "sample",
                "--ckpt=" + results.resolve("001-DiT-16x1-4"),
                "--class=11",
                "--num-sampling-steps=ddim2",
                "--out=" + results.resolve("out"));
        assertEquals(0, sample.exitCode(), sample.err());
    }

    @Test
    void whatCannotBeTakenOverIsRefusedAndLeavesNoRun() throws IOException {
        Path weights = folder.resolve("weights.pt");
        if (!Files.exists(weights))
            assertEquals(
                    0,
                    CommandRun.of("convert", three.toString(), weights.toString())
                            .exitCode());
        refused(5, "has no \"opt\", so there is no state of training to go on from", "--resume=" + weights);
        refused(5, "a new run can begin with the weights (--init-from)", "--resume=" + weights);
        refused(5, "blocks.0.attn.qkv.weight is [48, 16], the model needs", "--resume=" + official, "--hidden-size=32");
        refused(2, "patch size 4, wanted is 8, which cannot be changed", "--init-from=" + official, "--patch-size=8");
        refused(2, "no weight would fit", "--init-from=" + official, "--depth=2");
        refused(2, "give one of them", "--init-from=" + official, "--resume=" + official);
        refused(5, "no such file or folder", "--init-from=" + folder.resolve("absent.pt"));
        refused(5, "no such file or folder", "--resume=" + folder.resolve("absent.pt"));
        refused(2, "to begin a run with its weights: --init-from", "--resume=" + three);
    }

    private void refused(int exitCode, String message, String... flags) throws IOException {
        CommandRun run = train(flags);
        assertEquals(exitCode, run.exitCode(), run.err());
        assertTrue(run.err().contains(message), run.err());
        assertEquals(List.of(), runs());
    }
}
