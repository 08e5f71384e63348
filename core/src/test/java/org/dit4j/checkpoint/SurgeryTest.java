package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.RecipeWeights;
import org.dit4j.checkpoint.Surgery.Positions;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.SinCosPosition;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SurgeryTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(3, 0.1).withTrunk(32, 2, 4);
    private static final String LABELS = "y_embedder.embedding_table.weight";

    private static DiT network;

    @BeforeAll
    static void make() {
        network = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(network), 7);
        }
    }

    @AfterAll
    static void free() {
        network.close();
    }

    private static DiTWeights weights() {
        return DiTWeights.of(network, List.of(), "");
    }

    /** Of timestep 500 and one label, on fixed latents. */
    private static Tensor predict(DiT model, long label) {
        try (NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = torch.ones(
                    1, 4, model.config().inputHeight(), model.config().inputWidth());
            return model.forward(x, Tensors.of(new long[] {500}, 1), Tensors.of(new long[] {label}, 1));
        }
    }

    @Test
    void classesThatAreKeptPredictAsBeforeUnderTheirNewLabels() throws IOException {
        DiT changed = Surgery.withClasses(weights(), List.of(2, -1, -1, 0));
        try (TensorScope scope = new TensorScope()) {
            assertEquals(4, changed.config().numClasses());
            assertTrue(predict(network, 2).equal(predict(changed, 0)));
            assertTrue(predict(network, 0).equal(predict(changed, 3)));
            // the null label moves with the number of classes
            assertTrue(predict(network, 3).equal(predict(changed, 4)));
            Tensor rows = StateDict.of(changed).get(LABELS);
            assertFalse(rows.narrow(0, 1, 1).equal(rows.narrow(0, 2, 1)));
            assertTrue(rows.narrow(0, 1, 2).std().item_double() < 0.04, "fresh rows are of deviation 0.02");
        }
        changed.close();
        assertThrows(IllegalArgumentException.class, () -> Surgery.withClasses(weights(), List.of(3)));
        assertThrows(IllegalArgumentException.class, () -> Surgery.withClasses(weights(), List.of()));
    }

    @Test
    void anotherResolutionKeepsAllButThePositions() throws IOException {
        DiT larger = Surgery.withInputSize(weights(), 16, 24, Positions.COMPUTED);
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> before = StateDict.of(network), after = StateDict.of(larger);
            assertTrue(SinCosPosition.table(32, 8, 12).equal(after.get("pos_embed")));
            before.forEach((name, tensor) -> {
                if (!name.equals("pos_embed")) assertTrue(tensor.equal(after.get(name)), name);
            });
        }
        larger.close();
    }

    @Test
    void stretchedPositionsKeepTheirCornersAndWhatLiesBetween() throws IOException {
        DiT larger = Surgery.withInputSize(weights(), 14, 14, Positions.INTERPOLATED);
        try (TensorScope scope = new TensorScope()) {
            Tensor before = StateDict.of(network).get("pos_embed").view(4, 4, 32),
                    after = StateDict.of(larger).get("pos_embed").view(7, 7, 32);
            for (long row : new long[] {0, 1, 2, 3})
                for (long column : new long[] {0, 1, 2, 3}) {
                    // 4 points onto 7: every other one is an old one
                    Tensor difference = before.select(0, row)
                            .select(0, column)
                            .sub(after.select(0, 2 * row).select(0, 2 * column));
                    assertEquals(0, difference.abs().max().item_double(), 1e-5, "at " + row + ", " + column);
                }
            // not the table of the new grid, in which coordinates go on growing
            assertFalse(SinCosPosition.table(32, 7, 7).view(7, 7, 32).allclose(after));
        }
        larger.close();
    }

    @Test
    void fittingChangesClassesAndResolutionAtOnce() throws IOException {
        DiTConfig wanted = SMALL.withClasses(5, 0.1).withInputSize(16, 16);
        DiT fitted = Surgery.fitted(weights(), wanted);
        try (TensorScope scope = new TensorScope()) {
            assertEquals(wanted, fitted.config());
            Tensor before = StateDict.of(network).get(LABELS),
                    after = StateDict.of(fitted).get(LABELS);
            assertTrue(before.narrow(0, 3, 1).equal(after.narrow(0, 5, 1)), "the null row is kept");
            assertFalse(before.narrow(0, 0, 3).equal(after.narrow(0, 0, 3)), "the classes are fresh");
        }
        fitted.close();
        DiT same = Surgery.fitted(weights(), SMALL);
        try (TensorScope scope = new TensorScope()) {
            assertTrue(predict(network, 1).equal(predict(same, 1)));
        }
        same.close();
    }

    @Test
    void whatCannotBeChangedIsRefusedWithTheReason() {
        for (Map.Entry<DiTConfig, String> wrong : Map.of(
                        SMALL.withPatchSize(4), "patch size 2, wanted is 4, which cannot be changed",
                        SMALL.withInChannels(3), "another autoencoder",
                        SMALL.withTrunk(32, 3, 4), "no weight would fit",
                        SMALL.withLearnSigma(false), "learned variance",
                        SMALL.withClasses(3, 0), "label dropout")
                .entrySet()) {
            String message = assertThrows(
                            IllegalArgumentException.class, () -> Surgery.fitted(weights(), wrong.getKey()))
                    .getMessage();
            assertTrue(message.contains(wrong.getValue()), message);
        }
    }
}
