package org.dit4j.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DiTTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 12, 2, 3, 24, 2, 3, 4, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    @BeforeAll
    static void seed() {
        org.dit4j.torch.Backend.load();
        torch.manual_seed(3);
    }

    /** Every parameter random, so that nothing is zero that a fresh network has at zero. */
    static DiT randomNetwork(DiTConfig config) {
        DiT network = config.network();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            StateDict.of(network).forEach((name, tensor) -> {
                if (!name.equals("pos_embed")) torch.normal_(tensor, 0, 0.15);
            });
        }
        return network;
    }

    static Tensor noise(DiTConfig config, long n) {
        return torch.randn(n, config.inChannels(), config.inputHeight(), config.inputWidth());
    }

    private static Tensor times(double... t) {
        return Tensors.of(t, t.length);
    }

    private static Tensor labels(long... y) {
        return Tensors.of(y, y.length);
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void aFreshNetworkOutputsExactlyZero(DiTBlock.Kind kind) {
        try (DiT network = TINY.withBlock(kind).network();
                TensorScope scope = new TensorScope()) {
            Tensor out = network.forward(noise(TINY, 2), times(0, 700), labels(1, 5));
            assertEquals(
                    java.util.List.of(2L, 6L, 8L, 12L),
                    java.util.Arrays.stream(out.shape()).boxed().toList());
            assertEquals(0, torch.max(out.abs()).item_double());
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void outputsDependOnTimestepLabelAndPosition(DiTBlock.Kind kind) {
        try (DiT network = randomNetwork(TINY.withBlock(kind));
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = noise(TINY, 1);
            Tensor out = network.forward(x, times(10), labels(1));
            assertTrue(Golden.relativeError(out, network.forward(x, times(11), labels(1))) > 1e-4);
            assertTrue(Golden.relativeError(out, network.forward(x, times(10.5), labels(1))) > 1e-5);
            assertTrue(Golden.relativeError(out, network.forward(x, times(10), labels(5))) > 1e-3);
            // moving the patches moves the output too, but not only: positions matter
            Tensor rolled = network.forward(torch.roll(x, new long[] {2}, 3), times(10), labels(1));
            assertTrue(Golden.relativeError(torch.roll(out, new long[] {2}, 3), rolled) > 1e-3);
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void anUnconditionalNetworkNeedsNoLabels(DiTBlock.Kind kind) {
        try (DiT network = randomNetwork(TINY.withBlock(kind).withClasses(0, 0));
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            assertEquals(
                    4, network.forward(noise(TINY, 4), times(1, 2, 3, 4), null).size(0));
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void rowsDoNotMix(DiTBlock.Kind kind) {
        try (DiT network = randomNetwork(TINY.withBlock(kind));
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = noise(TINY, 3), other = noise(TINY, 3);
            other.narrow(0, 1, 1).copy_(x.narrow(0, 1, 1));
            Tensor a = network.forward(x, times(5, 500, 900), labels(0, 1, 2)).narrow(0, 1, 1);
            Tensor b =
                    network.forward(other, times(77, 500, 3), labels(4, 1, 5)).narrow(0, 1, 1);
            assertTrue(torch.equal(a, b), "the same row at the same batch shape is bitwise the same");
            Tensor alone = network.forward(x.narrow(0, 1, 1), times(500), labels(1));
            assertTrue(Golden.relativeError(a, alone) < 1e-5, "and within float32 rounding at another");
        }
    }

    @Test
    void unpatchifyInvertsPatchify() {
        DiTConfig config = TINY.withLearnSigma(false);
        try (DiT network = config.network();
                TensorScope scope = new TensorScope()) {
            Tensor image = noise(config, 2); // (N, c, h·p, w·p)
            Tensor tokens =
                    image.reshape(2, 3, 4, 2, 6, 2).permute(0, 2, 4, 3, 5, 1).reshape(2, 24, 12);
            assertTrue(torch.equal(image, network.unpatchify(tokens)));
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void bfloat16InferenceStaysCloseToFloat32(DiTBlock.Kind kind) {
        try (DiT network = randomNetwork(TINY.withBlock(kind));
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = noise(TINY, 2);
            Tensor exact = network.forward(x, times(20, 800), labels(1, 2));
            network.to(ScalarType.BFloat16, false);
            Tensor rough = network.forward(x, times(20, 800), labels(1, 2));
            assertEquals(ScalarType.BFloat16, Tensors.dtype(rough));
            double error = Golden.relativeError(exact, rough);
            // eight bits of mantissa: 4e-3 per rounding, a few of them in a row
            assertTrue(error < 5e-2 && error > 1e-4, "error " + error);
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void forwardFreesEverythingItMakesButItsResult(DiTBlock.Kind kind) {
        try (DiT network = randomNetwork(TINY.withBlock(kind));
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = noise(TINY, 2), t = times(20, 800), y = labels(1, 2);
            network.forward(x, t, y);
            long before = NativeObjects.settled();
            network.forward(x, t, y);
            assertEquals(before + 1, Pointer.totalCount());
        }
    }

    @Test
    void latentsOfAnotherSizeAreRefused() {
        try (DiT network = TINY.network();
                TensorScope scope = new TensorScope()) {
            String message = assertThrows(
                            IllegalArgumentException.class,
                            () -> network.forward(torch.randn(1, 3, 8, 8), times(1), labels(1)))
                    .getMessage();
            assertEquals("latents are [1, 3, 8, 8], this model needs [N, 3, 8, 12]", message);
        }
    }

    @Test
    void weightsThatDoNotFitAreListed() {
        try (DiT small = TINY.network();
                DiT wide = TINY.withTrunk(36, 2, 3).network();
                TensorScope scope = new TensorScope()) {
            var weights = new java.util.LinkedHashMap<>(StateDict.of(wide));
            weights.remove("blocks.1.mlp.fc2.bias");
            weights.put("extra", torch.randn(2));
            String message = assertThrows(IllegalArgumentException.class, () -> StateDict.load(small, weights))
                    .getMessage();
            assertTrue(message.contains("pos_embed is [1, 24, 36], the model needs [1, 24, 24]"), message);
        }
    }

    @Test
    void anEmbeddingOfALabelIsThatLabelAndBetweenTwoLieOthers() {
        DiTConfig config = new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);
        try (DiT network = randomNetwork(config);
                TensorScope scope = new TensorScope()) {
            Tensor x = noise(config, 2), t = Tensors.of(new long[] {10, 900}, 2);
            Tensor labels = Tensors.of(new long[] {1, 4}, 2);
            Tensor named = network.forward(x, t, labels), embeddings = network.labelEmbeddings(labels);
            assertTrue(torch.equal(named, network.forward(x, t, embeddings)));
            Tensor between = embeddings
                    .mul(new Scalar(0.5))
                    .add(network.labelEmbeddings(Tensors.of(new long[] {2, 2}, 2))
                            .mul(new Scalar(0.5)));
            assertFalse(torch.equal(named, network.forward(x, t, between)));
        }
    }
}
