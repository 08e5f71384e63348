package org.dit4j.diffusion;

import java.util.Arrays;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.diffusion.DiffusionConfig.LossType;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * What the published DiTs minimise: the squared error of the prediction and, with a learned variance, the variational bound of Nichol and
 * Dhariwal (2021), which teaches the variance only; or one of its relatives ({@link LossType}). Timesteps are uniform. Immutable.
 */
public final class HybridLoss implements Objective {
    private final GaussianDiffusion diffusion;
    private final LossType lossType;

    public HybridLoss(GaussianDiffusion diffusion, LossType lossType) {
        this.diffusion = diffusion;
        this.lossType = lossType;
    }

    /** Of the diffusion that a configuration names. */
    public static HybridLoss of(DiffusionConfig config) {
        return new HybridLoss(GaussianDiffusion.of(config), config.loss());
    }

    @Override
    public Tensor times(long seed, long... samples) {
        long[] timesteps = Arrays.stream(samples)
                .map(sample -> Noise.below(diffusion.numTimesteps(), seed, Purpose.TIMESTEP, sample))
                .toArray();
        return Tensors.of(timesteps, timesteps.length);
    }

    @Override
    public Tensor timesAt(double[] places, int of) {
        long[] timesteps = Arrays.stream(places)
                .mapToLong(place -> (int) (place * diffusion.numTimesteps() / of))
                .toArray();
        return Tensors.of(timesteps, timesteps.length);
    }

    @Override
    public int numTimesteps() {
        return diffusion.numTimesteps();
    }

    @Override
    public int[] buckets(Tensor times, int numBuckets) {
        return Arrays.stream(Tensors.toLongs(times))
                .mapToInt(timestep -> (int) (timestep * numBuckets / diffusion.numTimesteps()))
                .toArray();
    }

    @Override
    public Tensor noised(Tensor x0, Tensor noise, Tensor times) {
        return diffusion.noised(x0, noise, times);
    }

    @Override
    public Loss loss(Tensor prediction, Tensor x0, Tensor xt, Tensor noise, Tensor times) {
        diffusion.requireFits(prediction, xt);
        Tensor[] parts = TensorScope.localAll(() -> {
            try (AutoGradMode grad = new AutoGradMode(true)) {
                Tensor leaf = prediction.detach().set_requires_grad(true);
                Tensor[] terms = terms(leaf, x0, xt, noise, times);
                terms[0].mean().backward();
                // detached, for grad() itself is a part of the leaf and ends with it
                return new Tensor[] {detached(terms[0]), detached(terms[1]), detached(terms[2]), detached(leaf.grad())};
            }
        });
        return new Loss(parts[0], parts[1], parts[2], parts[3]);
    }

    private static Tensor detached(Tensor term) {
        return term == null ? null : term.detach();
    }

    /** The loss, its squared error or null, its bound or null; (N) each. */
    private Tensor[] terms(Tensor prediction, Tensor x0, Tensor xt, Tensor noise, Tensor times) {
        Tensor meanPart = GaussianDiffusion.meanPart(prediction, xt);
        Tensor variancePart = diffusion.variancePart(prediction, xt);
        return switch (lossType) {
            case KL, RESCALED_KL -> {
                Moments p = diffusion.pMeanVariance(meanPart, variancePart, xt, times, false);
                Tensor vb = VariationalBound.term(diffusion, p, x0, xt, times);
                if (lossType == LossType.RESCALED_KL) vb = vb.mul(new Scalar((double) numTimesteps()));
                yield new Tensor[] {vb, null, vb};
            }
            case MSE, RESCALED_MSE -> {
                Tensor mse = diffusion
                        .target(x0, noise, times)
                        .sub(meanPart)
                        .square()
                        .flatten(1, -1)
                        .mean(1);
                if (!diffusion.variance().isLearned()) yield new Tensor[] {mse, mse, null};
                // detached: the bound teaches the variance only, or its gradient would drown the squared error's
                Moments p = diffusion.pMeanVariance(meanPart.detach(), variancePart, xt, times, false);
                Tensor vb = VariationalBound.term(diffusion, p, x0, xt, times);
                if (lossType == LossType.RESCALED_MSE) vb = vb.mul(new Scalar(numTimesteps() / 1000.0));
                yield new Tensor[] {mse.add(vb), mse, vb};
            }
        };
    }
}
