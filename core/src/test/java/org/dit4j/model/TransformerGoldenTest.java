package org.dit4j.model;

import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.RecipeWeights;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.sample.Guidance;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Made with models.py of the published DiT in PyTorch 2.11 on a CPU, with random weights. */
@ExtendWith(Golden.Cases.class)
class TransformerGoldenTest {
    /** float32 sums in another order; LayerNorm with ε = 1e-5 would give more. */
    private static final double FLOAT32 = 5e-6;
    /** At t = 0 the embedding is exact, and what is left are the sums of the network itself. */
    private static final double FLOAT32_ROW_0 = 1e-6;
    /** The same in float64. */
    private static final double FLOAT64_ROW_0 = 1e-12;
    /** The reference's gradients are float64, ours float32. */
    private static final double GRADIENT = 1e-4;
    /** A full-size network sums over more layers; same machine arithmetic. */
    private static final double FULL_SIZE = 1e-5;

    static Stream<String> smallNetworks() {
        return List.of("transformer/p2", "transformer/p4", "transformer/p8").stream();
    }

    private static DiT network(String folder) {
        DiT network = Golden.model(folder + "/config.json").network();
        try (TensorScope scope = new TensorScope()) {
            StateDict.load(network, Golden.tensors(folder + "/weights.safetensors"));
        }
        network.to(Golden.device(), false);
        return network;
    }

    @ParameterizedTest
    @MethodSource("smallNetworks")
    void outputsEqualTheReference(String folder) {
        try (DiT network = network(folder);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> io = Golden.onDevice(folder + "/io.safetensors");
            Tensor out = network.forward(io.get("x"), io.get("t"), io.get("y"));
            assertClose(folder + " out", io.get("out"), out, FLOAT32);
            assertClose(folder + " row 0", io.get("out").narrow(0, 0, 1), out.narrow(0, 0, 1), FLOAT32_ROW_0);
        }
    }

    @ParameterizedTest
    @MethodSource("smallNetworks")
    void fractionalTimestepsEqualTheReference(String folder) {
        JsonNode fractions = Golden.json("index.json").get("fractional_timesteps");
        float[] t = new float[fractions.size()];
        for (int i = 0; i < t.length; i++) t[i] = (float) fractions.get(i).asDouble();
        try (DiT network = network(folder);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> io = Golden.onDevice(folder + "/io.safetensors");
            Tensor out =
                    network.forward(io.get("x"), Tensors.to(Tensors.of(t, t.length), Golden.device()), io.get("y"));
            assertClose(folder + " fractional", io.get("out_fractional_t"), out, FLOAT32);
        }
    }

    @ParameterizedTest
    @MethodSource("smallNetworks")
    void aFloat64NetworkIsExactWhereTheEmbeddingIs(String folder) {
        try (DiT network = network(folder);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            network.to(ScalarType.Double, false);
            Map<String, Tensor> io = Golden.onDevice(folder + "/io.safetensors");
            Tensor out = network.forward(io.get("x"), io.get("t"), io.get("y"));
            assertEquals(0, io.get("t").select(0, 0).item_long(), "row 0 is meant to be the one with t = 0");
            assertClose(folder + " float64", io.get("out_float64").narrow(0, 0, 1), out.narrow(0, 0, 1), FLOAT64_ROW_0);
        }
    }

    @ParameterizedTest
    @MethodSource("smallNetworks")
    void gradientsEqualTheReference(String folder) {
        try (DiT network = network(folder);
                TensorScope scope = new TensorScope()) {
            Map<String, Tensor> io = Golden.onDevice(folder + "/io.safetensors");
            Gradients.backward(network.forward(io.get("x"), io.get("t"), io.get("y")), io.get("loss_weight"));
            Map<String, Tensor> parameters = StateDict.of(network);
            List<String> named = new ArrayList<>();
            io.keySet().stream().filter(key -> key.startsWith("grad.")).forEach(key -> named.add(key.substring(5)));
            assertEquals(parameters.size() - 1, named.size(), "every parameter but the position table has a gradient");
            for (String name : named)
                assertClose(
                        folder + " gradient of " + name,
                        io.get("grad." + name),
                        parameters.get(name).grad(),
                        GRADIENT);
        }
    }

    @ParameterizedTest
    @MethodSource("smallNetworks")
    void guidedOutputsEqualTheReference(String folder) {
        JsonNode cfg = Golden.json("index.json").get("cfg");
        try (DiT network = network(folder);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> io = Golden.onDevice(folder + "/io.safetensors");
            long n = io.get("cfg_x").size(0) / 2; // the file holds the conditional rows, then the null rows
            Tensor t = io.get("cfg_t");
            Denoiser denoiser = (x, timestep, condition) -> network.forward(x, t, condition.labels());
            Tensor labels = io.get("cfg_y").narrow(0, 0, n), x = io.get("cfg_x").narrow(0, 0, n);
            long nullLabel = network.config().nullLabel();
            double timestep = t.select(0, 0).item_long();
            int channels = cfg.get("channels").asInt();
            double scale = cfg.get("scale").asDouble();
            Tensor expected = io.get("cfg_out").narrow(0, 0, n);
            Tensor guided = Guidance.classifierFree(denoiser, scale, nullLabel, channels)
                    .predict(x, timestep, Condition.of(labels));
            assertClose(folder + " guided", expected, guided, FLOAT32);
            Tensor all = Guidance.classifierFree(denoiser, scale, nullLabel, channels + 1)
                    .predict(x, timestep, Condition.of(labels));
            assertRejected("one more channel guided", expected, all, FLOAT32);
        }
    }

    @ParameterizedTest
    @MethodSource("smallNetworks")
    void wrongVariantsAreRejected(String folder) {
        DiTConfig config = Golden.model(folder + "/config.json");
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> io = Golden.tensors(folder + "/io.safetensors");
            Map<String, Tensor> weights = Golden.tensors(folder + "/weights.safetensors");
            Tensor expected = io.get("out");
            Tensor right = PlainForward.right(config).apply(weights, io.get("x"), io.get("t"), io.get("y"));
            assertClose(folder + " written a second time", expected, right, FLOAT32);
            Tensor divisor =
                    new PlainForward(config, 1e-6, 127, "tanh").apply(weights, io.get("x"), io.get("t"), io.get("y"));
            assertRejected("frequencies divided by 127", expected, divisor, FLOAT32);
            Tensor gelu =
                    new PlainForward(config, 1e-6, 128, "none").apply(weights, io.get("x"), io.get("t"), io.get("y"));
            assertRejected("GELU without the tanh approximation", expected, gelu, FLOAT32);
            assertRejected("the same, row 0", expected.narrow(0, 0, 1), gelu.narrow(0, 0, 1), FLOAT32_ROW_0);
            // how far a wrong eps moves a float32 output depends on the weights (3e-6 to 8e-6 here); in float64 nothing
            // hides it
            weights.replaceAll((name, tensor) -> tensor.to(ScalarType.Double));
            Tensor exact = io.get("out_float64").narrow(0, 0, 1);
            Tensor x = io.get("x").to(ScalarType.Double);
            Tensor right64 = PlainForward.right(config).apply(weights, x, io.get("t"), io.get("y"));
            assertClose(folder + " float64 a second time", exact, right64.narrow(0, 0, 1), FLOAT64_ROW_0);
            Tensor eps = new PlainForward(config, 1e-5, 128, "tanh").apply(weights, x, io.get("t"), io.get("y"));
            assertRejected("LayerNorm eps 1e-5", exact, eps.narrow(0, 0, 1), FLOAT64_ROW_0);
        }
    }

    static Stream<String> fullSize() {
        List<String> files = Golden.list("transformer/full", ".safetensors");
        return files.isEmpty() ? Stream.of("") : files.stream();
    }

    @ParameterizedTest
    @MethodSource("fullSize")
    void fullSizeNetworksFromTheRecipeEqualTheReference(String file) {
        String path = "transformer/full/" + file + ".safetensors";
        Map<String, String> metadata = Golden.metadata(path);
        int dash = file.lastIndexOf('-');
        DiTConfig config = DiTConfig.of(file.substring(0, dash) + "/" + file.substring(dash + 1));
        try (DiT network = sized(config, path).network();
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            RecipeWeights.fill(StateDict.of(network), Long.parseLong(metadata.get("seed")));
            network.to(Golden.device(), false);
            Map<String, Tensor> io = Golden.onDevice(path);
            Tensor out = network.forward(io.get("x"), io.get("t"), io.get("y"));
            assertClose(path, io.get("out"), out, FULL_SIZE);
        }
    }

    private static DiTConfig sized(DiTConfig config, String path) {
        try (TensorScope scope = new TensorScope()) {
            Tensor x = Golden.tensors(path).get("x");
            return config.withInputSize((int) x.size(2), (int) x.size(3));
        }
    }

    @Test
    void thePositionTableEqualsTheReference() {
        try (TensorScope scope = new TensorScope()) {
            Tensor expected =
                    Golden.tensors("transformer/pos_embed_B4.safetensors").get("pos_embed");
            int side = (int) Math.sqrt(expected.size(1));
            Tensor table = SinCosPosition.table((int) expected.size(2), side, side);
            assertTrue(
                    torch.max(table.sub(expected).abs()).item_double() <= 1e-6,
                    "more than one unit in the last place of a float32 near 1");
            Golden.ran();
            Tensor rowFirst = table.view(side, side, -1).transpose(0, 1).reshape(1, (long) side * side, -1);
            assertRejected("row before column", expected, rowFirst, 1e-6);
        }
    }

    @Test
    void namesShapesAndCountsEqualTheReference() {
        JsonNode configs = Golden.json("transformer/configs.json");
        for (Map.Entry<String, JsonNode> entry : configs.properties()) {
            if (entry.getKey().endsWith(" shapes")) continue;
            DiTConfig config = DiTConfig.of(entry.getKey());
            assertEquals(entry.getValue().get("parameters").asLong(), config.parameters(), entry.getKey());
            Golden.ran();
        }
    }

    static Stream<String> shapesOf() {
        List<String> names = new ArrayList<>();
        for (Map.Entry<String, JsonNode> entry :
                Golden.json("transformer/configs.json").properties())
            if (entry.getKey().endsWith(" shapes")) names.add(entry.getKey());
        return names.stream();
    }

    @ParameterizedTest
    @MethodSource("shapesOf")
    void everyParameterHasTheNameShapeAndPlaceOfTheReference(String entry) {
        JsonNode configs = Golden.json("transformer/configs.json");
        String name = entry.substring(0, entry.length() - " shapes".length());
        List<String> expected = new ArrayList<>();
        configs.get(entry).properties().forEach(shape -> expected.add(shape.getKey() + " " + shape.getValue()));
        try (DiT network = DiTConfig.of(name).network();
                TensorScope scope = new TensorScope()) {
            List<String> actual = new ArrayList<>();
            StateDict.of(network)
                    .forEach((key, tensor) ->
                            actual.add(key + " " + Tensors.shape(tensor).replace(" ", "")));
            assertEquals(expected, actual);
            assertEquals(configs.get(name).get("tensors").asInt(), actual.size());
            Golden.ran();
        }
    }
}
