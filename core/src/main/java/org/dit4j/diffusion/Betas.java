package org.dit4j.diffusion;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.diffusion.DiffusionConfig.Products;
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

    /** As a scheduler of diffusers has them, which may have been trained on others than the schedule's. */
    static double[] of(DiffusionConfig config, SchedulerConfig scheduler) {
        List<Double> trained = scheduler.trainedBetas();
        if (trained.isEmpty() && !scheduler.zeroSnr()) return of(config.withProducts(Products.FLOAT32));
        if (!trained.isEmpty() && trained.size() != config.numTimesteps())
            throw new IllegalArgumentException("the scheduler has " + trained.size() + " trained betas, but "
                    + config.numTimesteps() + " timesteps");
        try (TensorScope scope = new TensorScope()) {
            Tensor betas = trained.isEmpty()
                    ? scheduled(config.withProducts(Products.FLOAT32))
                    : Tensors.of(trained.stream().mapToDouble(beta -> beta).toArray(), trained.size())
                            .to(ScalarType.Float);
            Tensor products = products(betas);
            return ofProducts(Tensors.toDoubles(scheduler.zeroSnr() ? products(withoutSignal(products)) : products));
        }
    }

    /** β of the ᾱ whose roots are shifted and scaled to end at 0, the first as it was (Lin et al. 2024, algorithm 1). */
    private static Tensor withoutSignal(Tensor products) {
        Tensor roots = products.sqrt();
        Tensor first = roots.narrow(0, 0, 1), last = roots.narrow(0, roots.size(0) - 1, 1);
        Tensor shifted = roots.sub(last).mul(first.div(first.sub(last))).square();
        Tensor before = Tensors.cat(
                0,
                shifted.narrow(0, 0, 1).mul(new Scalar(0)).add(new Scalar(1)),
                shifted.narrow(0, 0, shifted.size(0) - 1));
        return shifted.div(before).neg().add(new Scalar(1));
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
            return Tensors.toDoubles(products(scheduled(config)));
        }
    }

    private static Tensor products(Tensor betas) {
        return betas.neg().add(new Scalar(1)).cumprod(0);
    }

    private static Tensor scheduled(DiffusionConfig config) {
        return switch (config.schedule()) {
            case LINEAR -> linspace(config.betaStart(), config.betaEnd(), config.numTimesteps());
            case QUAD ->
                linspace(Math.sqrt(config.betaStart()), Math.sqrt(config.betaEnd()), config.numTimesteps())
                        .square();
            default ->
                Tensors.of(config.schedule().betas(config.numTimesteps()), config.numTimesteps())
                        .to(ScalarType.Float);
        };
    }

    private static Tensor linspace(double start, double end, int count) {
        return torch.linspace(new Scalar(start), new Scalar(end), count);
    }
}
