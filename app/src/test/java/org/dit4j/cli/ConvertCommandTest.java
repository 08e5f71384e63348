package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.io.Safetensors;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertCommandTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(2, 0.1).withTrunk(64, 1, 4);

    @TempDir
    private Path folder;

    private Path model;

    @BeforeEach
    void write() throws IOException {
        model = folder.resolve("model.safetensors");
        DiT network = SMALL.network();
        DiTCheckpoint.write(model, DiTWeights.of(network, List.of("star", "heart"), "EMA after 3 steps"));
        network.close();
    }

    private static JsonNode inspect(String... args) throws IOException {
        CommandRun run = CommandRun.of(args);
        assertEquals(0, run.exitCode(), run.err());
        return new ObjectMapper().readTree(run.out());
    }

    @Test
    void inspectSaysWhatAFileHolds() throws IOException {
        JsonNode found = inspect("inspect", model.toString(), "--json");
        assertEquals(
                "a DiT of width 64, depth 1 and patch size 2, input 4 × 8 × 8, 2 classes",
                found.get("guess").asText());
        assertEquals("heart", found.get("classes").get(1).asText());
        assertEquals("pos_embed", found.get("tensors").get(0).get("name").asText());
        assertEquals(64, found.get("files").get(0).get("sha256").asText().length());
        CommandRun text = CommandRun.of("inspect", model.toString());
        assertTrue(text.out().contains("EMA after 3 steps"), text.out());
        assertTrue(text.out().contains("blocks.0.attn.qkv.weight               float32   [192, 64]"), text.out());
    }

    @Test
    void convertsThereAndBack() throws IOException {
        Path pt = folder.resolve("model.pt"), diffusers = folder.resolve("pipeline");
        CommandRun first = CommandRun.of("convert", model.toString(), pt.toString());
        assertEquals(0, first.exitCode(), first.err());
        CommandRun second = CommandRun.of("convert", pt.toString(), diffusers.toString(), "--num-heads", "4");
        assertEquals(0, second.exitCode(), second.err());
        assertTrue(second.err().contains("--vae"), "says that the pipeline is not whole");
        assertTrue(second.err().contains("guidance_scale=1"), "says what diffusers cannot do with two classes");
        CommandRun third = CommandRun.of(
                "convert",
                diffusers.toString(),
                folder.resolve("half.safetensors").toString(),
                "--dtype",
                "fp16");
        assertEquals(0, third.exitCode(), third.err());
        JsonNode found = inspect("inspect", folder.resolve("half.safetensors").toString(), "--json");
        assertEquals("diffusers", found.get("profile").asText());
        assertEquals("float16", found.get("tensors").get(3).get("dtype").asText());
    }

    @Test
    void convertsIntoShardsAndBack() throws IOException {
        Path sharded = folder.resolve("shards/model.safetensors");
        Path index = folder.resolve("shards/model.safetensors.index.json");
        CommandRun first = CommandRun.of("convert", model.toString(), sharded.toString(), "--max-shard-size=100KB");
        assertEquals(0, first.exitCode(), first.err());
        assertEquals(index + "\n", first.out());
        assertFalse(Files.exists(sharded));
        Path back = folder.resolve("back.safetensors");
        CommandRun second = CommandRun.of("convert", index.toString(), back.toString());
        assertEquals(0, second.exitCode(), second.err());
        assertArrayEquals(Files.readAllBytes(model), Files.readAllBytes(back));
        JsonNode found = inspect("inspect", index.toString(), "--json");
        assertEquals("in shards", found.get("format").asText());
        assertTrue(found.get("files").size() > 3, "the index and its shards");

        String pipeline = folder.resolve("d").toString();
        CommandRun diffusers = CommandRun.of("convert", model.toString(), pipeline, "--max-shard-size=0.1MB");
        assertEquals(0, diffusers.exitCode(), diffusers.err());
        assertTrue(Files.exists(folder.resolve("d/transformer/diffusion_pytorch_model.safetensors.index.json")));
        CommandRun third =
                CommandRun.of("convert", pipeline, folder.resolve("e.pt").toString());
        assertEquals(0, third.exitCode(), third.err());

        CommandRun again = CommandRun.of("convert", model.toString(), sharded.toString());
        assertTrue(again.err().contains("nothing is overwritten"), again.err());
        CommandRun pt = CommandRun.of(
                "convert", model.toString(), folder.resolve("s.pt").toString(), "--max-shard-size=1GB");
        assertEquals(2, pt.exitCode());
        assertTrue(pt.err().contains("a .pt file is written whole"), pt.err());
        CommandRun size = CommandRun.of("convert", model.toString(), back.toString(), "--max-shard-size=12");
        assertEquals(2, size.exitCode());
        assertTrue(size.err().contains("a size such as 500MB or 2GB"), size.err());
    }

    @Test
    void nothingIsOverwritten() throws IOException {
        Path pt = folder.resolve("model.pt");
        Files.writeString(pt, "precious");
        CommandRun run = CommandRun.of("convert", model.toString(), pt.toString());
        assertEquals(2, run.exitCode());
        assertEquals("precious", Files.readString(pt));
        assertTrue(run.err().contains("nothing is overwritten"), run.err());
    }

    @Test
    void shardsWithoutTheirIndexAreNotOverwrittenEither() throws IOException {
        Path other = Files.writeString(folder.resolve("new-00001-of-00005.safetensors"), "precious");
        String to = folder.resolve("new.safetensors").toString();
        CommandRun run = CommandRun.of("convert", model.toString(), to, "--max-shard-size=100KB");
        assertEquals(2, run.exitCode(), run.err());
        assertTrue(run.err().contains(other + " is there already"), run.err());
        assertEquals("precious", Files.readString(other));
        CommandRun whole = CommandRun.of("convert", model.toString(), to);
        assertEquals(0, whole.exitCode(), whole.err());
    }

    @Test
    void whatAFileSaysDoesNotSteerTheTerminal() throws IOException {
        Path file = folder.resolve("strange.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(file, Map.of("a\u001b[2Jb", torch.ones(1)), Map.of("k", "v\u001b]0;title\u0007"));
        }
        CommandRun run = CommandRun.of("inspect", file.toString());
        assertEquals(0, run.exitCode(), run.err());
        assertTrue(run.out().contains("k: v?]0;title?") && run.out().contains("a?[2Jb"), run.out());
        assertFalse(run.out().contains("\u001b"), run.out());
    }

    @Test
    void aConvertedStateDictNeedsNoFlagToComeBack() throws IOException {
        Path pt = folder.resolve("model.pt"), back = folder.resolve("back.safetensors");
        assertEquals(
                0, CommandRun.of("convert", model.toString(), pt.toString()).exitCode());
        CommandRun second = CommandRun.of("convert", pt.toString(), back.toString());
        assertEquals(0, second.exitCode(), second.err());
        assertArrayEquals(Files.readAllBytes(model), Files.readAllBytes(back));
    }

    @Test
    void severalSetsAreListedAndAFlagChooses() throws IOException {
        Path pt = folder.resolve("two.pt"), out = folder.resolve("out.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = Safetensors.read(model);
            TorchFile.write(pt, Map.of("ema_1", tensors, "ema_2", tensors));
        }
        JsonNode found = inspect("inspect", pt.toString(), "--json", "--num-heads=4");
        assertEquals(2, found.get("sets").size());
        CommandRun refused = CommandRun.of("convert", pt.toString(), out.toString(), "--num-heads=4");
        assertEquals(5, refused.exitCode());
        assertTrue(refused.err().contains("--weights-at"), refused.err());
        CommandRun chosen =
                CommandRun.of("convert", pt.toString(), out.toString(), "--num-heads=4", "--weights-at=ema_2");
        assertEquals(0, chosen.exitCode(), chosen.err());
        assertEquals("EMA, at ema_2", DiTCheckpoint.describe(out).weights());
        JsonNode told = inspect("inspect", pt.toString(), "--json", "--num-heads=4", "--weights-at=ema_2");
        assertTrue(
                told.get("notes").toString().contains("last of its 3 rows"),
                told.get("notes").toString());
    }

    @Test
    void aFileOfOneTensorIsShown() throws IOException {
        Path file = folder.resolve("one.pt");
        try (TensorScope scope = new TensorScope()) {
            TorchFile.write(file, torch.ones(2, 3));
        }
        CommandRun run = CommandRun.of("inspect", file.toString());
        assertEquals(0, run.exitCode(), run.err());
        assertTrue(run.out().contains("float32   [2, 3]"), run.out());
    }

    @Test
    void aWidthThatNoPublishedModelHasNeedsItsHeads() throws IOException {
        Path pt = folder.resolve("model.pt");
        try (TensorScope scope = new TensorScope()) {
            TorchFile.write(pt, Safetensors.read(model)); // as Python writes it, without a word about it
        }
        CommandRun run = CommandRun.of(
                "convert", pt.toString(), folder.resolve("again.safetensors").toString());
        assertEquals(5, run.exitCode());
        assertTrue(run.err().contains("number of attention heads"), run.err());
    }
}
