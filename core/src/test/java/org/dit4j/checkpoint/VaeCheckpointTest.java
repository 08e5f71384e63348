package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.RecipeWeights;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.ShardIndex;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentScaling;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class VaeCheckpointTest {
    private static final AutoencoderKlConfig SMALL = new AutoencoderKlConfig(
            3, 3, 4, List.of(32, 64, 64), 2, 32, 32, true, true, true, LatentScaling.STABLE_DIFFUSION);
    private static final String WEIGHTS = "diffusion_pytorch_model.safetensors";

    private static AutoencoderKl codec;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() {
        codec = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(codec), 3);
        }
    }

    @AfterAll
    static void free() {
        codec.close();
    }

    @Test
    void aWrittenFolderOpensAsTheSameAutoencoder() throws IOException {
        VaeCheckpoint.write(folder.resolve("new/vae"), codec);
        assertSame(VaeCheckpoint.open(folder.resolve("new/vae")));
        // the file alone too: the configuration lies beside it
        assertSame(VaeCheckpoint.open(folder.resolve("new/vae").resolve(WEIGHTS)));
    }

    @Test
    void aFolderWithItsWeightsInShardsOpens() throws IOException {
        VaeCheckpoint.write(folder, codec);
        Files.delete(folder.resolve(WEIGHTS));
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> state = StateDict.of(codec);
            long half = 2 * state.values().stream().mapToLong(Tensor::numel).sum();
            Path index = Safetensors.writeShards(folder.resolve(WEIGHTS), state, Map.of(), half);
            assertSame(VaeCheckpoint.open(folder));
            // the same as torch.save's
            ShardIndex shards = ShardIndex.read(index);
            for (Path shard : shards.tensorsByShard().keySet())
                TorchFile.write(Path.of(shard.toString().replace(".safetensors", ".bin")), Safetensors.read(shard));
            Path bin = folder.resolve("diffusion_pytorch_model.bin.index.json");
            Files.writeString(bin, Files.readString(index).replace(".safetensors", ".bin"));
            Files.delete(index);
            for (Path shard : shards.tensorsByShard().keySet()) Files.delete(shard);
            assertSame(VaeCheckpoint.open(folder));
            TorchFile.write(folder.resolve("diffusion_pytorch_model-00002-of-00003.bin"), Map.of());
            assertRefused("which " + bin + " says it has", FormatException.class, () -> VaeCheckpoint.open(folder));
        }
    }

    @Test
    void halfPrecisionWeightsOpenInFloat32() throws IOException {
        VaeCheckpoint.write(folder, codec);
        Files.delete(folder.resolve(WEIGHTS));
        write(folder.resolve("diffusion_pytorch_model.fp16.safetensors"), state -> {
            Map<String, Tensor> half = new LinkedHashMap<>();
            state.forEach((name, tensor) -> half.put(name, tensor.to(ScalarType.Half)));
            return half;
        });
        LatentCodec opened = VaeCheckpoint.open(folder);
        try (TensorScope scope = new TensorScope()) {
            Tensor weight = StateDict.of((AutoencoderKl) opened).get("encoder.conv_in.weight");
            assertEquals(ScalarType.Float, weight.scalar_type().intern());
            float[] expected = Tensors.toFloats(StateDict.of(codec).get("encoder.conv_in.weight"));
            assertArrayEquals(expected, Tensors.toFloats(weight), 1e-3f);
        }
        opened.close();
    }

    @Test
    void aStableDiffusionInOneFileHoldsTheSameAutoencoder() throws IOException {
        Path file = folder.resolve("v1-5.safetensors");
        write(file, state -> {
            Map<String, Tensor> ldm = new LinkedHashMap<>();
            ldm.put("model.diffusion_model.out.2.bias", torch.ones(4));
            state.forEach((name, tensor) -> ldm.put(
                    "first_stage_model." + ldmName(name, 3),
                    name.contains("attentions.0.to_") && tensor.dim() == 2
                            ? tensor.unsqueeze(-1).unsqueeze(-1)
                            : tensor));
            return ldm;
        });
        LatentCodec opened = VaeCheckpoint.open(file);
        assertEquals(
                LatentScaling.STABLE_DIFFUSION,
                ((AutoencoderKl) opened).config().scaling());
        assertSame(opened);
    }

    @Test
    void aSingleFileOfOtherChannelsAsksForItsScale() throws IOException {
        AutoencoderKl sixteen = new AutoencoderKlConfig(
                        3, 3, 16, List.of(32, 64), 1, 32, 64, true, false, false, LatentScaling.STABLE_DIFFUSION)
                .network();
        Path file = folder.resolve("sixteen.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(file, StateDict.of(sixteen), Map.of());
        }
        sixteen.close();
        assertRefused("latents of 16 channels are scaled", FormatException.class, () -> VaeCheckpoint.open(file));
        LatentScaling given = new LatentScaling(0.3611, 0.1159);
        LatentCodec opened = VaeCheckpoint.open(file, Optional.of(given));
        assertEquals(given, opened.scaling());
        opened.close();
        VaeCheckpoint.write(folder.resolve("vae"), codec);
        assertTrue(assertThrows(
                        IllegalArgumentException.class,
                        () -> VaeCheckpoint.open(folder.resolve("vae"), Optional.of(given)))
                .getMessage()
                .contains("give no scale"));
    }

    @Test
    void anAutoencoderWithWeightsThatAreNoNumbersIsRefusedByName() throws IOException {
        VaeCheckpoint.write(folder, codec);
        write(folder.resolve(WEIGHTS), state -> {
            Map<String, Tensor> broken = new LinkedHashMap<>(state);
            broken.put("decoder.conv_in.bias", state.get("decoder.conv_in.bias").mul(new Scalar(Double.NaN)));
            return broken;
        });
        assertRefused("decoder.conv_in.bias has", FormatException.class, () -> VaeCheckpoint.open(folder));
    }

    /** Current → latent-diffusion, the other way round than the code under test goes. */
    private static String ldmName(String name, int levels) {
        String ldm = name.replace("mid_block.resnets.0", "mid.block_1")
                .replace("mid_block.resnets.1", "mid.block_2")
                .replace("mid_block.attentions.0.group_norm", "mid.attn_1.norm")
                .replace("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out")
                .replace("mid_block.attentions.0.to_", "mid.attn_1.")
                .replace("conv_norm_out", "norm_out")
                .replace("conv_shortcut", "nin_shortcut")
                .replace("downsamplers.0", "downsample")
                .replace("upsamplers.0", "upsample")
                .replace(".resnets.", ".block.")
                .replace("down_blocks", "down");
        for (int i = 0; i < levels; i++) ldm = ldm.replace("up_blocks." + i, "up." + (levels - 1 - i));
        return ldm;
    }

    private static void assertSame(LatentCodec opened) {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> expected = StateDict.of(codec), actual = StateDict.of((AutoencoderKl) opened);
            assertEquals(expected.keySet(), actual.keySet());
            expected.forEach((name, tensor) -> assertTrue(tensor.equal(actual.get(name)), name));
        }
        opened.close();
    }

    private static void write(Path file, UnaryOperator<Map<String, Tensor>> change) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(file, change.apply(new LinkedHashMap<>(StateDict.of(codec))), Map.of());
        }
    }

    @Test
    void aConfigurationThatTheWeightsContradictIsRefused() throws IOException {
        VaeCheckpoint.write(folder, codec);
        String config = Files.readString(folder.resolve("config.json"));
        Files.writeString(
                folder.resolve("config.json"), config.replace("\"latent_channels\" : 4", "\"latent_channels\" : 8"));
        assertRefused("latentChannels=8", FormatException.class, () -> VaeCheckpoint.open(folder));
    }

    @Test
    void weightsThatAreMissingOrTooManyAreNamed() throws IOException {
        Path file = folder.resolve("vae.safetensors");
        write(file, state -> {
            state.remove("decoder.conv_out.bias");
            state.put("encoder.down_blocks.0.attentions.0.to_q.weight", torch.ones(2, 2));
            return state;
        });
        assertRefused("missing decoder.conv_out.bias [3]", FormatException.class, () -> VaeCheckpoint.open(file));
        assertRefused(
                "unexpected encoder.down_blocks.0.attentions.0.to_q.weight",
                FormatException.class,
                () -> VaeCheckpoint.open(file));
    }

    @Test
    void aShapeThatDoesNotFitIsRefusedBeforeAnythingOfItsSizeIsMade() throws IOException {
        Path file = folder.resolve("vae.safetensors");
        write(file, state -> {
            state.put("encoder.down_blocks.2.resnets.0.conv1.weight", torch.ones(8192, 1));
            return state;
        });
        assertRefused("not 4-D", FormatException.class, () -> VaeCheckpoint.open(file));
        write(file, state -> {
            state.put("encoder.down_blocks.2.resnets.0.conv1.weight", torch.ones(8192, 1, 1, 1));
            return state;
        });
        assertRefused("[8192, 1, 1, 1]", FormatException.class, () -> VaeCheckpoint.open(file));
    }

    @Test
    void aWeightUnderTwoNamesIsRefused() throws IOException {
        Path file = folder.resolve("vae.safetensors");
        write(file, state -> {
            String attention = "encoder.mid_block.attentions.0.";
            state.put(attention + "query.bias", state.get(attention + "to_q.bias"));
            return state;
        });
        assertRefused("both stand for", FormatException.class, () -> VaeCheckpoint.open(file));
    }

    @Test
    void whatIsNoAutoencoderIsRefusedWithWhatToGive() throws IOException {
        assertRefused("taesd folder", NoSuchFileException.class, () -> VaeCheckpoint.open(folder.resolve("nothing")));
        assertRefused("config.json", NoSuchFileException.class, () -> VaeCheckpoint.open(folder));
        Files.createDirectory(folder.resolve("vae"));
        assertRefused("looks like a pipeline", NoSuchFileException.class, () -> VaeCheckpoint.open(folder));
        Files.writeString(folder.resolve("config.json"), "{\"_class_name\": \"VQModel\"}");
        assertRefused("VQModel", FormatException.class, () -> VaeCheckpoint.open(folder));
        Files.writeString(folder.resolve("config.json"), "{");
        assertRefused("not JSON", FormatException.class, () -> VaeCheckpoint.open(folder));
        Files.writeString(folder.resolve("config.json"), SMALL.toJson().toString());
        assertRefused(WEIGHTS, NoSuchFileException.class, () -> VaeCheckpoint.open(folder));
        Files.writeString(folder.resolve("config.json"), " ".repeat(1 << 21));
        assertRefused("bytes", FormatException.class, () -> VaeCheckpoint.open(folder));
    }

    @Test
    void aDitIsNoAutoencoder() throws IOException {
        Path file = folder.resolve("dit.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(file, Map.of("pos_embed", torch.ones(1, 4, 8)), Map.of());
        }
        assertRefused("no AutoencoderKL", FormatException.class, () -> VaeCheckpoint.open(file));
    }

    @Test
    void halfATaesdIsRefused() throws IOException {
        Files.writeString(folder.resolve("taesd_encoder.safetensors"), "x");
        assertRefused("taesd_decoder", NoSuchFileException.class, () -> VaeCheckpoint.open(folder));
    }

    @Test
    void anotherTinyAutoencoderThanTaesdIsRefused() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(folder.resolve(WEIGHTS), Map.of("x", torch.ones(1)), Map.of());
        }
        Files.writeString(
                folder.resolve("config.json"),
                "{\"_class_name\": \"AutoencoderTiny\", \"scaling_factor\": 1.0, \"num_encoder_blocks\": [1, 2, 3, 3]}");
        assertRefused("num_encoder_blocks", FormatException.class, () -> VaeCheckpoint.open(folder));
        Files.writeString(
                folder.resolve("config.json"),
                "{\"_class_name\": \"AutoencoderTiny\", \"scaling_factor\": 1.0, \"in_channels\": 3}");
        assertRefused("no TAESD", FormatException.class, () -> VaeCheckpoint.open(folder));
    }

    private static void assertRefused(String reason, Class<? extends IOException> type, Executable call) {
        String message = assertThrows(type, call).getMessage();
        assertTrue(message.contains(reason), message);
    }
}
