package org.dit4j.diffusion;

import java.util.Map;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.diffusion.SchedulerConfig.Threshold;
import org.dit4j.torch.TensorScope;

/**
 * The way back from noise to data as diffusers' {@code DDIMScheduler} and {@code DDPMScheduler} take it, where it is not the published one:
 *
 * <ul>
 *   <li>What is clipped is x0 alone. The noise of a step of DDIM is the network's; the published code finds it anew from the clipped x0.
 *   <li>A step of DDIM goes T / steps timesteps back, which for some spacings is not where the next step begins.
 *   <li>A step of DDPM is random wherever its timestep is not 0, the last step included.
 *   <li>ᾱ may have been trained as a list, or shifted to end at 0.
 * </ul>
 *
 * Its factors are numbers in float32, computed in diffusers' order: where timesteps are neighbours, its rounding is large beside 1 − α.
 * Indices are from 0, the cleanest stop, to {@link #numTimesteps} − 1; results belong to the scope around the call. Immutable; any number of
 * threads may use one.
 */
public final class DiffusersProcess {
    private record Key(DiffusionConfig diffusion, SchedulerConfig config, int steps, boolean ancestral) {}

    // kept, so that the tables go to the device once and not with every image
    private static final Map<Key, DiffusersProcess> RECENT = GaussianDiffusion.recentlyUsed();

    private final GaussianDiffusion visited;
    private final SchedulerConfig config;
    private final boolean ancestral;
    /** ᾱ at each stop, and where the step from there leads, as float32 has it. */
    private final float[] alphaCumprod, previous;

    private DiffusersProcess(
            GaussianDiffusion visited,
            SchedulerConfig config,
            boolean ancestral,
            float[] alphaCumprod,
            float[] previous) {
        this.visited = visited;
        this.config = config;
        this.ancestral = ancestral;
        this.alphaCumprod = alphaCumprod;
        this.previous = previous;
    }

    /**
     * {@code DDIMScheduler} in so many steps; a scheduler of another name lends it what they have in common.
     *
     * @throws IllegalArgumentException if there are not so many timesteps, or the noise is to be predicted where no signal is left
     */
    public static DiffusersProcess ddim(DiffusionConfig diffusion, SchedulerConfig config, int steps) {
        return RECENT.computeIfAbsent(new Key(diffusion, config, steps, false), DiffusersProcess::of);
    }

    /**
     * {@code DDPMScheduler} in so many steps.
     *
     * @throws IllegalArgumentException as {@link #ddim}; and if diffusers has no such variance for a DiT, or the network does not predict it
     */
    public static DiffusersProcess ddpm(DiffusionConfig diffusion, SchedulerConfig config, int steps) {
        switch (config.variance()) {
            case FIXED_LARGE_LOG, LEARNED ->
                throw new IllegalArgumentException("the scheduler's variance_type is "
                        + SchedulerConfig.word(config.variance())
                        + ", of which diffusers makes no pictures of a DiT; give another sampler");
            case LEARNED_RANGE -> {
                if (diffusion.variance() != DiffusionConfig.Variance.LEARNED_RANGE)
                    throw new IllegalArgumentException("the scheduler's variance_type is learned_range, but the network"
                            + " predicts no such variance; give another sampler");
            }
            default -> {}
        }
        return RECENT.computeIfAbsent(new Key(diffusion, config, steps, true), DiffusersProcess::of);
    }

    private static DiffusersProcess of(Key key) {
        DiffusionConfig diffusion = key.diffusion;
        SchedulerConfig config = key.config;
        int numTimesteps = diffusion.numTimesteps(), steps = key.steps;
        int[] timesteps = config.timesteps(numTimesteps, steps);
        double[] betas = Betas.of(diffusion, config);
        GaussianDiffusion visited = GaussianDiffusion.visiting(betas, timesteps, diffusion);
        float[] all = floats(CoefficientTables.cumulativeProduct(betas));
        float[] alphaCumprod = new float[steps], previous = new float[steps];
        for (int i = 0; i < steps; i++) {
            alphaCumprod[i] = all[timesteps[i]];
            int before = key.ancestral ? (i == 0 ? -1 : timesteps[i - 1]) : timesteps[i] - numTimesteps / steps;
            previous[i] = before >= 0 ? all[before] : key.ancestral || config.alphaToOne() ? 1 : all[0];
        }
        return new DiffusersProcess(visited, config, key.ancestral, alphaCumprod, previous);
    }

    private static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) floats[i] = (float) values[i];
        return floats;
    }

    /** The number of stops. */
    public int numTimesteps() {
        return visited.numTimesteps();
    }

    /** The timestep that the network is told. */
    public double networkTime(int index) {
        return visited.networkTime(index);
    }

    /** Whether the step from a stop uses noise. */
    public boolean isRandom(int index, double eta) {
        return ancestral ? visited.originalTimestep(index) > 0 : eta > 0;
    }

    /** The x0 that a prediction for {@code x} stands for, clipped as configured: (N, C, H, W). */
    public Tensor predictedX0(Tensor prediction, Tensor x, int index) {
        visited.requireFits(prediction, x);
        return TensorScope.local(() -> {
            Tensor x0 = unclipped(GaussianDiffusion.meanPart(prediction, x), x, index);
            if (config.threshold().ratio() > 0) return thresholded(x0, config.threshold());
            if (!config.clip()) return x0;
            return x0.clamp(
                    new ScalarOptional(new Scalar(-config.clipRange())),
                    new ScalarOptional(new Scalar(config.clipRange())));
        });
    }

    private Tensor unclipped(Tensor predicted, Tensor x, int index) {
        Scalar signal = new Scalar(root(alphaCumprod[index])), rest = new Scalar(root(1 - alphaCumprod[index]));
        return switch (visited.prediction()) {
            case NOISE -> x.sub(predicted.mul(rest)).div(signal);
            case X0 -> predicted;
            case VELOCITY -> x.mul(signal).sub(predicted.mul(rest));
        };
    }

    /** What the prediction says, not what would go with a clipped x0. */
    private Tensor noiseIn(Tensor predicted, Tensor x, int index) {
        Scalar signal = new Scalar(root(alphaCumprod[index])), rest = new Scalar(root(1 - alphaCumprod[index]));
        return switch (visited.prediction()) {
            case NOISE -> predicted;
            case X0 -> x.sub(predicted.mul(signal)).div(rest);
            case VELOCITY -> predicted.mul(signal).add(x.mul(rest));
        };
    }

    private static Tensor thresholded(Tensor x0, Threshold threshold) {
        Tensor flat = x0.flatten(1, -1);
        Tensor s = torch.quantile(flat.abs(), threshold.ratio(), new LongOptional(1), true, "linear")
                .clamp(new ScalarOptional(new Scalar(1)), new ScalarOptional(new Scalar(threshold.maximum())));
        return flat.clamp(new TensorOptional(s.neg()), new TensorOptional(s))
                .div(s)
                .view_as(x0);
    }

    /**
     * From {@code x} at a stop to the next cleaner one.
     *
     * @param prediction the network's
     * @param x0 of {@link #predictedX0}
     * @param eta of DDIM: 0 is deterministic, 1 as random as an ancestral step
     * @param noise normal (N, C, H, W); null where the step is not {@linkplain #isRandom random}
     */
    public Tensor step(Tensor prediction, Tensor x0, Tensor x, int index, double eta, Tensor noise) {
        return TensorScope.local(() -> {
            Tensor predicted = GaussianDiffusion.meanPart(prediction, x);
            return ancestral
                    ? ddpmStep(visited.variancePart(prediction, x), x0, x, index, noise)
                    : ddimStep(predicted, x0, x, index, eta, noise);
        });
    }

    /** Equation 12 of Song et al. (2021). */
    private Tensor ddimStep(Tensor predicted, Tensor x0, Tensor x, int index, double eta, Tensor noise) {
        float alpha = alphaCumprod[index], before = previous[index];
        float variance = (1 - before) / (1 - alpha) * (1 - alpha / before);
        float sigma = (float) (eta * root(variance));
        float direction = root(Math.max(1 - before - sigma * sigma, 0)); // rounding must not make it negative
        Tensor next = x0.mul(new Scalar(root(before)))
                .add(noiseIn(predicted, x, index).mul(new Scalar(direction)));
        return noise == null ? next : next.add(noise.mul(new Scalar(sigma)));
    }

    private Tensor ddpmStep(Tensor variancePart, Tensor x0, Tensor x, int index, Tensor noise) {
        float alpha = alphaCumprod[index] / previous[index], beta = 1 - alpha;
        float remaining = 1 - alphaCumprod[index], remainingBefore = 1 - previous[index];
        Tensor mean = x0.mul(new Scalar(root(previous[index]) * beta / remaining))
                .add(x.mul(new Scalar(root(alpha) * remainingBefore / remaining)));
        if (noise == null) return mean;
        float small = Math.max(remainingBefore / remaining * beta, 1e-20f);
        return switch (config.variance()) {
            case FIXED_SMALL, FIXED_SMALL_LOG -> mean.add(noise.mul(new Scalar(root(small))));
            case FIXED_LARGE -> mean.add(noise.mul(new Scalar(root(beta))));
            case LEARNED_RANGE -> {
                Tensor fraction = variancePart.add(new Scalar(1)).div(new Scalar(2));
                Tensor logVariance = fraction.mul(new Scalar((float) Math.log(beta)))
                        .add(fraction.neg().add(new Scalar(1)).mul(new Scalar((float) Math.log(small))));
                yield mean.add(logVariance.mul(new Scalar(0.5)).exp().mul(noise));
            }
            case FIXED_LARGE_LOG, LEARNED ->
                throw new IllegalStateException(config.variance().name());
        };
    }

    private static float root(float value) {
        return (float) Math.sqrt(value);
    }
}
