package org.dit4j.diffusion;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;

/** The variational bound, as Ho et al. (2020) and Nichol and Dhariwal (2021) compute it; its parts are in nats, by element. */
final class VariationalBound {
    /** Half the distance of two of the 256 levels of an image in [−1, 1]. */
    private static final double HALF_BIN = 1.0 / 255;

    private static final double EDGE = 0.999;
    private static final double MIN_PROBABILITY = 1e-12;

    private VariationalBound() {}

    /**
     * The term for each row: KL(q(x(t−1) | x(t), x0) ‖ p), and at timestep 0 −ln p(x0), as if x0 were an 8-bit image in [−1, 1].
     *
     * @return (N) bits per dimension
     */
    static Tensor term(GaussianDiffusion diffusion, Moments p, Tensor x0, Tensor xt, Tensor timesteps) {
        return TensorScope.local(() -> {
            Moments q = diffusion.posterior(x0, xt, timesteps);
            Tensor kl = normalKl(q.mean(), q.logVariance(), p.mean(), p.logVariance());
            Tensor logScale = p.logVariance().mul(new Scalar(0.5));
            Tensor nll = discretizedGaussianNll(x0, p.mean(), logScale);
            return torch.where(timesteps.eq(new Scalar(0)), bits(nll), bits(kl));
        });
    }

    /** The last term, KL(q(x(T) | x0) ‖ N(0, 1)): no network can better it. (N) bits per dimension. */
    static Tensor prior(GaussianDiffusion diffusion, Tensor x0) {
        return TensorScope.local(() -> {
            Tensor last = GaussianDiffusion.shared(diffusion.numTimesteps() - 1, x0);
            Tensor mean = diffusion.at(Coefficient.SQRT_ALPHA_CUMPROD, last).mul(x0),
                    zero = last.mul(new Scalar(0)).to(ScalarType.Float);
            return bits(normalKl(mean, diffusion.at(Coefficient.LOG_ONE_MINUS_ALPHA_CUMPROD, last), zero, zero));
        });
    }

    /** KL(N(mean1, exp logVariance1) ‖ N(mean2, exp logVariance2)). */
    static Tensor normalKl(Tensor mean1, Tensor logVariance1, Tensor mean2, Tensor logVariance2) {
        Tensor logRatio = logVariance2.sub(logVariance1);
        Tensor distance = mean1.sub(mean2).square().mul(logVariance2.neg().exp());
        return logRatio.sub(new Scalar(1))
                .add(logRatio.neg().exp())
                .add(distance)
                .mul(new Scalar(0.5));
    }

    /** −ln of the probability that a normal distribution gives the bin of an 8-bit image's level {@code x} in [−1, 1]. */
    static Tensor discretizedGaussianNll(Tensor x, Tensor mean, Tensor logScale) {
        Tensor centered = x.sub(mean), inverseScale = logScale.neg().exp();
        Tensor upper = normalCdf(centered.add(new Scalar(HALF_BIN)).mul(inverseScale));
        Tensor lower = normalCdf(centered.sub(new Scalar(HALF_BIN)).mul(inverseScale));
        Tensor inside = upper.sub(lower);
        // the two outermost bins reach to infinity
        Tensor probability = torch.where(
                x.lt(new Scalar(-EDGE)),
                upper,
                torch.where(x.gt(new Scalar(EDGE)), lower.neg().add(new Scalar(1)), inside));
        return probability.clamp_min(new Scalar(MIN_PROBABILITY)).log().neg();
    }

    /** The tanh approximation of the published code, not the error function. */
    private static Tensor normalCdf(Tensor x) {
        Tensor inner = x.add(x.pow(new Scalar(3)).mul(new Scalar(0.044715))).mul(new Scalar(Math.sqrt(2 / Math.PI)));
        // Through float64, so that tanh is rounded correctly, as in the published numbers: where it nears ±1, its last
        // bit decides between a probability of 3e-8 and none, which counts as 1e-12.
        Tensor tanh = inner.to(ScalarType.Double).tanh().to(x.scalar_type());
        return tanh.add(new Scalar(1)).mul(new Scalar(0.5));
    }

    /** (N, …) nats → (N) bits per element. */
    static Tensor bits(Tensor nats) {
        return nats.flatten(1, -1).mean(1).div(new Scalar(Math.log(2)));
    }
}
