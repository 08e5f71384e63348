package org.dit4j.checkpoint;

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
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.RecipeWeights;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Products;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class DiffusersFolderTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(3, 0.1).withTrunk(32, 2, 4);
    private static final String WEIGHTS = "transformer/diffusion_pytorch_model.safetensors";

    private static DiT network;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() {
        network = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(network), 4);
        }
    }

    @AfterAll
    static void free() {
        network.close();
    }

    @BeforeEach
    void write() throws IOException {
        DiffusersFolder.write(folder, DiTWeights.of(network, List.of("ant", "bee", "cat"), ""), Optional.empty());
    }

    @Test
    void aWrittenFolderOpensAsTheSameNetwork() throws IOException {
        DiTWeights weights = DiffusersFolder.read(folder);
        assertEquals(SMALL, weights.description().model());
        assertEquals(Profile.DIFFUSERS, weights.description().profile());
        assertEquals(SchedulerConfig.PUBLISHED, weights.description().scheduler());
        assertEquals(
                DiffusionConfig.PUBLISHED.withProducts(Products.FLOAT32),
                weights.description().diffusion());
        assertEquals(List.of("ant", "bee", "cat"), weights.description().classNames());
        assertSame(weights);
        assertSame(DiffusersFolder.read(folder.resolve("transformer")));
    }

    @Test
    void variantsOfTheWeightsOpen() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = Safetensors.read(folder.resolve(WEIGHTS));
            Files.delete(folder.resolve(WEIGHTS));
            TorchFile.write(folder.resolve("transformer/diffusion_pytorch_model.bin"), tensors);
            assertSame(DiffusersFolder.read(folder));
            Files.delete(folder.resolve("transformer/diffusion_pytorch_model.bin"));

            Map<String, Tensor> half = new LinkedHashMap<>(tensors);
            half.replaceAll((name, tensor) -> tensor.to(ScalarType.Half));
            Path fp16 = folder.resolve("transformer/diffusion_pytorch_model.fp16.safetensors");
            Safetensors.write(fp16, half, Map.of());
            assertEquals(
                    ScalarType.Half,
                    DiffusersFolder.read(folder)
                            .read()
                            .get("pos_embed")
                            .scalar_type()
                            .intern());
            Files.delete(fp16);

            for (String ending : List.of(".safetensors", ".bin")) {
                Path index = writeShards(tensors, ending);
                assertSame(DiffusersFolder.read(folder));
                Files.delete(index);
            }
        }
    }

    private Path writeShards(Map<String, Tensor> tensors, String ending) throws IOException {
        Map<String, Tensor> first = new LinkedHashMap<>(), second = new LinkedHashMap<>();
        StringBuilder map = new StringBuilder();
        tensors.forEach((name, tensor) -> {
            boolean inFirst = first.size() <= second.size();
            (inFirst ? first : second).put(name, tensor);
            map.append(map.isEmpty() ? "" : ",")
                    .append("\"" + name + "\":\"" + (inFirst ? "one" : "two") + ending + "\"");
        });
        Path transformer = folder.resolve("transformer");
        for (Map.Entry<String, Map<String, Tensor>> shard :
                Map.of("one", first, "two", second).entrySet()) {
            Path file = transformer.resolve(shard.getKey() + ending);
            if (ending.equals(".bin")) TorchFile.write(file, shard.getValue());
            else Safetensors.write(file, shard.getValue(), Map.of());
        }
        String name = "diffusion_pytorch_model" + ending + ".index.json";
        return Files.writeString(transformer.resolve(name), "{\"weight_map\":{" + map + "}}");
    }

    @Test
    void filesOfTheOlderClassOpen() throws IOException {
        change("transformer/config.json", text -> text.replace("DiTTransformer2DModel", "Transformer2DModel"));
        assertSame(DiffusersFolder.read(folder));
        change("transformer/config.json", text -> text.replaceAll("\"norm_type\".*,", ""));
        assertRefused("norm_type is null; a DiT's is \"ada_norm_zero\"");
    }

    @Test
    void embeddersOfTheirOwnAreKeptForBlocksThatHaveThemAndRefusedForWhatCannotHoldThem() throws IOException {
        String key = "transformer_blocks.1.norm1.emb.class_embedder.embedding_table.weight";
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = Safetensors.read(folder.resolve(WEIGHTS));
            assertEquals(null, DiTKeyNames.differingCopy(tensors, 2));
            tensors.put(key, tensors.get(key).add(new Scalar(1)));
            assertEquals(key, DiTKeyNames.differingCopy(tensors, 2));
            Safetensors.write(folder.resolve(WEIGHTS), tensors, Map.of());

            DiTWeights weights = DiffusersFolder.read(folder);
            assertTrue(tensors.get(key).equal(weights.read().get("blocks.1.y_embedder.embedding_table.weight")));
            Path file = folder.resolve("own.safetensors"), again = folder.resolve("again");
            DiTCheckpoint.write(file, weights);
            DiffusersFolder.write(again, Checkpoints.open(file, OpenOptions.DEFAULT), Optional.empty());
            Map<String, Tensor> copied = Safetensors.read(again.resolve(WEIGHTS));
            tensors.forEach((name, tensor) -> assertTrue(tensor.equal(copied.get(name)), name));

            for (Executable other : List.<Executable>of(
                    () -> OfficialCheckpoint.write(folder.resolve("own.pt"), weights),
                    () -> weights.withProfile(Profile.OFFICIAL).open(),
                    () -> Surgery.withFreshClasses(weights, 5),
                    () -> weights.requireSharedEmbedders("a run"))) {
                String message =
                        assertThrows(IllegalArgumentException.class, other).getMessage();
                assertTrue(message.contains("time and label embedders of their own"), message);
            }
        }
    }

    @Test
    void aConfigurationThatTheWeightsContradictIsRefused() throws IOException {
        for (String[] wrong : new String[][] {
            {"\"patch_size\" : 2", "\"patch_size\" : 4", "patch_size is 4"},
            {"\"num_layers\" : 2", "\"num_layers\" : 3", "missing transformer_blocks.2."},
            {"\"num_layers\" : 2", "\"num_layers\" : 1", "unexpected transformer_blocks.1."},
            {"\"num_layers\" : 2", "\"num_layers\" : 2000000000", "too few"},
            {"\"attention_head_dim\" : 8", "\"attention_head_dim\" : 16", "64"},
            {"\"attention_head_dim\" : 8", "\"attention_head_dim\" : 2000000000", "8000000000"},
            {"\"num_embeds_ada_norm\" : 3", "\"num_embeds_ada_norm\" : 1000", "num_embeds_ada_norm is 1000"},
            {"\"out_channels\" : 8", "\"out_channels\" : 4", "out_channels is 4"},
            {"\"sample_size\" : 8", "\"sample_size\" : 7", "sample_size 7"},
            {"\"sample_size\" : 8", "\"sample_size\" : 2000000000", "at most"},
            {"\"sample_size\" : 8", "\"sample_size\" : \"8\"", "positive whole number"},
            {"1.0E-5", "1.0E-6", "norm_eps"},
            {"gelu-approximate", "geglu", "activation_fn"},
            {"DiTTransformer2DModel", "UNet2DModel", "UNet2DModel"}
        }) {
            String before = Files.readString(folder.resolve("transformer/config.json"));
            assertTrue(before.contains(wrong[0]), before);
            change("transformer/config.json", text -> text.replace(wrong[0], wrong[1]));
            assertRefused(wrong[2]);
            change("transformer/config.json", text -> before);
        }
    }

    @Test
    void namesOfClassesThatDoNotExistAreRefusedAndMissingOnesNumbered() throws IOException {
        change("model_index.json", text -> text.replace("\"1\" : \"bee\",", ""));
        assertEquals(
                List.of("ant", "1", "cat"),
                DiffusersFolder.read(folder).description().classNames());
        change("model_index.json", text -> text.replace("\"2\"", "\"3\""));
        assertRefused("id2label names class 3");
    }

    @Test
    void itsScheduleIsHeeded() throws IOException {
        String file = "scheduler/scheduler_config.json", before = Files.readString(folder.resolve(file));
        change(
                file,
                text -> text.replace("\"linear\"", "\"scaled_linear\"")
                        .replace("\"steps_offset\" : 0", "\"steps_offset\" : 1")
                        .replace("\"epsilon\"", "\"v_prediction\""));
        DiffusionConfig expected = DiffusionConfig.of(
                        NoiseSchedule.QUAD, 1000, Prediction.VELOCITY, Variance.LEARNED_RANGE)
                .withProducts(Products.FLOAT32);
        DiTWeights weights = DiffusersFolder.read(folder);
        assertEquals(expected, weights.description().diffusion());
        assertEquals(new SchedulerConfig(1, false), weights.description().scheduler());
        // and survives in a file of ours
        DiTCheckpoint.write(folder.resolve("model.safetensors"), weights);
        assertEquals(weights.description(), DiTCheckpoint.describe(folder.resolve("model.safetensors")));
        for (String[] wrong : new String[][] {
            {"\"leading\"", "\"backwards\"", "timestep_spacing is \"backwards\"; one of [leading, trailing, linspace]"},
            {"\"epsilon\"", "\"flow_prediction\"", "prediction_type is \"flow_prediction\""},
            {"DDIMScheduler", "FlowMatchEulerDiscreteScheduler", "another process"},
            {"\"linear\"", "\"sigmoid\"", "sigmoid"},
            {"\"beta_end\" : 0.02", "\"beta_end\" : 2", "beta"},
            {"\"steps_offset\" : 0", "\"steps_offset\" : 0,, \u001b[2J", "is not JSON"}
        }) {
            assertTrue(before.contains(wrong[0]), before);
            change(file, text -> before.replace(wrong[0], wrong[1]));
            DiTWeights unclear = DiffusersFolder.read(folder);
            assertSame(unclear); // the weights need no scheduler
            String unknown = unclear.description().scheduler().unknown();
            assertTrue(unknown.contains(wrong[2]) && !unknown.contains("\u001b"), unknown);
            assertTrue(unclear.notes().get(0).contains(unknown), unclear.notes().toString());
            assertThrows(
                    IllegalArgumentException.class,
                    () -> DiffusersFolder.write(folder.resolve("again"), unclear, Optional.empty()));
        }
    }

    @Test
    void everyOptionOfASchedulerIsKeptInOurFileAndInAFolder() throws IOException {
        String file = "scheduler/scheduler_config.json";
        for (String json : List.of("""
                {"_class_name": "DDIMScheduler"}""", """
                {"_class_name": "DDIMScheduler", "clip_sample": true, "clip_sample_range": 2.5, "set_alpha_to_one": false,
                 "timestep_spacing": "trailing", "rescale_betas_zero_snr": true, "prediction_type": "v_prediction"}""", """
                {"_class_name": "DDIMScheduler", "clip_sample": false, "thresholding": true, "sample_max_value": 3,
                 "timestep_spacing": "linspace", "num_train_timesteps": 3, "trained_betas": [0.1, 0.25, 0.5]}""", """
                {"_class_name": "DDPMScheduler", "variance_type": "learned_range", "steps_offset": 1, "clip_sample": false}""", """
                {"_class_name": "DDPMScheduler", "beta_schedule": "sigmoid", "num_train_timesteps": 20}""")) {
            Files.writeString(folder.resolve(file), json);
            DiTWeights weights = DiffusersFolder.read(folder);
            SchedulerConfig config = weights.description().scheduler();
            assertEquals("", config.unknown(), json);
            Path one = folder.resolve("model.safetensors"), again = folder.resolve("again");
            DiTCheckpoint.write(one, weights);
            assertEquals(weights.description(), DiTCheckpoint.describe(one));
            DiffusersFolder.write(again, Checkpoints.open(one, OpenOptions.DEFAULT), Optional.empty());
            DiTDescription written = DiffusersFolder.read(again).description();
            assertEquals(config, written.scheduler(), json);
            assertEquals(weights.description().diffusion(), written.diffusion(), json);
            assertTrue(Files.readString(again.resolve("model_index.json")).contains(config.solver()));
        }
    }

    @Test
    void ofAnUnknownSchedulerWhatItHasInCommonIsKept() throws IOException {
        Files.writeString(folder.resolve("scheduler/scheduler_config.json"), """
                {"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "beta_schedule": "scaled_linear",
                 "prediction_type": "v_prediction", "timestep_spacing": "linspace"}""");
        DiTWeights weights = DiffusersFolder.read(folder);
        SchedulerConfig config = weights.description().scheduler();
        assertEquals("DPMSolverMultistepScheduler", config.solver());
        assertEquals(
                List.of(false, false, true),
                List.of(config.isKnown(), config.clip(), config.unknown().isEmpty()));
        assertEquals(Prediction.VELOCITY, weights.description().diffusion().prediction());
        assertEquals(NoiseSchedule.QUAD, weights.description().diffusion().schedule());
        DiTCheckpoint.write(folder.resolve("model.safetensors"), weights);
        assertEquals(weights.description(), DiTCheckpoint.describe(folder.resolve("model.safetensors")));
        DiffusersFolder.write(folder.resolve("again"), weights, Optional.empty());
        assertEquals(
                config.withSolver(SchedulerConfig.DDIM),
                DiffusersFolder.read(folder.resolve("again")).description().scheduler());
    }

    @Test
    void whatIsAbsentOrDamagedIsNamed() throws IOException {
        Files.writeString(folder.resolve("transformer/config.json"), "[1]");
        assertRefused("not a JSON object");
        Files.delete(folder.resolve(WEIGHTS));
        DiffusersFolder.write(folder, DiTWeights.of(network, List.of(), ""), Optional.empty());
        Files.delete(folder.resolve(WEIGHTS));
        assertTrue(assertThrows(NoSuchFileException.class, () -> DiffusersFolder.read(folder))
                .getMessage()
                .contains("no weights"));
    }

    @Test
    void whatDiffusersHasNotIsNotWritten() {
        for (DiTConfig config : List.of(
                SMALL.withBlock(DiTBlock.Kind.ADALN),
                SMALL.withInputSize(8, 16),
                SMALL.withClasses(3, 0),
                SMALL.withClasses(0, 0))) {
            DiT other = config.network();
            assertThrows(
                    IllegalArgumentException.class,
                    () -> DiffusersFolder.write(folder, DiTWeights.of(other, List.of(), ""), Optional.empty()));
            other.close();
        }
        DiT moved = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            StateDict.of(moved).get("pos_embed").add_(new Scalar(0.1));
        }
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> DiffusersFolder.write(folder, DiTWeights.of(moved, List.of(), ""), Optional.empty()))
                .getMessage();
        assertTrue(message.contains("pos_embed is not the table"), message);
        moved.close();
    }

    private void change(String file, UnaryOperator<String> change) throws IOException {
        Files.writeString(folder.resolve(file), change.apply(Files.readString(folder.resolve(file))));
    }

    private void assertRefused(String reason) {
        Executable read = () -> DiffusersFolder.read(folder);
        String message = assertThrows(FormatException.class, read).getMessage();
        assertTrue(message.contains(reason), message);
    }

    private static void assertSame(DiTWeights weights) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> expected = StateDict.of(network), actual = weights.read();
            assertEquals(expected.keySet(), actual.keySet());
            expected.forEach((name, tensor) -> assertTrue(tensor.equal(actual.get(name)), name));
        }
    }
}
