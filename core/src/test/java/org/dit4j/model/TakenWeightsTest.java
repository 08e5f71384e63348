package org.dit4j.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.RecipeWeights;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TakenWeightsTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(3, 0.1).withTrunk(32, 2, 4);
    private static final String LAST = "final_layer.linear.weight";

    private static Map<String, Tensor> copies(DiT network) {
        Map<String, Tensor> copies = new LinkedHashMap<>();
        RecipeWeights.fill(StateDict.of(network), 7);
        StateDict.of(network)
                .forEach((name, tensor) -> copies.put(name, tensor.detach().clone()));
        return copies;
    }

    private static Tensor predict(DiT network) {
        try (NoGradGuard noGrad = new NoGradGuard()) {
            return network.forward(
                    torch.ones(1, 4, 8, 8), Tensors.of(new long[] {500}, 1), Tensors.of(new long[] {2}, 1));
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void aNetworkThatTakesWeightsOverIsTheOneTheyAreOf(DiTBlock.Kind kind) {
        try (TensorScope scope = new TensorScope()) {
            DiT made = SMALL.withBlock(kind).network();
            Map<String, Tensor> weights = copies(made);
            DiT taken = SMALL.withBlock(kind).network(Profile.OFFICIAL, weights);
            assertTrue(predict(made).equal(predict(taken)));
            Map<String, Tensor> mine = StateDict.of(taken);
            weights.forEach((name, tensor) -> {
                assertEquals(
                        tensor.data_ptr().address(), mine.get(name).data_ptr().address(), name + " is copied");
                boolean trains = StateDict.of(made).get(name).requires_grad();
                assertEquals(trains, mine.get(name).requires_grad(), name);
            });
        }
    }

    @Test
    void embeddersOfABlockActOnThatBlockAlone() {
        try (TensorScope scope = new TensorScope()) {
            DiT shared = SMALL.network(Profile.DIFFUSERS);
            Map<String, Tensor> weights = copies(shared);
            for (String name : weights.keySet().toArray(String[]::new))
                if (name.startsWith("t_embedder.") || name.startsWith("y_embedder."))
                    weights.put("blocks.1." + name, weights.get(name).clone());
            Tensor expected = predict(shared);
            DiT own = SMALL.network(Profile.DIFFUSERS, weights);
            assertTrue(expected.equal(predict(own)), "copies change the prediction");
            Trunk trunk = Trunk.of(own, Precision.FP32, false, DeviceType.CPU);
            Tensor x = torch.ones(1, 4, 8, 8), t = Tensors.of(new long[] {500}, 1), y = Tensors.of(new long[] {2}, 1);
            assertTrue(expected.equal(trunk.predict(x, t, y)));

            NoGradGuard noGrad = new NoGradGuard();
            StateDict.of(own).get("blocks.1.y_embedder.embedding_table.weight").add_(new Scalar(1));
            noGrad.close();
            assertFalse(expected.equal(predict(own)), "they are not used");
            assertThrows(IllegalStateException.class, () -> own.labelEmbeddings(y));
            assertThrows(IllegalArgumentException.class, () -> SMALL.network(Profile.OFFICIAL, weights));
            own.close();
            shared.close();
        }
    }

    @Test
    void whatSharesMemoryOrIsOfAnotherDtypeOrOrderIsCopied() {
        try (TensorScope scope = new TensorScope()) {
            DiT made = SMALL.network();
            Map<String, Tensor> weights = copies(made);
            Tensor bias = weights.get("blocks.0.attn.proj.bias");
            weights.put("blocks.1.attn.proj.bias", bias.view(bias.shape()));
            Tensor half = weights.get(LAST).to(ScalarType.Half);
            weights.put(LAST, half);
            Tensor turned =
                    weights.get("blocks.0.mlp.fc1.weight").t().contiguous().t();
            weights.put("blocks.0.mlp.fc1.weight", turned);
            Map<String, Tensor> mine = StateDict.of(SMALL.network(Profile.OFFICIAL, weights));
            for (String name : new String[] {"blocks.1.attn.proj.bias", LAST, "blocks.0.mlp.fc1.weight"}) {
                Tensor given = weights.get(name);
                assertTrue(
                        given.data_ptr().address() != mine.get(name).data_ptr().address(), name);
                assertTrue(mine.get(name).is_contiguous(), name);
                assertTrue(given.to(ScalarType.Float).equal(mine.get(name)), name);
            }
        }
    }

    @Test
    void weightsOfAnotherModelAreRefused() {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> weights = copies(SMALL.network());
            weights.remove(LAST);
            String message = assertThrows(
                            IllegalArgumentException.class,
                            () -> SMALL.withTrunk(32, 1, 4).network(Profile.OFFICIAL, weights))
                    .getMessage();
            assertTrue(message.contains("missing " + LAST) && message.contains("unexpected blocks.1."), message);
            // and what is made afterwards is initialised again
            assertTrue(StateDict.of(SMALL.network())
                            .get("blocks.0.attn.qkv.weight")
                            .std()
                            .item_double()
                    > 0.01);
        }
    }
}
