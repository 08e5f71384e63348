package org.dit4j.diffusion;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.diffusion.GaussianDiffusion.LossType;
import org.dit4j.diffusion.GaussianDiffusion.Prediction;
import org.dit4j.diffusion.GaussianDiffusion.Variance;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The schedule of diffusers' {@code DDIMScheduler} as it goes with a DiT. It is not the published one: ᾱ is a product in float32, and the
 * timesteps are "leading", the multiples of T / steps, so that the last is never visited. Before the first timestep lies the image, ᾱ = 1
 * ({@code set_alpha_to_one}).
 *
 * @param numTimesteps of training, T
 * @param schedule LINEAR, QUAD ({@code scaled_linear}) or COSINE
 * @param betaStart the first β; ignored by COSINE
 * @param betaEnd the last β; ignored by COSINE
 * @param prediction what the network predicts
 * @param stepsOffset added to every timestep visited
 * @param clip whether the predicted x0 is clamped to [−1, 1] at every step; false for latents
 */
public record DdimSchedule(
        int numTimesteps,
        NoiseSchedule schedule,
        double betaStart,
        double betaEnd,
        Prediction prediction,
        int stepsOffset,
        boolean clip) {
    private static final Map<Map.Entry<DdimSchedule, Boolean>, GaussianDiffusion> DIFFUSIONS =
            new ConcurrentHashMap<>();

    static {
        Backend.configure();
    }

    /** What is written beside a converted DiT. */
    public static final DdimSchedule PUBLISHED =
            new DdimSchedule(1000, NoiseSchedule.LINEAR, 1e-4, 0.02, Prediction.NOISE, 0, false);

    /** @throws IllegalArgumentException if the values do not fit each other, or diffusers has no such schedule */
    public DdimSchedule {
        if (numTimesteps < 1 || numTimesteps > 1_000_000)
            throw new IllegalArgumentException("numTimesteps is " + numTimesteps + "; 1 to 1000000");
        if (schedule != NoiseSchedule.LINEAR && schedule != NoiseSchedule.QUAD && schedule != NoiseSchedule.COSINE)
            throw new IllegalArgumentException("diffusers has no schedule " + schedule + "; LINEAR, QUAD or COSINE");
        if (prediction == null) throw new IllegalArgumentException("there is no word on what is predicted");
        if (!(betaStart > 0 && betaStart <= betaEnd && betaEnd < 1))
            throw new IllegalArgumentException(
                    "beta goes from " + betaStart + " to " + betaEnd + "; both are above 0 and below 1, and it rises");
        if (stepsOffset < 0 || stepsOffset >= numTimesteps)
            throw new IllegalArgumentException(
                    "stepsOffset is " + stepsOffset + "; 0 to " + (numTimesteps - 1) + ", and usually 0 or 1");
    }

    /**
     * The timesteps that so many steps visit, rising.
     *
     * @throws IllegalArgumentException if there are not that many
     */
    public int[] timesteps(int steps) {
        if (steps < 1 || steps > numTimesteps)
            throw new IllegalArgumentException(steps + " steps; this model has 1 to " + numTimesteps);
        int stride = numTimesteps / steps;
        if ((steps - 1) * stride + stepsOffset >= numTimesteps)
            throw new IllegalArgumentException(steps + " steps reach beyond the last of " + numTimesteps
                    + " timesteps, because all are shifted by " + stepsOffset + "; take fewer");
        return IntStream.range(0, steps).map(i -> i * stride + stepsOffset).toArray();
    }

    /**
     * The diffusion of all timesteps; the same object for the same schedule, since its tables stay on the devices that it was used on.
     *
     * @param learnSigma whether the network predicts a variance, which DDIM discards
     */
    public GaussianDiffusion diffusion(boolean learnSigma) {
        return DIFFUSIONS.computeIfAbsent(
                Map.entry(this, learnSigma),
                key -> GaussianDiffusion.of(
                        betas(), prediction, learnSigma ? Variance.LEARNED_RANGE : Variance.FIXED_LARGE, LossType.MSE));
    }

    /** The β that, multiplied out in float64, give the ᾱ that diffusers computes in float32. */
    private double[] betas() {
        double[] products = products();
        double[] betas = new double[numTimesteps];
        for (int t = 0; t < numTimesteps; t++) betas[t] = 1 - products[t] / (t == 0 ? 1 : products[t - 1]);
        return betas;
    }

    /** ᾱ by LibTorch in float32, whose rounding is part of it. */
    private double[] products() {
        try (TensorScope scope = new TensorScope()) {
            Tensor betas = switch (schedule) {
                case LINEAR -> linspace(betaStart, betaEnd);
                case QUAD -> linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd)).square();
                default ->
                    Tensors.of(schedule.betas(numTimesteps), numTimesteps).to(ScalarType.Float);
            };
            return Tensors.toDoubles(betas.neg().add(new Scalar(1)).cumprod(0));
        }
    }

    private Tensor linspace(double start, double end) {
        return torch.linspace(new Scalar(start), new Scalar(end), numTimesteps);
    }
}
