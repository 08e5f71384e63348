package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TiledTest {
    /** Means of 2×2 pixels and back: what a tile gives depends on nothing outside it, so tiles must give exactly the whole. */
    private static final class Means implements LatentCodec {
        private int tiles;

        @Override
        public int channels() {
            return 3;
        }

        @Override
        public int downsampling() {
            return 2;
        }

        @Override
        public LatentScaling scaling() {
            return new LatentScaling(2, 1);
        }

        @Override
        public LatentDistribution encode(Tensor images) {
            tiles++;
            Tensor mean =
                    TensorScope.local(() -> torch.adaptive_avg_pool2d(images, images.size(2) / 2, images.size(3) / 2));
            return new LatentDistribution(mean, TensorScope.local(() -> mean.sub(new Scalar(1.0))));
        }

        @Override
        public Tensor decode(Tensor latents) {
            tiles++;
            return TensorScope.local(() -> torch.upsample_nearest2d(
                    scaling().toRawLatents(latents), 2 * latents.size(2), 2 * latents.size(3)));
        }

        @Override
        public String encoderDigest() {
            return "";
        }

        @Override
        public void to(Device device, ScalarType dtype) {}

        @Override
        public void close() {}
    }

    @ParameterizedTest
    @CsvSource({"64, 64, 16", "40, 18, 16", "18, 40, 16", "62, 8, 8", "34, 34, 32", "128, 20, 20"})
    void tilesOfALocalCodecGiveExactlyTheWholeImage(int height, int width, int tileSize) {
        Means codec = new Means();
        LatentCodec tiled = codec.tiled(tileSize);
        try (TensorScope scope = new TensorScope()) {
            Tensor images = Noise.normal(5, Purpose.SAMPLE_START, 0, new long[] {0, 1}, 3, height, width);
            LatentDistribution whole = codec.encode(images);
            codec.tiles = 0;
            LatentDistribution tiles = tiled.encode(images);
            assertTrue(codec.tiles > 1, "one tile proves nothing");
            // float32: a weighted mean of equal numbers is that number but for rounding
            assertEquals(0, Golden.relativeError(whole.mean(), tiles.mean()), 1e-6);
            assertEquals(0, Golden.relativeError(whole.logVariance(), tiles.logVariance()), 1e-6);
            Tensor latents = codec.scaling().toLatents(whole.mean());
            assertEquals(0, Golden.relativeError(codec.decode(latents), tiled.decode(latents)), 1e-6);
        }
    }
}
