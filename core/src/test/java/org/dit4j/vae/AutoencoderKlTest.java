package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.RecipeWeights;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AutoencoderKlTest {
    private static final AutoencoderKlConfig SMALL = new AutoencoderKlConfig(
            3, 3, 4, List.of(8, 16, 16), 1, 4, 32, true, true, true, LatentScaling.STABLE_DIFFUSION);

    private static AutoencoderKl codec;

    @BeforeAll
    static void make() {
        codec = small(SMALL, 7);
        try (TensorScope scope = new TensorScope()) { // warms up, so that leaks are leaks
            codec.decode(codec.encode(images(1, 16, 16)).mean());
        }
    }

    @AfterAll
    static void free() {
        codec.close();
    }

    private static AutoencoderKl small(AutoencoderKlConfig config, long seed) {
        AutoencoderKl made = config.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(made), seed);
        }
        return made;
    }

    private static Tensor images(int count, int height, int width) {
        long[] indices = new long[count];
        for (int i = 0; i < count; i++) indices[i] = i;
        return TensorScope.local(() -> Noise.normal(3, Purpose.SAMPLE_START, 0, indices, 3, height, width)
                .mul(new Scalar(0.5)));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aRoundTripFreesAllButItsResults(boolean withScopeAround) {
        Tensor images = images(2, 16, 16);
        long before = NativeObjects.settled();
        if (withScopeAround) {
            try (TensorScope scope = new TensorScope()) {
                LatentDistribution distribution = codec.encode(images);
                Tensor sample = distribution.sample(distribution.mean());
                codec.decode(codec.scaling().toLatents(sample));
                assertEquals(before + 5, Pointer.totalCount(), "mean, log-variance, sample, latents and images");
            }
        } else {
            try (LatentDistribution distribution = codec.encode(images);
                    Tensor latents = codec.scaling().toLatents(distribution.mean());
                    Tensor decoded = codec.decode(latents)) {
                assertEquals(before + 4, Pointer.totalCount(), "mean, log-variance, latents and images");
            }
        }
        assertEquals(before, Pointer.totalCount());
        images.close();
    }

    @Test
    void codingBuildsNoGraph() {
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images(1, 16, 16).requires_grad_(true);
            LatentDistribution distribution = codec.encode(images);
            assertTrue(!distribution.mean().requires_grad()
                    && !distribution.logVariance().requires_grad());
            assertTrue(!codec.decode(distribution.mean().requires_grad_(true)).requires_grad());
        }
    }

    @Test
    void latentsAreAsManyTimesSmallerAsSaidAndImagesComeBackWhole() {
        try (TensorScope scope = new TensorScope()) {
            LatentDistribution distribution = codec.encode(images(2, 16, 24));
            assertEquals(4, codec.downsampling());
            assertArrayEquals(new long[] {2, 4, 4, 6}, distribution.mean().shape());
            assertArrayEquals(
                    new long[] {2, 3, 16, 24}, codec.decode(distribution.mean()).shape());
        }
    }

    @Test
    void slicesGiveWhatTheWholeBatchGives() {
        LatentCodec sliced = codec.sliced(2);
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images(5, 16, 16);
            LatentDistribution whole = codec.encode(images), parts = sliced.encode(images);
            // float32: another batch size may sum in another order
            assertTrue(Golden.relativeError(whole.mean(), parts.mean()) < 1e-6);
            assertTrue(Golden.relativeError(whole.logVariance(), parts.logVariance()) < 1e-6);
            assertTrue(Golden.relativeError(codec.decode(whole.mean()), sliced.decode(whole.mean())) < 1e-6);
            long before = NativeObjects.settled();
            sliced.decode(whole.mean());
            sliced.encode(images);
            assertEquals(before + 3, Pointer.totalCount(), "images, mean and log-variance");
        }
    }

    @Test
    void anImageThatFitsOneTileIsCodedAsAWhole() {
        LatentCodec tiled = codec.tiled(32);
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images(1, 32, 32);
            Tensor mean = codec.encode(images).mean();
            assertArrayEquals(
                    Tensors.toFloats(mean),
                    Tensors.toFloats(tiled.encode(images).mean()));
            assertArrayEquals(Tensors.toFloats(codec.decode(mean)), Tensors.toFloats(tiled.decode(mean)));
        }
    }

    @Test
    void tilesComeCloseToTheWholeImage() {
        LatentCodec tiled = codec.tiled(64);
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images(1, 96, 128);
            LatentDistribution whole = codec.encode(images), tiles = tiled.encode(images);
            assertArrayEquals(whole.mean().shape(), tiles.mean().shape());
            // the statistics of GroupNorm and the attention are those of a tile, the rest is the same
            assertTrue(Golden.relativeError(whole.mean(), tiles.mean()) < 0.2);
            assertTrue(Golden.relativeError(whole.logVariance(), tiles.logVariance()) < 0.2);
            Tensor decoded = codec.decode(whole.mean());
            assertTrue(Golden.relativeError(decoded, tiled.decode(whole.mean())) < 0.2);
            long before = NativeObjects.settled();
            tiled.decode(whole.mean());
            tiled.encode(images);
            assertEquals(before + 3, Pointer.totalCount(), "images, mean and log-variance");
        }
    }

    @Test
    void bfloat16GivesNearlyTheSameInFloat32() {
        AutoencoderKl half = small(SMALL, 7);
        String digest = half.encoderDigest();
        half.to(Backend.device("cpu"), ScalarType.BFloat16);
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images(1, 32, 32);
            LatentDistribution exact = codec.encode(images), rounded = half.encode(images);
            assertEquals(ScalarType.Float, rounded.mean().scalar_type().intern());
            // eight bits of mantissa, some twenty layers
            assertTrue(Golden.relativeError(exact.mean(), rounded.mean()) < 0.03);
            Tensor decoded = half.decode(exact.mean());
            assertEquals(ScalarType.Float, decoded.scalar_type().intern());
            assertTrue(Golden.relativeError(codec.decode(exact.mean()), decoded) < 0.03);
        }
        assertEquals(digest, half.encoderDigest());
        assertThrows(IllegalArgumentException.class, () -> half.to(Backend.device("cpu"), ScalarType.Half));
        half.close();
    }

    @Test
    void theDigestIsOfTheEncoderAlone() {
        AutoencoderKl other = small(SMALL, 7);
        assertEquals(codec.encoderDigest(), other.encoderDigest());
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            StateDict.of(other).get("decoder.conv_in.bias").add_(new Scalar(1.0));
            assertEquals(codec.encoderDigest(), other.encoderDigest());
            StateDict.of(other).get("quant_conv.bias").add_(new Scalar(1.0));
            assertNotEquals(codec.encoderDigest(), other.encoderDigest());
        }
        other.close();
    }

    @Test
    void closingFreesTheWeightsAtOnce() {
        AutoencoderKl other = small(SMALL, 7);
        try (TensorScope scope = new TensorScope()) {
            Tensor weight = StateDict.of(other).get("encoder.conv_in.weight");
            assertEquals(8 * 3 * 9, weight.numel());
            other.close();
            assertEquals(0, weight.numel());
            other.close(); // again does no harm
        }
    }

    @Test
    void severalThreadsMayCodeAtOnce() throws InterruptedException, ExecutionException {
        float[] expected;
        try (TensorScope scope = new TensorScope()) {
            expected = Tensors.toFloats(codec.encode(images(1, 16, 16)).mean());
        }
        ExecutorService threads = Executors.newFixedThreadPool(3);
        try {
            List<Future<float[]>> results = java.util.stream.IntStream.range(0, 6)
                    .mapToObj(i -> threads.submit(() -> {
                        try (TensorScope scope = new TensorScope()) {
                            return Tensors.toFloats(
                                    codec.encode(images(1, 16, 16)).mean());
                        }
                    }))
                    .toList();
            // another thread may split its sums otherwise
            for (Future<float[]> result : results) assertArrayEquals(expected, result.get(), 1e-5f);
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void withoutTheOptionalPartsItStillCodes() {
        AutoencoderKl bare = small(
                new AutoencoderKlConfig(
                        3, 3, 16, List.of(8, 16), 1, 4, 32, false, false, false, new LatentScaling(1.5, 0.06)),
                1);
        try (TensorScope scope = new TensorScope()) {
            LatentDistribution distribution = bare.encode(images(1, 16, 16));
            assertArrayEquals(new long[] {1, 16, 8, 8}, distribution.mean().shape());
            assertArrayEquals(
                    new long[] {1, 3, 16, 16}, bare.decode(distribution.mean()).shape());
            assertTrue(StateDict.of(bare).keySet().stream()
                    .noneMatch(name -> name.contains("quant_conv") || name.contains("attentions")));
        }
        bare.close();
    }

    @Test
    void whatItCannotCodeIsRefusedWithTheReason() {
        try (TensorScope scope = new TensorScope()) {
            assertRefused("multiples of 4", () -> codec.encode(images(1, 18, 16)));
            assertRefused("(N, 3, H, W)", () -> codec.encode(images(1, 16, 16).narrow(1, 0, 2)));
            assertRefused("floating-point", () -> codec.encode(images(1, 16, 16).to(ScalarType.Byte)));
            assertRefused("(N, 4, h, w)", () -> codec.decode(images(1, 16, 16)));
            assertRefused("at least 16", () -> codec.tiled(12));
            assertRefused("a multiple of 4", () -> codec.tiled(30));
            assertRefused("at least 1", () -> codec.sliced(0));
            assertRefused("multiples of 4", () -> codec.tiled(16).encode(images(1, 38, 16)));
        }
    }

    private static void assertRefused(String reason, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(reason), message);
    }
}
