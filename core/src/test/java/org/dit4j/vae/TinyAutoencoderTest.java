package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TinyAutoencoderTest {
    private static TinyAutoencoder codec;

    @BeforeAll
    static void make() {
        codec = new TinyAutoencoderConfig(4).network();
        try (TensorScope scope = new TensorScope()) { // warms up, so that leaks are leaks
            codec.decode(codec.encode(images()).mean());
        }
    }

    @AfterAll
    static void free() {
        codec.close();
    }

    private static Tensor images() {
        return Noise.normal(3, Purpose.SAMPLE_START, 0, new long[] {0, 1}, 3, 16, 24);
    }

    @Test
    void aRoundTripFreesAllButItsResults() {
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images();
            long before = NativeObjects.settled();
            LatentDistribution distribution = codec.encode(images);
            assertEquals(before + 1, Pointer.totalCount());
            assertArrayEquals(new long[] {2, 4, 2, 3}, distribution.mean().shape());
            assertArrayEquals(
                    new long[] {2, 3, 16, 24}, codec.decode(distribution.mean()).shape());
            assertEquals(before + 2, Pointer.totalCount());
        }
    }

    @Test
    void neitherImagesNorLatentsAreChanged() {
        try (TensorScope scope = new TensorScope()) {
            Tensor images = images(), copy = images.clone();
            Tensor latents = codec.encode(images).mean(), latentsCopy = latents.clone();
            codec.decode(latents);
            assertEquals(0, Golden.relativeError(copy, images));
            assertEquals(0, Golden.relativeError(latentsCopy, latents));
        }
    }

    @Test
    void itHasTheNamesOfTheReference() {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> state = StateDict.of(codec);
            assertEquals(134, state.size());
            assertArrayEquals(
                    new long[] {4, 64, 3, 3},
                    state.get("encoder.layers.14.weight").shape());
            assertArrayEquals(
                    new long[] {3, 64, 3, 3},
                    state.get("decoder.layers.18.weight").shape());
            assertTrue(state.containsKey("decoder.layers.17.conv.4.bias"));
            assertTrue(!state.containsKey("encoder.layers.2.bias") && !state.containsKey("decoder.layers.6.bias"));
        }
    }

    @Test
    void tilesWithARoomyOverlapComeCloseToTheWholeImage() {
        try (TensorScope scope = new TensorScope()) {
            Tensor latents = Noise.normal(3, Purpose.SAMPLE_START, 0, new long[] {0}, 4, 24, 40);
            Tensor whole = codec.decode(latents), tiles = codec.tiled(128).decode(latents);
            assertTrue(Golden.relativeError(whole, tiles) < 0.01);
            assertEquals(0, Golden.relativeError(whole, codec.tiled(320).decode(latents)));
        }
    }

    @Test
    void hugeLatentsSaturate() {
        try (TensorScope scope = new TensorScope()) {
            Tensor latents = Noise.normal(3, Purpose.SAMPLE_START, 0, new long[] {0}, 4, 2, 2);
            Tensor huge = codec.decode(latents.mul(new Scalar(1e6))),
                    larger = codec.decode(latents.mul(new Scalar(1e9)));
            assertEquals(0, Golden.relativeError(huge, larger));
        }
    }

    @Test
    void noChannelsAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new TinyAutoencoderConfig(0));
    }
}
