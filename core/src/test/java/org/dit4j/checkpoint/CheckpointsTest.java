package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.NativeObjects;
import org.dit4j.RecipeWeights;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.ShardIndex;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CheckpointsTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(3, 0.1).withTrunk(32, 2, 4);
    private static final OpenOptions FOUR_HEADS = OpenOptions.DEFAULT.withNumHeads(4);
    private static final String HUB_NAME = "facebook/DiT-XL-2-256";

    private static DiT network;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() {
        network = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(network), 6);
            // as averaging leaves it: no longer the computed table
            StateDict.of(network).get("pos_embed").mul_(new Scalar(1.0001));
        }
    }

    @AfterAll
    static void free() {
        network.close();
    }

    private static DiTWeights weights() {
        return DiTWeights.of(network, List.of(), "");
    }

    private static void assertSame(DiTWeights opened) throws IOException {
        assertEquals(SMALL, opened.description().model());
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> expected = StateDict.of(network), actual = opened.read();
            assertEquals(List.copyOf(expected.keySet()), List.copyOf(actual.keySet()), "the order is the state dict's");
            expected.forEach((name, tensor) -> assertTrue(tensor.equal(actual.get(name)), name));
        }
    }

    @Test
    void everyFileOpensWhateverItIsCalled() throws IOException {
        Path ours = folder.resolve("ours"), pt = folder.resolve("theirs");
        DiTCheckpoint.write(ours, weights());
        OfficialCheckpoint.write(pt, weights());
        assertSame(Checkpoints.open(ours, OpenOptions.DEFAULT));
        assertSame(Checkpoints.open(pt, FOUR_HEADS));
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(folder.resolve("bare.safetensors"), StateDict.of(network), Map.of());
        }
        assertSame(Checkpoints.open(folder.resolve("bare.safetensors"), FOUR_HEADS));
    }

    @Test
    void prefixesAndWrappingsComeOff() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> renamed = new LinkedHashMap<>();
            StateDict.of(network).forEach((name, tensor) -> renamed.put("module._orig_mod." + name, tensor));
            TorchFile.write(folder.resolve("a.pt"), Map.of("state_dict", renamed, "epoch", 3L));
            renamed.put("module.pos_embed", renamed.get("module._orig_mod.pos_embed"));
            TorchFile.write(folder.resolve("b.pt"), renamed);
        }
        assertSame(Checkpoints.open(folder.resolve("a.pt"), FOUR_HEADS));
        assertRefused(
                "stand for the same weight",
                FormatException.class,
                () -> Checkpoints.open(folder.resolve("b.pt"), FOUR_HEADS));
    }

    /** Where people's files have the weights; {@code *} stands for those wanted, {@code -} for others of the same shapes. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            nullValues = "none",
            value = {
                "model.* | ",
                "net.* | ",
                "model.diffusion_model.* | ",
                "state_dict/net.* | ",
                "module/* | ",
                "checkpoint/state/module._orig_mod.* | ",
                "model/-, model_ema/* | EMA, at model_ema",
                "state_dict/-, state_dict_ema/* | EMA, at state_dict_ema",
                "model/-, ema_state_dict/* | EMA, at ema_state_dict",
                "params/-, params_ema/* | EMA, at params_ema",
                "online_model.-, ema_model.* | EMA, at ema_model",
                "model/-, ema/online_model.-, ema/ema_model.* | EMA, at ema.ema_model",
                "state_dict/model.-, state_dict/ema.* | EMA, at state_dict.ema",
                "model/-, other_ema/nothing, model_best/- , ema/* | EMA"
            })
    void theWeightsAreFoundWhereverTheyStandAndAveragedOnesPreferred(String places, String origin) throws IOException {
        Path file = folder.resolve("layout.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> wanted = StateDict.of(network), others = new LinkedHashMap<>();
            wanted.forEach((name, tensor) -> others.put(name, tensor.mul(new Scalar(2))));
            Map<String, Object> root = new LinkedHashMap<>(Map.of("epoch", 3L, "step", torch.ones(1)));
            for (String place : places.split(" *, *")) {
                Map<String, Object> at = root;
                String[] keys = place.split("/");
                for (int i = 0; i < keys.length - 1; i++) at = below(at, keys[i]);
                String prefix = keys[keys.length - 1].replaceFirst("[*-]$", "");
                Map<String, Object> target = at;
                if (place.endsWith("*")) wanted.forEach((name, tensor) -> target.put(prefix + name, tensor));
                if (place.endsWith("-")) others.forEach((name, tensor) -> target.put(prefix + name, tensor));
            }
            TorchFile.write(file, root);
        }
        DiTWeights opened = Checkpoints.open(file, FOUR_HEADS);
        assertSame(opened);
        assertEquals(origin == null ? "" : origin, opened.description().weights());
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> below(Map<String, Object> map, String key) {
        return (Map<String, Object>) map.computeIfAbsent(key, k -> new LinkedHashMap<String, Object>());
    }

    @Test
    void ofSeveralSetsThatNothingTellsApartOneMustBeChosen() throws IOException {
        Path pt = folder.resolve("several.pt"), safetensors = folder.resolve("several.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> wanted = StateDict.of(network), others = new LinkedHashMap<>();
            Map<String, Tensor> flat = new LinkedHashMap<>();
            wanted.forEach((name, tensor) -> others.put(name, tensor.mul(new Scalar(2))));
            TorchFile.write(pt, Map.of("ema_0.999", others, "ema_0.9999", wanted, "model", others));
            others.forEach((name, tensor) -> flat.put("ema_0.999." + name, tensor));
            wanted.forEach((name, tensor) -> flat.put("ema_0.9999." + name, tensor));
            others.forEach((name, tensor) -> flat.put("model." + name, tensor));
            Safetensors.write(safetensors, flat, Map.of());
        }
        for (Path file : List.of(pt, safetensors)) {
            assertRefused("ema_0.9999 (averaged)", FormatException.class, () -> Checkpoints.open(file, FOUR_HEADS));
            assertRefused("--weights-at", FormatException.class, () -> Checkpoints.open(file, FOUR_HEADS));
            assertSame(Checkpoints.open(file, FOUR_HEADS.withPlace("ema_0.9999")));
            assertRefused(
                    "has no weights of a DiT at \"ema\"",
                    FormatException.class,
                    () -> Checkpoints.open(file, FOUR_HEADS.withPlace("ema")));
            assertEquals(
                    "",
                    Checkpoints.open(file, FOUR_HEADS.withWeights(Weights.MODEL))
                            .description()
                            .weights());
            Inspection inspection = Inspection.of(file, FOUR_HEADS);
            assertEquals(3, inspection.sets().size());
            assertTrue(inspection.guess().startsWith("not opened: "), inspection.guess());
        }
    }

    @Test
    void tensorsBesideTheWeightsAreNamedAndIgnoredButUnknownOnesAmongThemRefused() throws IOException {
        Path file = folder.resolve("repa.pt"), other = folder.resolve("qk.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = StateDict.of(network);
            tensors.put("projectors.0.weight", torch.ones(1));
            TorchFile.write(file, Map.of("ema", tensors));
            tensors.put("blocks.0.attn.q_norm.weight", torch.ones(8));
            TorchFile.write(other, Map.of("ema", tensors));
        }
        DiTWeights opened = Checkpoints.open(file, FOUR_HEADS);
        assertSame(opened);
        assertTrue(opened.notes().get(0).contains("ignored: ema.projectors.0.weight"), opened.notes()::toString);
        assertRefused(
                "unexpected blocks.0.attn.q_norm.weight",
                FormatException.class,
                () -> Checkpoints.open(other, FOUR_HEADS));
    }

    @Test
    void anAverageWithoutTheFixedPositionsTakesThoseOfTheModel() throws IOException {
        Path file = folder.resolve("nopos.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> averaged = StateDict.of(network), trained = StateDict.of(network);
            averaged.remove("pos_embed");
            trained.replaceAll((name, tensor) -> name.equals("pos_embed") ? tensor : tensor.mul(new Scalar(2)));
            TorchFile.write(file, Map.of("model", trained, "ema", averaged));
        }
        assertSame(Checkpoints.open(file, FOUR_HEADS));
    }

    /** As latent-diffusion writes it: buffers of a module, whose names may have no dots; what is not trained is not averaged. */
    private static Map<String, Tensor> litEma(String prefix, Map<String, Tensor> tensors) {
        Map<String, Tensor> flat = new LinkedHashMap<>();
        flat.put("model_ema.decay", torch.ones(1));
        flat.put("model_ema.num_updates", torch.ones(1));
        tensors.forEach((name, tensor) -> {
            if (!name.equals("pos_embed")) flat.put("model_ema." + (prefix + name).replace(".", ""), tensor);
        });
        return flat;
    }

    @ParameterizedTest
    @CsvSource({"model.diffusion_model., diffusion_model.", "model., ''", "model._orig_mod., _orig_mod."})
    void theAverageOfLatentDiffusionIsFoundAndPreferred(String trainedAt, String averagedAt) throws IOException {
        Path pt = folder.resolve("last.ckpt"), safetensors = folder.resolve("last.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> wanted = StateDict.of(network), state = new LinkedHashMap<>();
            wanted.forEach((name, tensor) ->
                    state.put(trainedAt + name, name.equals("pos_embed") ? tensor : tensor.mul(new Scalar(2))));
            state.putAll(litEma(averagedAt, wanted));
            TorchFile.write(pt, Map.of("state_dict", state, "global_step", 5L));
            Safetensors.write(safetensors, state, Map.of());
        }
        for (Path file : List.of(pt, safetensors)) {
            DiTWeights opened = Checkpoints.open(file, FOUR_HEADS);
            assertSame(opened);
            assertTrue(opened.description().weights().startsWith("EMA, at "), opened.description()::weights);
            assertTrue(opened.notes().get(0).contains("model_ema"), opened.notes()::toString);
            DiTWeights trained = Checkpoints.open(file, FOUR_HEADS.withWeights(Weights.MODEL));
            try (TensorScope scope = new TensorScope()) {
                Tensor doubled =
                        StateDict.of(network).get("blocks.1.attn.qkv.weight").mul(new Scalar(2));
                assertTrue(doubled.equal(trained.read().get("blocks.1.attn.qkv.weight")));
            }
        }
    }

    @Test
    void anAverageOfLatentDiffusionThatIsOfAnotherNetworkOrAloneIsRefused() throws IOException {
        Path other = folder.resolve("qk.ckpt"), alone = folder.resolve("alone.ckpt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = StateDict.of(network), state = new LinkedHashMap<>();
            TorchFile.write(alone, litEma("", tensors));
            tensors.forEach((name, tensor) -> state.put("model." + name, tensor));
            tensors.put("blocks.0.attn.q_norm.weight", torch.ones(8));
            state.putAll(litEma("", tensors));
            TorchFile.write(other, state);
        }
        assertRefused(
                "unexpected blocks0attnq_normweight", FormatException.class, () -> Checkpoints.open(other, FOUR_HEADS));
        assertRefused(
                "have no pos_embed, which is not trained, and nothing else in the file has it",
                FormatException.class,
                () -> Checkpoints.open(alone, FOUR_HEADS));
    }

    /** diffusers' EMAModel has all parameters, torch_ema those that are trained. */
    @ParameterizedTest
    @CsvSource({"true", "false"})
    void anAverageThatIsAListWithoutNamesHasThoseOfTheWeightsBesideIt(boolean all) throws IOException {
        Path file = folder.resolve("list.pt"), other = folder.resolve("other.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> wanted = StateDict.of(network), trained = new LinkedHashMap<>();
            wanted.forEach(
                    (name, tensor) -> trained.put(name, name.equals("pos_embed") ? tensor : tensor.mul(new Scalar(2))));
            List<Tensor> shadows = new ArrayList<>();
            wanted.forEach((name, tensor) -> {
                if (all || !name.equals("pos_embed")) shadows.add(tensor);
            });
            TorchFile.write(file, Map.of("model", trained, "ema", Map.of("shadow_params", shadows, "decay", 0.999)));
            TorchFile.write(other, Map.of("model", wanted, "ema", Map.of("shadow_params", shadows.subList(0, 5))));
        }
        DiTWeights opened = Checkpoints.open(file, FOUR_HEADS);
        assertSame(opened);
        assertEquals("EMA, at ema.shadow_params", opened.description().weights());
        assertSame(Checkpoints.open(other, FOUR_HEADS));
    }

    /** A file with a script's flags beside its weights. */
    private Path withFlags(String place, Map<String, Object> flags) throws IOException {
        Path file = folder.resolve("flags.pt");
        try (TensorScope scope = new TensorScope()) {
            TorchFile.write(file, Map.of("ema", StateDict.of(network), place, flags));
        }
        return file;
    }

    @Test
    void whatTheScriptSaysOfItsModelIsObeyed() throws IOException {
        // the label table has four rows
        Map<String, Object> all = Map.of("num_classes", 4L, "num_heads", 4L, "noise_schedule", "squaredcos_cap_v2");
        DiTDescription obeyed = open(withFlags("args", all)).description();
        assertEquals(4, obeyed.model().numClasses());
        assertTrue(!obeyed.model().hasNullLabel());
        assertEquals(
                "squaredcos_cap_v2 1000 noise learned_range", obeyed.diffusion().text());
        DiTConfig three = open(withFlags(
                        "hyper_parameters", Map.of("model", Map.of("num_classes", 3L, "num_heads", 4L))))
                .description()
                .model();
        assertEquals(SMALL, three);
        DiTConfig dropped = Checkpoints.open(withFlags("args", Map.of("class_dropout_prob", 0L)), FOUR_HEADS)
                .description()
                .model();
        assertEquals(SMALL.withClasses(4, 0), dropped);
        DiTConfig rarely = Checkpoints.open(
                        withFlags("config", Map.of("num_classes", 3L, "class_dropout_prob", 0.25)), FOUR_HEADS)
                .description()
                .model();
        assertEquals(SMALL.withClasses(3, 0.25), rarely);
        assertEquals(
                "linear 500 x0 learned_range",
                Checkpoints.open(withFlags("args", Map.of("predict_xstart", true, "diffusion_steps", 500L)), FOUR_HEADS)
                        .description()
                        .diffusion()
                        .text());
    }

    @Test
    void whatNothingSaysOfTheNullLabelIsGuessedInOneLineAndAFlagDecides() throws IOException {
        Path file = withFlags("args", Map.of("lr", 1e-4));
        DiTWeights guessed = Checkpoints.open(file, FOUR_HEADS);
        assertEquals(SMALL, guessed.description().model());
        assertTrue(guessed.notes().get(0).contains("--no-null-label"), guessed.notes()::toString);
        DiTWeights told = Checkpoints.open(file, FOUR_HEADS.withoutNullLabel());
        assertEquals(SMALL.withClasses(4, 0), told.description().model());
        assertEquals(List.of(), told.notes());
        Path says = withFlags("args", Map.of("num_classes", 3L));
        assertRefused(
                "has a null label", FormatException.class, () -> Checkpoints.open(says, FOUR_HEADS.withoutNullLabel()));
        Path wrong = withFlags("args", Map.of("num_classes", 7L));
        assertTrue(Checkpoints.open(wrong, FOUR_HEADS).notes().get(0).contains("7 classes"));
    }

    @ParameterizedTest
    @CsvSource({
        "path_type, Linear, flow matching",
        "prediction, velocity, not a prediction of the noise",
        "model, SiT-XL/2, flow matching",
        "use_rope, true, rotary",
        "beta_schedule, scaled_linear, no noise schedule that is known"
    })
    void aFileForAnotherKindOfSamplingIsRefusedWithTheReason(String flag, String value, String reason)
            throws IOException {
        Object parsed = value.equals("true") ? (Object) true : value;
        Path file = withFlags("args", Map.of(flag, parsed, "num_heads", 4L));
        assertRefused(reason, FormatException.class, () -> open(file));
        assertRefused("args." + flag, FormatException.class, () -> open(file));
    }

    @Test
    void aStateDictThatWeWroteSaysAllThatItsModelIs() throws IOException {
        DiT rare = SMALL.withClasses(3, 0).network();
        Path pt = folder.resolve("said.pt");
        OfficialCheckpoint.write(
                pt,
                DiTWeights.of(
                        rare,
                        List.of("a", "b", "c"),
                        DiffusionConfig.ofText("squaredcos_cap_v2 500 x0 learned_range"),
                        "by hand"));
        DiTWeights read = open(pt);
        assertEquals(rare.config(), read.description().model());
        assertEquals(List.of("a", "b", "c"), read.description().classNames());
        assertEquals(
                "squaredcos_cap_v2 500 x0 learned_range",
                read.description().diffusion().text());
        assertEquals("by hand", read.description().weights());
        rare.close();
    }

    @Test
    void aWeightThatIsNoNumberIsNamedWhereTheFileIsOpened() throws IOException {
        for (double strange : new double[] {Double.NaN, Double.POSITIVE_INFINITY})
            for (String name : List.of("n.pt", "n.safetensors")) {
                Path file = folder.resolve(name);
                try (TensorScope scope = new TensorScope()) {
                    Map<String, Tensor> tensors = StateDict.of(network);
                    tensors.replaceAll((key, tensor) -> tensor.to(ScalarType.Half));
                    Tensor broken = tensors.get("blocks.1.mlp.fc1.weight").clone();
                    broken.view(-1).narrow(0, 5, 2).fill_(new Scalar(strange));
                    tensors.put("blocks.1.mlp.fc1.weight", broken);
                    if (name.endsWith(".pt")) TorchFile.write(file, tensors);
                    else Safetensors.write(file, tensors, Map.of());
                }
                DiTWeights opened = Checkpoints.open(file, FOUR_HEADS);
                assertRefused(
                        name + ": blocks.1.mlp.fc1.weight has 2 NaN or infinite numbers",
                        FormatException.class,
                        opened::open);
                assertRefused("float16", FormatException.class, opened::open);
            }
    }

    @Test
    void largeButFiniteWeightsAreTaken() throws IOException {
        Path file = folder.resolve("large.safetensors");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = StateDict.of(network);
            tensors.replaceAll(
                    (key, tensor) -> torch.ones(tensor.shape()).mul(new Scalar(3e38))); // their sum overflows
            Safetensors.write(file, tensors, Map.of());
            assertEquals(
                    3e38f,
                    Checkpoints.open(file, FOUR_HEADS)
                            .read()
                            .get("pos_embed")
                            .max()
                            .item_float());
        }
    }

    @Test
    void theOldFormatIsKnownByItsFirstBytesInEveryProtocol() throws IOException {
        Path file = folder.resolve("legacy");
        for (int[] begin : new int[][] {{2, 0x8a, 10}, {3, 0x8a, 10}, {4, 0x95, 13}, {5, 0x95, 13}}) {
            Files.write(file, new byte[] {(byte) 0x80, (byte) begin[0], (byte) begin[1], (byte) begin[2], 0});
            assertTrue(TensorFile.isTorch(file));
        }
        Files.write(file, new byte[] {(byte) 0x80, 4, (byte) 0x95, 0, 0}); // a safetensors header of 9.7 MB
        assertTrue(!TensorFile.isTorch(file));
    }

    @Test
    void aRunFolderMeansItsNewestAveragedWeights() throws IOException {
        Path run = folder.resolve("000-run"), checkpoints = run.resolve("checkpoints");
        Files.createDirectories(checkpoints);
        DiT other = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            Map<String, String> metadata = weights().description().metadata();
            CheckpointFolder.save(
                    checkpoints,
                    7,
                    Map.of(
                            CheckpointFolder.EMA, new CheckpointPart(StateDict.of(network), metadata),
                            CheckpointFolder.MODEL, new CheckpointPart(StateDict.of(other), metadata),
                            CheckpointFolder.OPTIMIZER, new CheckpointPart(Map.of(), Map.of())),
                    Map.of(),
                    new Retention(1, 0));
        }
        for (Path path : List.of(run, checkpoints, checkpoints.resolve("step-0000007")))
            assertSame(Checkpoints.open(path, OpenOptions.DEFAULT));
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> trained = Checkpoints.open(run, OpenOptions.DEFAULT.withWeights(Weights.MODEL))
                    .read();
            assertTrue(StateDict.of(other).get("x_embedder.proj.weight").equal(trained.get("x_embedder.proj.weight")));
        }
        other.close();
    }

    @Test
    void theProfileIsKeptUnlessAnotherIsAskedFor() throws IOException {
        DiT diffusers = SMALL.network(Profile.DIFFUSERS);
        Path file = folder.resolve("model.safetensors");
        DiTCheckpoint.write(file, DiTWeights.of(diffusers, List.of(), ""));
        diffusers.close();
        assertEquals(
                Profile.DIFFUSERS,
                Checkpoints.open(file, OpenOptions.DEFAULT).description().profile());
        DiT opened = Checkpoints.open(file, OpenOptions.DEFAULT.withProfile(Profile.OFFICIAL))
                .open();
        assertEquals(Profile.OFFICIAL, opened.profile());
        opened.close();
    }

    @Test
    void whatIsNoModelIsRefusedWithWhatToGive() throws IOException {
        assertRefused("holds no checkpoint", FormatException.class, () -> open(folder));
        assertRefused("no such file", NoSuchFileException.class, () -> open(folder.resolve("nothing.pt")));
        Path vae = folder.resolve("vae");
        assertRefused("give a diffusers vae folder", NoSuchFileException.class, () -> Checkpoints.openVae(vae));
        try (TensorScope scope = new TensorScope()) {
            TorchFile.write(folder.resolve("one.pt"), torch.ones(1));
            TorchFile.write(folder.resolve("list.pt"), List.of(1L));
            TorchFile.write(folder.resolve("mixed.pt"), Map.of("a", torch.ones(1), "epoch", 3L));
            TorchFile.write(folder.resolve("resnet.pt"), Map.of("fc.weight", torch.ones(1)));
        }
        assertRefused("one tensor", FormatException.class, () -> open(folder.resolve("one.pt")));
        assertRefused("a list", FormatException.class, () -> open(folder.resolve("list.pt")));
        assertRefused("no DiT", FormatException.class, () -> open(folder.resolve("mixed.pt")));
        assertRefused("no DiT", FormatException.class, () -> open(folder.resolve("resnet.pt")));
        Files.write(folder.resolve("short"), new byte[] {1, 2});
        assertThrows(FormatException.class, () -> open(folder.resolve("short")));
        assertRefused(
                "no \"opt\", so there is no state of training to go on from: a checkpoint of the published training script has"
                        + " {model, ema, opt, args}; a new run can begin with the weights (--init-from)",
                FormatException.class,
                () -> OfficialTraining.read(folder.resolve("resnet.pt"), DiTConfig.of("DiT-S/2")));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "model | null | null",
                "model | {} | impossible",
                "model | DEPTH | too few",
                "classes | null | null",
                "classes | [\"a\", null] | null",
                "ddim | null | null",
                "ddim | {\"numTimesteps\":1000,\"schedule\":\"LINEAR\",\"betaStart\":1e-4,\"betaEnd\":0.02} | predicted",
                "latents | null | null",
                "latents | {\"encoderDigest\":\"ab\"} | scale",
                "colours | null | null"
            })
    void metadataThatSayNothingOrTooMuchAreRefused(String key, String value, String reason) throws IOException {
        Path file = folder.resolve("hostile.safetensors");
        DiTCheckpoint.write(file, weights());
        Map<String, String> metadata =
                new LinkedHashMap<>(Safetensors.header(file).metadata());
        String endless = metadata.get("dit4j.model").replace("\"depth\":2", "\"depth\":2000000000");
        metadata.put("dit4j." + key, value.equals("DEPTH") ? endless : value);
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(file, Safetensors.read(file), metadata);
        }
        assertRefused(reason, FormatException.class, () -> open(file));
    }

    /** A checkpoint of the published training script; {@code more} stands in the optimiser's state beside what belongs there. */
    private Path training(Object step, Map<Object, Object> more) throws IOException {
        Path file = folder.resolve("training.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = weights().read();
            List<String> names = List.copyOf(tensors.keySet());
            Map<Object, Object> state = new LinkedHashMap<>();
            List<Object> indices = new ArrayList<>();
            for (int i = 0; i < names.size(); i++) {
                Tensor weight = tensors.get(names.get(i));
                indices.add((long) i);
                if (i > 0) // 0 is pos_embed, which is not trained
                state.put((long) i, Map.of("step", step, "exp_avg", weight, "exp_avg_sq", weight));
            }
            state.putAll(more);
            Map<String, Object> group = Map.of("params", indices, "lr", 1e-4);
            TorchFile.write(
                    file,
                    Map.of(
                            "model",
                            tensors,
                            "ema",
                            tensors,
                            "opt",
                            Map.of("state", state, "param_groups", List.of(group))));
        }
        return file;
    }

    @Test
    void anOptimisersStateMayHoldMoreThanIsNeededButNoImpossibleSteps() throws IOException {
        Path file = training(3L, Map.of("1", Map.of(), 999L, 5L));
        OfficialTraining read = OfficialTraining.read(file, SMALL);
        assertEquals(3, read.steps());
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> moments = read.readMoments();
            weights()
                    .read()
                    .forEach((name, tensor) ->
                            assertTrue(name.equals("pos_embed") || tensor.equal(moments.get("exp_avg." + name)), name));
        }
        for (Object step : List.of(-1L, 1e18, Double.NaN)) {
            training(step, Map.of());
            assertRefused("from 0 to", FormatException.class, () -> OfficialTraining.read(file, SMALL));
        }
    }

    @Test
    void aShardThatIsNotThereIsNamedWithItsIndex() throws IOException {
        Path whole = folder.resolve("m.safetensors");
        DiTCheckpoint.writeShards(whole, weights(), 20_000);
        Path index = folder.resolve("m.safetensors.index.json");
        assertSame(open(index));
        Path shard = ShardIndex.read(index).tensorsByShard().keySet().iterator().next();
        Files.delete(shard);
        NoSuchFileException thrown = assertThrows(NoSuchFileException.class, () -> open(index));
        assertEquals(shard.toString(), thrown.getFile());
        assertTrue(thrown.getReason().contains(index.toString()), thrown.getReason());
    }

    @Test
    void openingAndClosingFreesAllItMakes() throws IOException {
        Path ours = folder.resolve("ours"), pt = folder.resolve("theirs");
        DiTCheckpoint.write(ours, weights());
        OfficialCheckpoint.write(pt, weights());
        Executable once = () -> {
            Checkpoints.open(ours, OpenOptions.DEFAULT).open().close();
            Checkpoints.open(pt, FOUR_HEADS).open().close();
        };
        assertFreed(once);
    }

    private static void assertFreed(Executable once) throws IOException {
        try {
            once.execute(); // what is made once stays
            long before = NativeObjects.settled();
            once.execute();
            assertEquals(before, Pointer.totalCount());
        } catch (IOException | RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aNameOfTheHubIsFoundInTheCache() throws IOException {
        Path repository = folder.resolve("hub/models--facebook--DiT-XL-2-256"),
                snapshot = repository.resolve("snapshots/abc123");
        Files.createDirectories(repository.resolve("refs"));
        Files.writeString(repository.resolve("refs/main"), "abc123");
        HubCache hub = HubCache.of(Map.of("HF_HOME", folder.toString())::get, Path.of("/nowhere"));
        assertEquals(folder.resolve("hub"), hub.folder());
        assertRefused("hf download " + HUB_NAME, NoSuchFileException.class, () -> hub.resolve(Path.of(HUB_NAME)));

        DiT computed = SMALL.network();
        DiffusersFolder.write(snapshot, DiTWeights.of(computed, List.of(), ""), Optional.empty());
        computed.close();
        assertRefused("not whole", NoSuchFileException.class, () -> hub.resolve(Path.of(HUB_NAME)));
        Files.createDirectories(snapshot.resolve("vae"));
        Files.writeString(snapshot.resolve("vae/diffusion_pytorch_model.bin"), "");
        assertEquals(snapshot, hub.resolve(Path.of(HUB_NAME)));
        assertEquals(SMALL, open(hub.resolve(Path.of(HUB_NAME))).description().model());
        // what exists is what is meant
        assertEquals(folder, hub.resolve(folder));
    }

    @Test
    void whatIsNotInTheCacheIsNamedWithSizesAndDigests() {
        HubCache hub = new HubCache(folder);
        assertRefused("2,700,611,775 bytes", NoSuchFileException.class, () -> hub.resolve(Path.of(HUB_NAME)));
        assertRefused(
                "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
                NoSuchFileException.class,
                () -> hub.resolve(Path.of("stabilityai/sd-vae-ft-mse")));
        assertRefused("hf download who/knows", NoSuchFileException.class, () -> hub.resolve(Path.of("who/knows")));
        assertRefused("no such file", NoSuchFileException.class, () -> hub.resolve(Path.of("who/knows.pt")));
        assertRefused("no such file", NoSuchFileException.class, () -> hub.resolve(Path.of("../who/knows")));
    }

    @Test
    void anErrorHasAtMostFiveLinesAndATypoInAPathIsNoNameOfTheHub() throws IOException {
        HubCache hub = new HubCache(folder.resolve("hub"));
        for (String name : List.of(HUB_NAME, "facebook/DiT-XL-2-512", "stabilityai/sd-vae-ft-mse")) {
            String message = assertThrows(NoSuchFileException.class, () -> hub.resolve(Path.of(name)))
                    .getMessage();
            assertTrue(message.lines().count() <= 5, message);
        }
        // the folder of this module's sources is there
        assertRefused("give a run folder", NoSuchFileException.class, () -> hub.resolve(Path.of("src/mian")));
        Files.createDirectories(folder.resolve("hub/models--src--mian"));
        assertRefused("hf download src/mian", NoSuchFileException.class, () -> hub.resolve(Path.of("src/mian")));
    }

    @Test
    void aCommitThatLeadsElsewhereIsRefused() throws IOException {
        Files.createDirectories(folder.resolve("models--a--b/refs"));
        Files.writeString(folder.resolve("models--a--b/refs/main"), "../../../../etc");
        assertRefused("commit", FormatException.class, () -> new HubCache(folder).resolve(Path.of("a/b")));
    }

    @Test
    void theCacheIsWhereTheEnvironmentSays() {
        Path home = Path.of("home");
        assertEquals(
                Path.of("x"),
                HubCache.of(Map.of("HF_HUB_CACHE", "x", "HF_HOME", "y")::get, home)
                        .folder());
        assertEquals(
                Path.of("home/.cache/huggingface/hub"),
                HubCache.of(Map.<String, String>of()::get, home).folder());
    }

    private static DiTWeights open(Path path) throws IOException {
        return Checkpoints.open(path, OpenOptions.DEFAULT);
    }

    private static void assertRefused(String reason, Class<? extends IOException> type, Executable call) {
        String message = assertThrows(type, call).getMessage();
        assertTrue(message.contains(reason), message);
    }
}
