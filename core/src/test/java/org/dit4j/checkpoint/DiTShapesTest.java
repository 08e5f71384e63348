package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DiTShapesTest {
    private static final DiTConfig SMALL = DiTConfig.of("DiT-S/4").withTrunk(64, 2, 4);

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void theyAreThoseOfTheNetworkInItsOrder(DiTBlock.Kind kind) {
        for (DiTConfig config : List.of(
                SMALL.withBlock(kind),
                SMALL.withBlock(kind).withClasses(0, 0).withLearnSigma(false).withInputSize(16, 32))) {
            DiT network = config.network();
            List<String> expected = new ArrayList<>(), actual = new ArrayList<>();
            try (TensorScope scope = new TensorScope()) {
                StateDict.of(network)
                        .forEach((name, tensor) -> expected.add(name + org.dit4j.torch.Tensors.shape(tensor)));
            }
            DiTShapes.of(config).forEach((name, shape) -> actual.add(name + shape));
            assertEquals(expected, actual);
            network.close();
        }
    }

    @Test
    void theModelIsFoundFromThem() {
        for (String name : DiTConfig.names()) {
            DiTConfig config = DiTConfig.of(name).withInputSize(64, 64).withClasses(43, 0.1);
            assertEquals(config, DiTShapes.config(DiTShapes.of(config), OptionalInt.empty()));
            assertEquals(name, DiTShapes.name(config));
        }
        for (DiTBlock.Kind kind : DiTBlock.Kind.values()) {
            DiTConfig config = SMALL.withBlock(kind).withLearnSigma(false).withInChannels(3);
            assertEquals(config, DiTShapes.config(DiTShapes.of(config), OptionalInt.of(4)));
        }
        DiTConfig unconditional = SMALL.withClasses(0, 0);
        assertEquals(unconditional, DiTShapes.config(DiTShapes.of(unconditional), OptionalInt.of(4)));
    }

    @Test
    void theHeadsOfAnUnknownWidthAreNotGuessed() {
        assertRefused("say how many", () -> DiTShapes.config(DiTShapes.of(SMALL), OptionalInt.empty()));
    }

    @Test
    void aMisfitNamesKeysShapesAndTheLikelyCause() {
        DiTConfig base = DiTConfig.of("DiT-B/4"), small = DiTConfig.of("DiT-S/4");
        assertRefused("are they those of DiT-S/4?", () -> DiTShapes.requireFit(base, DiTShapes.of(small)));
        assertRefused(
                "blocks.0.attn.qkv.weight is [1152, 384], the model needs [2304, 768]",
                () -> DiTShapes.requireFit(base.withTrunk(768, 1, 12), DiTShapes.of(small.withTrunk(384, 1, 6))));
        assertRefused(
                "the file's model has 10 classes",
                () -> DiTShapes.requireFit(small, DiTShapes.of(small.withClasses(10, 0.1))));
        Map<String, List<Long>> shapes = new LinkedHashMap<>(DiTShapes.of(small));
        shapes.remove("blocks.3.mlp.fc1.bias");
        shapes.put("optimizer.lr", List.of(1L));
        assertRefused(
                "missing blocks.3.mlp.fc1.bias [1536]; unexpected optimizer.lr [1]",
                () -> DiTShapes.requireFit(small, shapes));
    }

    @Test
    void otherNetworksAreCalledByTheirName() {
        assertRefused(
                "looks like an autoencoder",
                () -> DiTShapes.config(
                        Map.of("encoder.conv_in.weight", List.of(128L, 3L, 3L, 3L)), OptionalInt.empty()));
        assertRefused(
                "diffusers",
                () -> DiTShapes.config(
                        Map.of("transformer_blocks.0.norm1.emb.timestep_embedder.linear_1.bias", List.of(64L)),
                        OptionalInt.empty()));
        assertRefused(
                "fc.weight", () -> DiTShapes.config(Map.of("fc.weight", List.of(10L, 512L)), OptionalInt.empty()));
    }

    @Test
    void hostileShapesAreRefusedAndNotComputedWith() {
        for (List<Long> shape : List.of(
                List.of(Long.MAX_VALUE, 4L, 2L, 2L),
                List.of(64L, 4L),
                List.of(0L, 4L, 2L, 2L),
                List.of(64L, 4L, -2L, 2L))) {
            Map<String, List<Long>> shapes = new LinkedHashMap<>(DiTShapes.of(SMALL));
            shapes.put("x_embedder.proj.weight", shape);
            assertThrows(IllegalArgumentException.class, () -> DiTShapes.config(shapes, OptionalInt.of(4)));
        }
        Map<String, List<Long>> shapes = new LinkedHashMap<>(DiTShapes.of(SMALL));
        shapes.put("pos_embed", List.of(1L, 1L << 60, 0L)); // which takes no bytes
        assertThrows(IllegalArgumentException.class, () -> DiTShapes.config(shapes, OptionalInt.of(4)));
        DiTConfig endless = SMALL.withTrunk(SMALL.hiddenSize(), 2_000_000_000, SMALL.numHeads());
        assertRefused("too few", () -> DiTShapes.requireFit(endless, shapes));
        assertRefused("patches", () -> SMALL.withInputSize(1_000_000, 1_000_000));
    }

    private static void assertRefused(String reason, org.junit.jupiter.api.function.Executable call) {
        String message = assertThrows(IllegalArgumentException.class, call).getMessage();
        assertTrue(message.contains(reason), message);
    }
}
