package org.dit4j.diffusion;

import static org.dit4j.diffusion.Coefficient.ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.ALPHA_CUMPROD_NEXT;
import static org.dit4j.diffusion.Coefficient.ALPHA_CUMPROD_PREVIOUS;
import static org.dit4j.diffusion.Coefficient.LARGE_LOG_VARIANCE;
import static org.dit4j.diffusion.Coefficient.LARGE_VARIANCE;
import static org.dit4j.diffusion.Coefficient.LOG_BETA;
import static org.dit4j.diffusion.Coefficient.LOG_ONE_MINUS_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_LOG_VARIANCE_CLIPPED;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_MEAN_X0;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_MEAN_XT;
import static org.dit4j.diffusion.Coefficient.POSTERIOR_VARIANCE;
import static org.dit4j.diffusion.Coefficient.SQRT_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.SQRT_ONE_MINUS_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.SQRT_RECIPM1_ALPHA_CUMPROD;
import static org.dit4j.diffusion.Coefficient.SQRT_RECIP_ALPHA_CUMPROD;

import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Diffusion with Gaussian noise in discrete timesteps: Ho et al. (2020), with the learned variances and the hybrid loss of Nichol and
 * Dhariwal (2021). It sees predictions, never the network that made them. Immutable; any number of threads may use one.
 *
 * <p>Latents are (N, C, H, W). A prediction has as many channels, or with a learned variance twice as many, the second half the variance.
 * Timesteps are (N) int64 on the latents' device, or (1) where all rows share one; they index this diffusion's timesteps, which after
 * respacing are fewer than those the network was trained on ({@link #originalTimesteps}). Arithmetic is in float32 (float64 for float64
 * latents) and in the order of the published code. Results belong to the scope around the call.
 */
public final class GaussianDiffusion implements Objective {
    /** What the network predicts. */
    public enum Prediction {
        NOISE,
        X0,
        /** √ᾱ · noise − √(1 − ᾱ) · x0, of Salimans and Ho (2022). */
        VELOCITY
    }

    /** Where the variance of a reverse step comes from. */
    public enum Variance {
        /** The posterior's, were x0 known. */
        FIXED_SMALL,
        /** β. */
        FIXED_LARGE,
        /** The network gives its logarithm, as in the paper; the published DiT code takes this name for {@link #LEARNED_RANGE}. */
        LEARNED,
        /** The network gives where it lies, −1 … 1, between the logarithms of the posterior's variance and of β. */
        LEARNED_RANGE;

        /** Whether the network's prediction has a second half. */
        public boolean isLearned() {
            return this == LEARNED || this == LEARNED_RANGE;
        }
    }

    /** What is minimised. */
    public enum LossType {
        /** Mean squared error; with a learned variance plus the variational bound, which then reaches the variance only. */
        MSE,
        /** As {@link #MSE}, the bound weighted by T / 1000. */
        RESCALED_MSE,
        /** The variational bound in bits per dimension. */
        KL,
        /** As {@link #KL}, times T: an estimate of the whole bound. */
        RESCALED_KL
    }

    static {
        Backend.configure();
    }

    private static final String CUSTOM = "";
    private static final Map<String, GaussianDiffusion> PARSED = new ConcurrentHashMap<>();

    private final String schedule;
    private final double[] originalBetas;
    private final int[] timesteps;
    private final CoefficientTables tables;
    private final Prediction prediction;
    private final Variance variance;
    private final LossType lossType;

    // kept, so that the tables of a spacing go to the device once and not with every image
    private final Map<String, GaussianDiffusion> spacings;

    private GaussianDiffusion(
            double[] originalBetas,
            int[] timesteps,
            Prediction prediction,
            Variance variance,
            LossType lossType,
            String schedule,
            Map<String, GaussianDiffusion> spacings) {
        this.schedule = schedule;
        this.originalBetas = NoiseSchedule.requireBetas(originalBetas);
        this.timesteps = timesteps;
        this.tables = new CoefficientTables(originalBetas, timesteps);
        this.prediction = prediction;
        this.variance = variance;
        this.lossType = lossType;
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
    public static GaussianDiffusion of(double[] betas, Prediction prediction, Variance variance, LossType lossType) {
        return of(betas.clone(), CUSTOM, prediction, variance, lossType);
    }

    /**
     * The diffusion of a named schedule.
     *
     * @throws IllegalArgumentException if the schedule does not allow so few timesteps, or the noise is to be predicted although the last β
     *     is 1
     */
    public static GaussianDiffusion of(
            NoiseSchedule schedule, int numTimesteps, Prediction prediction, Variance variance, LossType lossType) {
        return of(schedule.betas(numTimesteps), schedule.published(), prediction, variance, lossType);
    }

    private static GaussianDiffusion of(
            double[] betas, String schedule, Prediction prediction, Variance variance, LossType lossType) {
        if (betas.length == 0) throw new IllegalArgumentException("there are no betas; at least one");
        return new GaussianDiffusion(
                betas,
                Timesteps.spaced(betas.length, ""),
                prediction,
                variance,
                lossType,
                schedule,
                new ConcurrentHashMap<>());
    }

    /**
     * What a sampler must know of the diffusion that a network was trained on: schedule, timesteps, prediction and variance, as
     * {@link #parse} reads them, for example {@code linear 1000 noise learned_range}.
     *
     * @throws IllegalStateException if the betas were given as numbers
     */
    public String text() {
        if (schedule.equals(CUSTOM))
            throw new IllegalStateException("this diffusion was made from betas and has no name");
        return String.join(" ", schedule, Integer.toString(originalBetas.length), prediction.name(), variance.name())
                .toLowerCase(Locale.ROOT);
    }

    /**
     * The diffusion that {@link #text} wrote, with the loss {@link LossType#MSE}; the same object for the same
     * text, since its tables stay on the devices that it was used on.
     *
     * @throws IllegalArgumentException if it is not understood
     */
    public static GaussianDiffusion parse(String text) {
        return PARSED.computeIfAbsent(text, GaussianDiffusion::parsed);
    }

    private static GaussianDiffusion parsed(String text) {
        String[] parts = text.split(" ");
        if (parts.length != 4 || !parts[1].matches("\\d{1,6}"))
            throw new IllegalArgumentException(
                    "diffusion \"" + text + "\" is not of the form \"linear 1000 noise learned_range\"");
        return of(
                NoiseSchedule.of(parts[0]),
                Integer.parseInt(parts[1]),
                Prediction.valueOf(parts[2].toUpperCase(Locale.ROOT)),
                Variance.valueOf(parts[3].toUpperCase(Locale.ROOT)),
                LossType.MSE);
    }

    /** The diffusion of the published DiTs: linear schedule, 1000 timesteps, noise predicted, learned range, hybrid loss. */
    public static GaussianDiffusion published() {
        return of(NoiseSchedule.LINEAR, 1000, Prediction.NOISE, Variance.LEARNED_RANGE, LossType.MSE);
    }

    /**
     * The diffusion that visits fewer of the original timesteps, for a network trained on all; see {@link Timesteps#spaced}. The same object
     * for the same spacing.
     *
     * @throws IllegalArgumentException if the spacing is not understood or does not fit
     */
    public GaussianDiffusion spaced(String spacing) {
        return spacings.computeIfAbsent(
                spacing.strip(),
                wanted -> new GaussianDiffusion(
                        originalBetas,
                        Timesteps.spaced(originalBetas.length, wanted),
                        prediction,
                        variance,
                        lossType,
                        schedule,
                        spacings));
    }

    /**
     * The diffusion that visits these of the original timesteps; the same object for the same timesteps.
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
        // no spacing is written like this
        return spacings.computeIfAbsent(
                Arrays.toString(visited),
                key -> new GaussianDiffusion(
                        originalBetas, visited.clone(), prediction, variance, lossType, schedule, spacings));
    }

    /** The number of timesteps visited. */
    public int numTimesteps() {
        return timesteps.length;
    }

    /** The timestep of the original diffusion, which the network is to be given, at {@code index}. */
    public int originalTimestep(int index) {
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
    @Override
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

    /**
     * p(x(t−1) | x(t)) that a prediction for {@code x} stands for.
     *
     * @param clip whether the predicted x0 is clamped to [−1, 1], which suits pixels and not latents
     */
    public Moments pMeanVariance(Tensor prediction, Tensor x, Tensor timesteps, boolean clip) {
        requireFits(prediction, x);
        return pMeanVariance(meanPart(prediction, x), variancePart(prediction, x), x, timesteps, clip);
    }

    private Moments pMeanVariance(Tensor meanPart, Tensor variancePart, Tensor x, Tensor timesteps, boolean clip) {
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

    /** The x0 that a prediction for {@code x} stands for; clamped to [−1, 1] if {@code clip}. */
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

    /** One ancestral step: a sample of {@code p}, made from normal noise (N, C, H, W); at timestep 0 its mean. */
    public Tensor ancestralStep(Moments p, Tensor timesteps, Tensor noise) {
        return TensorScope.local(() -> {
            Tensor deviation = p.logVariance().mul(new Scalar(0.5)).exp();
            return p.mean().add(notFirst(timesteps, noise).mul(deviation).mul(noise));
        });
    }

    /**
     * One step of Song et al. (2021), equation 12, from {@code x} towards the predicted {@code x0}.
     *
     * @param eta 0 is deterministic, 1 as random as an ancestral step
     * @param noise normal (N, C, H, W); not used, and may be null, where eta is 0
     */
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
            Tensor mean = x0.mul(previous.sqrt()).add(direction.mul(noiseIn(x, x0, timesteps)));
            return eta == 0
                    ? mean
                    : mean.add(notFirst(timesteps, noise).mul(sigma).mul(noise));
        });
    }

    /** The deterministic step from {@code x} the other way, to the next noisier timestep; from the last to pure noise. */
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

    @Override
    public Loss loss(Tensor prediction, Tensor x0, Tensor xt, Tensor noise, Tensor timesteps) {
        requireFits(prediction, xt);
        Tensor[] parts = TensorScope.localAll(() -> {
            try (AutoGradMode grad = new AutoGradMode(true)) {
                Tensor leaf = prediction.detach().set_requires_grad(true);
                Tensor[] terms = terms(meanPart(leaf, xt), variancePart(leaf, xt), x0, xt, noise, timesteps);
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
    private Tensor[] terms(Tensor meanPart, Tensor variancePart, Tensor x0, Tensor xt, Tensor noise, Tensor timesteps) {
        return switch (lossType) {
            case KL, RESCALED_KL -> {
                Moments p = pMeanVariance(meanPart, variancePart, xt, timesteps, false);
                Tensor vb = bound(p, x0, xt, timesteps);
                if (lossType == LossType.RESCALED_KL) vb = vb.mul(new Scalar((double) numTimesteps()));
                yield new Tensor[] {vb, null, vb};
            }
            case MSE, RESCALED_MSE -> {
                Tensor mse = target(x0, noise, timesteps)
                        .sub(meanPart)
                        .square()
                        .flatten(1, -1)
                        .mean(1);
                if (!variance.isLearned()) yield new Tensor[] {mse, mse, null};
                // detached: the bound teaches the variance only, or its gradient would drown the squared error's
                Moments p = pMeanVariance(meanPart.detach(), variancePart, xt, timesteps, false);
                Tensor vb = bound(p, x0, xt, timesteps);
                if (lossType == LossType.RESCALED_MSE) vb = vb.mul(new Scalar(numTimesteps() / 1000.0));
                yield new Tensor[] {mse.add(vb), mse, vb};
            }
        };
    }

    /** What a perfect network would predict. */
    private Tensor target(Tensor x0, Tensor noise, Tensor timesteps) {
        return switch (prediction) {
            case NOISE -> noise;
            case X0 -> x0;
            case VELOCITY ->
                at(SQRT_ALPHA_CUMPROD, timesteps)
                        .mul(noise)
                        .sub(at(SQRT_ONE_MINUS_ALPHA_CUMPROD, timesteps).mul(x0));
        };
    }

    /**
     * The term of the variational bound for each row: KL(q(x(t−1) | x(t), x0) ‖ p), and at timestep 0 −ln p(x0), as if x0 were an 8-bit
     * image in [−1, 1].
     *
     * @return (N) bits per dimension
     */
    public Tensor bound(Moments p, Tensor x0, Tensor xt, Tensor timesteps) {
        return TensorScope.local(() -> {
            Moments q = posterior(x0, xt, timesteps);
            Tensor kl = VariationalBound.normalKl(q.mean(), q.logVariance(), p.mean(), p.logVariance());
            Tensor logScale = p.logVariance().mul(new Scalar(0.5));
            Tensor nll = VariationalBound.discretizedGaussianNll(x0, p.mean(), logScale);
            return torch.where(timesteps.eq(new Scalar(0)), VariationalBound.bits(nll), VariationalBound.bits(kl));
        });
    }

    /** The last term of the variational bound, KL(q(x(T) | x0) ‖ N(0, 1)): no network can better it. (N) bits per dimension. */
    public Tensor priorBound(Tensor x0) {
        return TensorScope.local(() -> {
            Tensor last = shared(numTimesteps() - 1, x0);
            Tensor mean = at(SQRT_ALPHA_CUMPROD, last).mul(x0),
                    zero = last.mul(new Scalar(0)).to(ScalarType.Float);
            return VariationalBound.bits(
                    VariationalBound.normalKl(mean, at(LOG_ONE_MINUS_ALPHA_CUMPROD, last), zero, zero));
        });
    }

    private Tensor at(Coefficient coefficient, Tensor timesteps) {
        return tables.at(coefficient, timesteps).view(-1, 1, 1, 1);
    }

    private void requireFits(Tensor prediction, Tensor x) {
        long[] expected = x.shape();
        if (expected.length != 4)
            throw new IllegalArgumentException("latents are " + Tensors.shape(x) + "; (N, C, H, W)");
        if (variance.isLearned()) expected[1] *= 2;
        if (!Arrays.equals(prediction.shape(), expected))
            throw new IllegalArgumentException("the prediction is " + Tensors.shape(prediction) + ", with variance "
                    + variance + " it must be " + Arrays.toString(expected)
                    + "; does the network learn a variance, and the diffusion not, or the reverse?");
    }

    private static Tensor meanPart(Tensor prediction, Tensor x) {
        return wide(prediction.narrow(1, 0, x.size(1)));
    }

    private Tensor variancePart(Tensor prediction, Tensor x) {
        return variance.isLearned() ? wide(prediction.narrow(1, x.size(1), x.size(1))) : null;
    }

    /** Reduced precision to float32: the small differences of neighbouring timesteps would be lost. */
    private static Tensor wide(Tensor tensor) {
        ScalarType dtype = tensor.scalar_type().intern(); // intern: the native call makes an object that is no constant
        return dtype == ScalarType.Half || dtype == ScalarType.BFloat16 ? tensor.to(ScalarType.Float) : tensor;
    }
}
