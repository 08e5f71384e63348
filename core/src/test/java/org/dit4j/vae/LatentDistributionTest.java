package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;

class LatentDistributionTest {
    @Test
    void theLogarithmOfTheVarianceIsKeptWithinItsBounds() {
        try (TensorScope scope = new TensorScope()) {
            Tensor moments = Tensors.of(new float[] {1, 2, 3, -99, 99, 0.5f}, 1, 6, 1, 1);
            LatentDistribution distribution = LatentDistribution.ofMoments(moments);
            assertArrayEquals(new float[] {1, 2, 3}, Tensors.toFloats(distribution.mean()));
            assertArrayEquals(new float[] {-30, 20, 0.5f}, Tensors.toFloats(distribution.logVariance()));
        }
    }

    @Test
    void aSampleIsTheMeanAndNoiseTimesTheStandardDeviation() {
        try (TensorScope scope = new TensorScope()) {
            Tensor mean = Tensors.of(new float[] {1, 2}, 1, 1, 1, 2);
            Tensor logVariance = Tensors.of(new float[] {(float) Math.log(4), (float) Math.log(9)}, 1, 1, 1, 2);
            Tensor noise = Tensors.of(new float[] {0.5f, -1}, 1, 1, 1, 2);
            LatentDistribution distribution = new LatentDistribution(mean, logVariance);
            assertArrayEquals(new float[] {2, -1}, Tensors.toFloats(distribution.sample(noise)), 1e-6f);
            assertArrayEquals(new float[] {2, 3}, Tensors.toFloats(distribution.std()), 1e-6f);
        }
    }

    @Test
    void withoutAVarianceTheSampleIsTheMean() {
        try (TensorScope scope = new TensorScope()) {
            Tensor mean = Tensors.of(new float[] {1, 2}, 1, 1, 1, 2);
            LatentDistribution distribution = LatentDistribution.ofMean(mean);
            assertFalse(distribution.hasVariance());
            assertArrayEquals(new float[] {1, 2}, Tensors.toFloats(distribution.sample(mean)));
            assertThrows(IllegalStateException.class, distribution::logVariance);
            assertThrows(IllegalStateException.class, distribution::std);
        }
    }

    @Test
    void aVarianceOfAnotherShapeIsRefused() {
        try (TensorScope scope = new TensorScope()) {
            Tensor mean = Tensors.of(new float[] {1, 2}, 1, 1, 1, 2), other = Tensors.of(new float[] {1}, 1, 1, 1, 1);
            assertThrows(IllegalArgumentException.class, () -> new LatentDistribution(mean, other));
        }
    }
}
