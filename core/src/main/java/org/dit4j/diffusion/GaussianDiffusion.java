package org.dit4j.diffusion;

import static org.dit4j.diffusion.Coefficient.ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.ALPHA_CUMPROD_NEXT;
import static org.dit4j.diffusion.Coefficient.ALPHA_CUMPROD_PREVIOUS;
import static org.dit4j.diffusion.Coefficient.LARGE_LOG_VARIANCE;
import static org.dit4j.diffusion.Coefficient.LARGE_VARIANCE;
import static org.dit4j.diffusion.Coefficient.LOG_BETA;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_LOG_VARIANCE_CLIPPED;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_MEAN_X0;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_MEAN_XT;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_VARIANCE;
import static org.dit4j.diffusion.Coefficient.SQRT_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.SQRT_ONE_MINUS_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.SQRT_RECIPM1_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.SQRT_RECIP_ALPHA_CUMPROD;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.diffusion.DiffusionConfig.LossType;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Diffusion with Gaussian noise in discrete timesteps: Ho et al. (2020), with the learned variances of Nichol and Dhariwal (2021), forwards
 * and backwards; what is minimised is {@link HybridLoss}. It sees predictions, never the network that made them. Immutable; any number of
 * threads may use one.
 *
 * <p>Latents are (N, C, H, W). A prediction has as many channels, or with a learned variance twice as many, the second half the variance.
 * Timesteps are (N) int64 on the latents' device, or (1) where all rows share one; they index this diffusion's timesteps, which after
 * respacing are fewer than those the network was trained on ({@link #originalTimesteps}). Arithmetic is in float32 (float64 for float64
 * latents) and in the order of the published code. Results belong to the scope around the call.
 */
public final class GaussianDiffusion implements AncestralProcess {
    static {
        Backend.configure();
    }

    private static final int MAX_KEPT = 16;

    // kept, so that a process in which models come and go does not make the tables of each anew
    private static final Map<DiffusionConfig, GaussianDiffusion> RECENT = recentlyUsed();

    private final double[] originalBetas;
    private final int[] timesteps;
    private final CoefficientTables tables;
    private final Prediction prediction;
    private final Variance variance;

    // kept, so that the tables of a spacing go to the device once and not with every image
    private final Map<String, GaussianDiffusion> spacings;

    private GaussianDiffusion(
            double[] originalBetas,
            int[] timesteps,
            Prediction prediction,
            Variance variance,
            Map<String, GaussianDiffusion> spacings) {
        this.originalBetas = NoiseSchedule.requireBetas(originalBetas);
        this.timesteps = timesteps;
        this.tables = new CoefficientTables(originalBetas, timesteps);
        this.prediction = prediction;
        this.variance = variance;
        this.spacings = spacings;
        if (prediction == Prediction.NOISE && tables.of(ALPHA_CUMPROD)[timesteps.length - 1] == 0)
            throw new IllegalArgumentException(
                    "the last timestep keeps no signal, so x0 does not follow from the noise;"
                            + " predict X0 or VELOCITY, or use another noise schedule");
    }

    /**
     * The diffusion of {@code betas.length} timesteps.
     *
     * @param betas of {@link NoiseSchedule#betas}, or any in (0, 1]
     * @throws IllegalArgumentException if a β is outside, or the noise is to be predicted although the last β is 1
     */
    public static GaussianDiffusion of(double[] betas, Prediction prediction, Variance variance) {
        if (betas.length == 0) throw new IllegalArgumentException("there are no betas; at least one");
        return new GaussianDiffusion(
                betas.clone(), Timesteps.spaced(betas.length, ""), prediction, variance, recentlyUsed());
    }

    /** Of at most {@value #MAX_KEPT} entries: the least recently used goes, and its tables with it. */
    static <K, V> Map<K, V> recentlyUsed() {
        return Collections.synchronizedMap(new LinkedHashMap<>(2 * MAX_KEPT, 0.75f, true) {
            @Override
            protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
                return size() > MAX_KEPT;
            }
        });
    }

    /**
     * The diffusion of a configuration; its loss is {@link HybridLoss}'s. The same object for the same configuration, as long as it is among
     * the {@value #MAX_KEPT} that were asked for last.
     *
     * @throws IllegalArgumentException if the schedule does not allow so few timesteps, or the noise is to be predicted although the last β
     *     is 1
     */
    public static GaussianDiffusion of(DiffusionConfig config) {
        return RECENT.computeIfAbsent(
                config.withLoss(LossType.MSE), wanted -> of(Betas.of(wanted), wanted.prediction(), wanted.variance()));
    }

    /** The diffusion that visits only these of the timesteps with {@code betas}; they rise. */
    static GaussianDiffusion visiting(double[] betas, int[] visited, DiffusionConfig config) {
        return new GaussianDiffusion(betas, visited, config.prediction(), config.variance(), recentlyUsed());
    }

    /** The diffusion of the published DiTs, {@link DiffusionConfig#PUBLISHED}. */
    public static GaussianDiffusion published() {
        return of(DiffusionConfig.PUBLISHED);
    }

    /**
     * The diffusion that visits fewer of the original timesteps, for a network trained on all; see {@link Timesteps#spaced}. The same object
     * for the same spacing, as long as it is among the {@value #MAX_KEPT} that were asked for last.
     *
     * @throws IllegalArgumentException if the spacing is not understood or does not fit
     */
    public GaussianDiffusion spaced(String spacing) {
        return spaced(spacing.strip(), () -> Timesteps.spaced(originalBetas.length, spacing.strip()));
    }

    /**
     * The diffusion that visits these of the original timesteps; kept as those of {@link #spaced}.
     *
     * @param visited rising, each below the number of original timesteps
     * @throws IllegalArgumentException if they are not
     */
    public GaussianDiffusion at(int... visited) {
        for (int i = 0; i < visited.length; i++)
            if (visited[i] < (i == 0 ? 0 : visited[i - 1] + 1) || visited[i] >= originalBetas.length)
                throw new IllegalArgumentException("timestep " + visited[i] + " is number " + i + " of those to visit; "
                        + "they must rise from 0 or more to below " + originalBetas.length);
        if (visited.length == 0) throw new IllegalArgumentException("no timestep is to be visited; at least one");
        return spaced(Arrays.toString(visited), visited::clone); // no spacing is written like this
    }

    private GaussianDiffusion spaced(String key, Supplier<int[]> visited) {
        return spacings.computeIfAbsent(
                key, wanted -> new GaussianDiffusion(originalBetas, visited.get(), prediction, variance, spacings));
    }

    /** The number of timesteps visited. */
    @Override
    public int numTimesteps() {
        return timesteps.length;
    }

    /** The timestep of the original diffusion, which the network is to be given, at {@code index}. */
    public int originalTimestep(int index) {
        return timesteps[index];
    }

    @Override
    public double networkTime(int index) {
        return timesteps[index];
    }

    /** (N) int64 indices → (N) int64 timesteps of the original diffusion, on the same device. */
    public Tensor originalTimesteps(Tensor indices) {
        return TensorScope.local(
                () -> tables.at(Coefficient.ORIGINAL_TIMESTEP, indices).to(ScalarType.Long));
    }

    /** What the network predicts. */
    public Prediction prediction() {
        return prediction;
    }

    /** Where the variance comes from. */
    public Variance variance() {
        return variance;
    }

    /** (T) float64: the table of a coefficient, a copy. */
    public double[] table(Coefficient coefficient) {
        return tables.of(coefficient).clone();
    }

    /** (1) int64 on the device of {@code like}: an index that all rows share, made without waiting for the device. */
    public static Tensor shared(int index, Tensor like) {
        return TensorScope.local(() -> torch.full(
                new long[] {1},
                new Scalar((long) index),
                new TensorOptions(like.device()).dtype(new ScalarTypeOptional(ScalarType.Long))));
    }

    /** q(x(t) | x0): √ᾱ · x0 + √(1 − ᾱ) · noise. */
    public Tensor noised(Tensor x0, Tensor noise, Tensor timesteps) {
        return TensorScope.local(() -> at(SQRT_ALPHA_CUMPROD, timesteps)
                .mul(x0)
                .add(at(SQRT_ONE_MINUS_ALPHA_CUMPROD, timesteps).mul(noise)));
    }

    /** q(x(t−1) | x(t), x0), the logarithm of its variance clipped at the first timestep. */
    public Moments posterior(Tensor x0, Tensor xt, Tensor timesteps) {
        Tensor[] parts = TensorScope.localAll(() -> new Tensor[] {
            posteriorMean(x0, xt, timesteps),
            at(POSTERIOR_VARIANCE, timesteps),
            at(POSTERIOR_LOG_VARIANCE_CLIPPED, timesteps)
        });
        return new Moments(parts[0], parts[1], parts[2], x0);
    }

    private Tensor posteriorMean(Tensor x0, Tensor xt, Tensor timesteps) {
        return at(POSTERIOR_MEAN_X0, timesteps)
                .mul(x0)
                .add(at(POSTERIOR_MEAN_XT, timesteps).mul(xt));
    }

    @Override
    public Moments pMeanVariance(Tensor prediction, Tensor x, Tensor timesteps, boolean clip) {
        requireFits(prediction, x);
        return pMeanVariance(meanPart(prediction, x), variancePart(prediction, x), x, timesteps, clip);
    }

    Moments pMeanVariance(Tensor meanPart, Tensor variancePart, Tensor x, Tensor timesteps, boolean clip) {
        Tensor[] parts = TensorScope.localAll(() -> {
            Tensor x0 = x0(meanPart, x, timesteps, clip);
            Tensor logVariance = logVariance(variancePart, timesteps);
            Tensor variance = switch (this.variance) {
                case FIXED_SMALL -> at(POSTERIOR_VARIANCE, timesteps);
                case FIXED_LARGE -> at(LARGE_VARIANCE, timesteps);
                case LEARNED, LEARNED_RANGE -> logVariance.exp();
            };
            return new Tensor[] {posteriorMean(x0, x, timesteps), variance, logVariance, x0};
        });
        return new Moments(parts[0], parts[1], parts[2], parts[3]);
    }

    private Tensor logVariance(Tensor variancePart, Tensor timesteps) {
        return switch (variance) {
            case FIXED_SMALL -> at(POSTERIOR_LOG_VARIANCE_CLIPPED, timesteps);
            case FIXED_LARGE -> at(LARGE_LOG_VARIANCE, timesteps);
            case LEARNED -> variancePart;
            case LEARNED_RANGE -> {
                Tensor fraction = variancePart.add(new Scalar(1)).div(new Scalar(2));
                Tensor small = at(POSTERIOR_LOG_VARIANCE_CLIPPED, timesteps);
                yield fraction.mul(at(LOG_BETA, timesteps))
                        .add(fraction.neg().add(new Scalar(1)).mul(small));
            }
        };
    }

    @Override
    public Tensor predictedX0(Tensor prediction, Tensor x, Tensor timesteps, boolean clip) {
        requireFits(prediction, x);
        return TensorScope.local(() -> x0(meanPart(prediction, x), x, timesteps, clip));
    }

    private Tensor x0(Tensor meanPart, Tensor x, Tensor timesteps, boolean clip) {
        Tensor x0 = switch (prediction) {
            case NOISE ->
                at(SQRT_RECIP_ALPHA_CUMPROD, timesteps)
                        .mul(x)
                        .sub(at(SQRT_RECIPM1_ALPHA_CUMPROD, timesteps).mul(meanPart));
            case X0 -> meanPart;
            case VELOCITY ->
                at(SQRT_ALPHA_CUMPROD, timesteps)
                        .mul(x)
                        .sub(at(SQRT_ONE_MINUS_ALPHA_CUMPROD, timesteps).mul(meanPart));
        };
        return clip ? x0.clamp(new ScalarOptional(new Scalar(-1)), new ScalarOptional(new Scalar(1))) : x0;
    }

    /** The noise in {@code x} if {@code x0} is what it was made from. */
    public Tensor noiseIn(Tensor x, Tensor x0, Tensor timesteps) {
        return TensorScope.local(() ->
                x.sub(at(SQRT_ALPHA_CUMPROD, timesteps).mul(x0)).div(at(SQRT_ONE_MINUS_ALPHA_CUMPROD, timesteps)));
    }

    @Override
    public Tensor ancestralStep(Moments p, Tensor timesteps, Tensor noise) {
        return TensorScope.local(() ->
                KernelLookup.of(noise).ancestralUpdate(p.mean(), p.logVariance(), notFirst(timesteps, noise), noise));
    }

    /** Equation 12 of Song et al. (2021). */
    @Override
    public Tensor ddimStep(Tensor x0, Tensor x, Tensor timesteps, double eta, Tensor noise) {
        if (!(eta >= 0 && eta <= 1)) throw new IllegalArgumentException("eta is " + eta + "; 0 … 1");
        return TensorScope.local(() -> {
            Tensor alphaCumprod = at(ALPHA_CUMPROD, timesteps), previous = at(ALPHA_CUMPROD_PREVIOUS, timesteps);
            Tensor noiseShare = oneMinus(previous).div(oneMinus(alphaCumprod)).sqrt();
            Tensor sigma =
                    oneMinus(alphaCumprod.div(previous)).sqrt().mul(noiseShare).mul(new Scalar(eta));
            // rounding must not make it negative where eta is 1 and almost no signal is left
            Tensor direction = oneMinus(previous)
                    .sub(sigma.square())
                    .clamp_min(new Scalar(0))
                    .sqrt();
            return KernelLookup.of(x)
                    .ddimUpdate(
                            x0,
                            noiseIn(x, x0, timesteps),
                            previous.sqrt(),
                            direction,
                            eta == 0 ? null : notFirst(timesteps, noise),
                            sigma,
                            eta == 0 ? null : noise);
        });
    }

    @Override
    public Tensor ddimReverseStep(Tensor x0, Tensor x, Tensor timesteps) {
        return TensorScope.local(() -> {
            Tensor next = at(ALPHA_CUMPROD_NEXT, timesteps);
            return x0.mul(next.sqrt()).add(oneMinus(next).sqrt().mul(noiseIn(x, x0, timesteps)));
        });
    }

    private static Tensor oneMinus(Tensor tensor) {
        return tensor.neg().add(new Scalar(1));
    }

    private static Tensor notFirst(Tensor timesteps, Tensor like) {
        return timesteps.ne(new Scalar(0)).to(like.scalar_type()).view(-1, 1, 1, 1);
    }

    /** What a perfect network would predict. */
    Tensor target(Tensor x0, Tensor noise, Tensor timesteps) {
        return switch (prediction) {
            case NOISE -> noise;
            case X0 -> x0;
            case VELOCITY ->
                at(SQRT_ALPHA_CUMPROD, timesteps)
                        .mul(noise)
                        .sub(at(SQRT_ONE_MINUS_ALPHA_CUMPROD, timesteps).mul(x0));
        };
    }

    /** (N, 1, 1, 1). */
    Tensor at(Coefficient coefficient, Tensor timesteps) {
        return tables.at(coefficient, timesteps).view(-1, 1, 1, 1);
    }

    void requireFits(Tensor prediction, Tensor x) {
        long[] expected = x.shape();
        if (expected.length != 4)
            throw new IllegalArgumentException("latents are " + Tensors.shape(x) + "; (N, C, H, W)");
        if (variance.isLearned()) expected[1] *= 2;
        if (!Arrays.equals(prediction.shape(), expected))
            throw new IllegalArgumentException("the prediction is " + Tensors.shape(prediction) + ", with variance "
                    + variance + " it must be " + Arrays.toString(expected)
                    + "; does the network learn a variance, and the diffusion not, or the reverse?");
    }

    static Tensor meanPart(Tensor prediction, Tensor x) {
        return wide(prediction.narrow(1, 0, x.size(1)));
    }

    Tensor variancePart(Tensor prediction, Tensor x) {
        return variance.isLearned() ? wide(prediction.narrow(1, x.size(1), x.size(1))) : null;
    }

    /** Reduced precision to float32: the small differences of neighbouring timesteps would be lost. */
    private static Tensor wide(Tensor tensor) {
        ScalarType dtype = tensor.scalar_type().intern(); // intern: the native call makes an object that is no constant
        return dtype == ScalarType.Half || dtype == ScalarType.BFloat16 ? tensor.to(ScalarType.Float) : tensor;
    }
}
