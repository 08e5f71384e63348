package org.dit4j.vae;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * A picture of latents without a decoder: each of red, green and blue as a weighted sum of the latent channels, one pixel per latent pixel.
 *
 * @param channels of the latents, C
 * @param coefficients 3 rows of C weights and a constant
 */
public record LinearRgb(int channels, List<Double> coefficients) {
    static {
        Backend.configure();
    }

    /** @throws IllegalArgumentException if there are not 3 · (channels + 1) finite coefficients */
    public LinearRgb {
        coefficients = List.copyOf(coefficients);
        if (channels < 1 || coefficients.size() != 3 * (channels + 1))
            throw new IllegalArgumentException(coefficients.size() + " coefficients for " + channels
                    + " channels; 3 rows of one weight per channel and a constant");
        for (double value : coefficients)
            if (!Double.isFinite(value)) throw new IllegalArgumentException("a coefficient is " + value);
    }

    /**
     * (N, C, h, w) latents → (N, 3, h, w) float32 in [−1, 1], on the same device.
     *
     * @throws IllegalArgumentException if the latents have another number of channels
     */
    public Tensor preview(Tensor latents) {
        Shapes.requireLatents(latents, channels);
        return TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                float[] values = new float[coefficients.size()];
                for (int i = 0; i < values.length; i++)
                    values[i] = coefficients.get(i).floatValue();
                Tensor matrix = Tensors.to(Tensors.of(values, 3, channels + 1), latents.device());
                Tensor flat = latents.to(ScalarType.Float).flatten(2, 3); // (N, C, h·w)
                Tensor rgb = matrix.narrow(1, 0, channels).matmul(flat).add_(matrix.narrow(1, channels, 1));
                return rgb.view(latents.size(0), 3, latents.size(2), latents.size(3))
                        .clamp_(new ScalarOptional(new Scalar(-1.0)), new ScalarOptional(new Scalar(1.0)));
            }
        });
    }

    /** Least squares from latents to the images they stand for, batch by batch. */
    public static final class Fit {
        private final int channels;
        private final double[][] products; // of the C latents, 1, and the 3 colours with each other, summed over pixels

        /** For latents of this many channels. */
        public Fit(int channels) {
            if (channels < 1) throw new IllegalArgumentException("channels is " + channels + "; at least 1");
            this.channels = channels;
            products = new double[channels + 4][channels + 4];
        }

        /**
         * Takes a batch into account.
         *
         * @param latents (N, C, h, w)
         * @param images (N, 3, H, W) in [−1, 1], H and W multiples of h and w; each latent pixel stands for the mean of its image pixels
         * @throws IllegalArgumentException if the shapes are others
         */
        public void add(Tensor latents, Tensor images) {
            Shapes.requireLatents(latents, channels);
            Shapes.requireImages(images, 3, 1);
            if (images.size(0) != latents.size(0)
                    || images.size(2) % latents.size(2) != 0
                    || images.size(3) % latents.size(3) != 0)
                throw new IllegalArgumentException("images " + Tensors.shape(images) + " do not belong to latents "
                        + Tensors.shape(latents) + "; as many, and a multiple of their height and width");
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                Tensor colours = torch.adaptive_avg_pool2d(
                        Tensors.to(images, latents.device()).to(ScalarType.Float), latents.size(2), latents.size(3));
                Tensor x = latents.to(ScalarType.Double);
                Tensor row = Tensors.cat(1, x, torch.ones_like(x.narrow(1, 0, 1)), colours.to(ScalarType.Double))
                        .transpose(0, 1)
                        .flatten(1, 3); // (C + 4, N·h·w)
                double[] sums = Tensors.toDoubles(row.matmul(row.t()));
                int n = channels + 4;
                for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) products[i][j] += sums[i * n + j];
            }
        }

        /**
         * The projection with the least squared error.
         *
         * @throws IllegalStateException if what was added does not fix it: too few pixels, or channels that never vary
         */
        public LinearRgb solve() {
            int n = channels + 1;
            double[][] system = new double[n][];
            for (int i = 0; i < n; i++) system[i] = products[i].clone();
            double[] scale = new double[n];
            for (int i = 0; i < n; i++) scale[i] = system[i][i];
            // Gauss and Jordan; the matrix is symmetric and not negative, so the diagonal serves as the pivots
            for (int pivot = 0; pivot < n; pivot++) {
                double value = system[pivot][pivot];
                if (!(value > 1e-10 * scale[pivot]) || !Double.isFinite(value))
                    throw new IllegalStateException(
                            "the latents do not fix a projection to colours: add more images, and images that differ");
                for (int j = 0; j < n + 3; j++) system[pivot][j] /= value;
                for (int i = 0; i < n; i++) {
                    if (i == pivot) continue;
                    double factor = system[i][pivot];
                    for (int j = 0; j < n + 3; j++) system[i][j] -= factor * system[pivot][j];
                }
            }
            List<Double> coefficients = new ArrayList<>();
            for (int colour = 0; colour < 3; colour++)
                for (int i = 0; i < n; i++) coefficients.add(system[i][n + colour]);
            return new LinearRgb(channels, coefficients);
        }
    }
}
