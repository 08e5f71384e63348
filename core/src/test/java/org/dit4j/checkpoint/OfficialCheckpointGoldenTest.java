package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Checkpoints as Python wrote them, against the same weights in safetensors. */
@ExtendWith(Golden.Cases.class)
class OfficialCheckpointGoldenTest {
    private static final String REFERENCE = "transformer/p2/";
    /** Copies, not arithmetic: equal to the bit. */
    private static final double EXACT = 0;

    private static OpenOptions options() {
        // no shape tells the number of heads
        return OpenOptions.DEFAULT.withNumHeads(
                Golden.json(REFERENCE + "config.json").get("num_heads").asInt());
    }

    private static DiTWeights open(String file, OpenOptions options) throws IOException {
        return Checkpoints.open(Golden.path("checkpoints/" + file), options);
    }

    @Test
    void bareStateDictsOpenAsTheirModel() throws IOException {
        JsonNode config = Golden.json(REFERENCE + "config.json");
        for (String file : new String[] {"bare.pt", "bare_legacy.pt"}) {
            DiTWeights weights = open(file, options());
            DiTConfig model = weights.description().model();
            assertEquals(config.get("input_size").asInt(), model.inputHeight());
            assertEquals(config.get("patch_size").asInt(), model.patchSize());
            assertEquals(config.get("in_channels").asInt(), model.inChannels());
            assertEquals(config.get("hidden_size").asInt(), model.hiddenSize());
            assertEquals(config.get("depth").asInt(), model.depth());
            assertEquals(config.get("num_classes").asInt(), model.numClasses());
            assertEquals(config.get("learn_sigma").asBoolean(), model.learnSigma());
            try (TensorScope scope = new TensorScope()) {
                assertEqual(file, Golden.tensors(REFERENCE + "weights.safetensors"), weights.read());
            }
        }
    }

    @Test
    void halfPrecisionWithPrefixesOpens() throws IOException {
        DiTWeights weights = open("module_prefix_half.pt", options());
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> rounded = new LinkedHashMap<>();
            Map<String, Tensor> exact = Golden.tensors(REFERENCE + "weights.safetensors");
            exact.forEach((name, tensor) -> rounded.put(name, tensor.to(ScalarType.Half)));
            Map<String, Tensor> read = weights.read();
            assertEqual("half", rounded, read);
            String name = "x_embedder.proj.weight";
            Golden.assertRejected("weights that were not rounded", exact.get(name), read.get(name), EXACT);
        }
    }

    @Test
    void aTrainingCheckpointHasBothSetsOfWeights() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<?, ?> root = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/train.pt"));
            Map<String, Tensor> averaged = open("train.pt", options()).read();
            Map<String, Tensor> trained =
                    open("train.pt", options().withWeights(Weights.MODEL)).read();
            assertEqual("ema", tensors(root.get("ema")), averaged);
            assertEqual("model", tensors(root.get("model")), trained);
            String name = "final_layer.linear.weight";
            Golden.assertRejected("the other set", averaged.get(name), trained.get(name), EXACT);
            // averaging has rounded the table: it must be loaded, not computed
            assertTrue(!averaged.get("pos_embed").equal(trained.get("pos_embed")));
        }
        assertEquals("EMA", open("train.pt", options()).description().weights());
    }

    @Test
    void theOptimiserOfATrainingCheckpointCanBeTakenOver() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            OfficialTraining training = OfficialTraining.read(
                    Golden.path("checkpoints/train.pt"),
                    open("train.pt", options()).description().model());
            Map<?, ?> opt = (Map<?, ?>) ((Map<?, ?>) TorchFile.read(Golden.path("checkpoints/train.pt"))).get("opt");
            Map<?, ?> states = (Map<?, ?>) opt.get("state");
            Map<String, Tensor> moments = training.readMoments();
            int index = 0;
            for (String name : training.model().read().keySet()) {
                Map<?, ?> state = (Map<?, ?>) states.get((long) index++);
                assertEquals(state != null, moments.containsKey("exp_avg." + name), name);
                if (state == null) continue;
                Golden.assertClose(name, (Tensor) state.get("exp_avg"), moments.get("exp_avg." + name), EXACT);
                Golden.assertClose(name, (Tensor) state.get("exp_avg_sq"), moments.get("exp_avg_sq." + name), EXACT);
                assertEquals(((Tensor) state.get("step")).item_double(), training.steps());
            }
            assertTrue(
                    training.args().containsKey("global_batch_size"),
                    () -> training.args().toString());
            assertTrue(((Number) training.hyperParameters().get("lr")).doubleValue() > 0);
            Golden.assertRejected(
                    "the moments of the next parameter",
                    moments.get("exp_avg.blocks.0.attn.qkv.weight"),
                    moments.get("exp_avg.blocks.1.attn.qkv.weight"),
                    EXACT);
        }
    }

    private static Map<String, Tensor> tensors(Object stateDict) {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        ((Map<?, ?>) stateDict).forEach((name, tensor) -> tensors.put((String) name, (Tensor) tensor));
        return tensors;
    }

    private static void assertEqual(String what, Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(expected.keySet(), actual.keySet(), what);
        expected.forEach((name, tensor) -> {
            assertEquals(
                    tensor.scalar_type().intern(),
                    actual.get(name).scalar_type().intern(),
                    name);
            Golden.assertClose(what + " " + name, tensor, actual.get(name), EXACT);
        });
    }
}
