package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.NativeObjects;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;

class LinearRgbTest {
    private static final LinearRgb KNOWN = new LinearRgb(2, List.of(0.1, -0.2, 0.05, 0.0, 0.1, -0.1, -0.15, 0.05, 0.0));

    private static Tensor latents(long... indices) {
        return Noise.normal(1, Purpose.SAMPLE_START, 0, indices, 2, 4, 6);
    }

    /** What the projection makes of the latents, without its clamp, every pixel four times. */
    private static Tensor images(Tensor latents) {
        float[] x = Tensors.toFloats(latents), rgb = new float[x.length / 2 * 3];
        int n = (int) latents.size(0), pixels = 24;
        for (int i = 0; i < n; i++)
            for (int colour = 0; colour < 3; colour++)
                for (int p = 0; p < pixels; p++) {
                    double value = KNOWN.coefficients().get(3 * colour + 2);
                    for (int c = 0; c < 2; c++)
                        value += KNOWN.coefficients().get(3 * colour + c) * x[(i * 2 + c) * pixels + p];
                    rgb[(i * 3 + colour) * pixels + p] = (float) value;
                }
        return torch.upsample_nearest2d(Tensors.of(rgb, n, 3, 4, 6), 8, 12);
    }

    @Test
    void aLinearImageGivesItsOwnCoefficients() {
        try (TensorScope scope = new TensorScope()) {
            LinearRgb.Fit fit = new LinearRgb.Fit(2);
            fit.add(latents(0, 1), images(latents(0, 1)));
            fit.add(latents(2), images(latents(2)));
            List<Double> found = fit.solve().coefficients();
            // the images are float32
            for (int i = 0; i < 9; i++) assertEquals(KNOWN.coefficients().get(i), found.get(i), 1e-6);
        }
    }

    @Test
    void aPreviewIsTheWeightedSumClampedToTheRangeOfImages() {
        try (TensorScope scope = new TensorScope()) {
            Tensor latents = Tensors.of(new float[] {1, 100, 2, -100}, 1, 2, 1, 2);
            long before = NativeObjects.settled();
            Tensor preview = KNOWN.preview(latents);
            assertEquals(before + 1, Pointer.totalCount());
            assertArrayEquals(new long[] {1, 3, 1, 2}, preview.shape());
            assertArrayEquals(new float[] {-0.25f, 1, 0.1f, -1, -0.05f, -1}, Tensors.toFloats(preview), 1e-6f);
        }
    }

    @Test
    void latentsThatDoNotVaryFixNothing() {
        try (TensorScope scope = new TensorScope()) {
            LinearRgb.Fit fit = new LinearRgb.Fit(2);
            assertThrows(IllegalStateException.class, fit::solve);
            fit.add(torch.ones(1, 2, 4, 6), torch.ones(1, 3, 8, 12));
            assertThrows(IllegalStateException.class, fit::solve);
            Tensor twins = latents(0).narrow(1, 0, 1).repeat(1, 2, 1, 1);
            LinearRgb.Fit alike = new LinearRgb.Fit(2);
            alike.add(twins, images(latents(0)));
            assertThrows(IllegalStateException.class, alike::solve);
        }
    }

    @Test
    void whatDoesNotFitIsRefused() {
        try (TensorScope scope = new TensorScope()) {
            LinearRgb.Fit fit = new LinearRgb.Fit(2);
            assertThrows(IllegalArgumentException.class, () -> fit.add(latents(0), torch.ones(1, 3, 9, 12)));
            assertThrows(IllegalArgumentException.class, () -> fit.add(latents(0), torch.ones(2, 3, 8, 12)));
            assertThrows(IllegalArgumentException.class, () -> KNOWN.preview(torch.ones(1, 3, 8, 12)));
            assertThrows(IllegalArgumentException.class, () -> new LinearRgb(2, List.of(1.0)));
        }
    }
}
