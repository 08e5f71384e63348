package org.dit4j.diffusion;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** β of every timestep that a configuration stands for. */
final class Betas {
    private Betas() {}

    static double[] of(DiffusionConfig config) {
        return switch (config.products()) {
            case FLOAT64 -> config.schedule().betas(config.numTimesteps(), config.betaStart(), config.betaEnd());
            case FLOAT32 -> ofProducts(roundedProducts(config));
        };
    }

    /** The β that, multiplied out in float64, give these ᾱ. */
    private static double[] ofProducts(double[] products) {
        double[] betas = new double[products.length];
        for (int t = 0; t < betas.length; t++) betas[t] = 1 - products[t] / (t == 0 ? 1 : products[t - 1]);
        return betas;
    }

    /** ᾱ by LibTorch in float32, whose rounding is part of it. */
    private static double[] roundedProducts(DiffusionConfig config) {
        try (TensorScope scope = new TensorScope()) {
            Tensor betas = switch (config.schedule()) {
                case LINEAR -> linspace(config.betaStart(), config.betaEnd(), config.numTimesteps());
                case QUAD ->
                    linspace(Math.sqrt(config.betaStart()), Math.sqrt(config.betaEnd()), config.numTimesteps())
                            .square();
                default ->
                    Tensors.of(config.schedule().betas(config.numTimesteps()), config.numTimesteps())
                            .to(ScalarType.Float);
            };
            return Tensors.toDoubles(betas.neg().add(new Scalar(1)).cumprod(0));
        }
    }

    private static Tensor linspace(double start, double end, int count) {
        return torch.linspace(new Scalar(start), new Scalar(end), count);
    }
}
