package org.dit4j.sample;

import java.util.concurrent.CancellationException;
import java.util.function.IntToDoubleFunction;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.diffusion.AncestralProcess;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.DiffusersProcess;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.Moments;
import org.dit4j.diffusion.ReverseProcess;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * From noise to latents, and back. A solver visits every stop of the process that it is given: respace a diffusion first. It keeps one
 * batch of latents at a time, computes no gradients, and its result belongs to the scope around the call.
 *
 * <p>In all of them {@code start} is (N, C, H, W), {@code condition} of N rows, and {@code clip} says whether the predicted x0 is clamped to
 * [−1, 1] at every step, which suits pixels and not latents. They throw {@link CancellationException} where the listener ends them.
 */
public final class Solvers {
    private Solvers() {}

    /** What a solver makes of the network's prediction for x. */
    @FunctionalInterface
    private interface Update {
        Next apply(Tensor x, Tensor prediction, Tensor timesteps, int step);
    }

    /** The latents after a step, and the predicted x0. */
    private record Next(Tensor x, Tensor x0) {}

    /** Ancestral sampling of Ho et al. (2020), as the published scripts do it: {@code start} is normal noise. */
    public static Tensor ddpm(
            Denoiser denoiser,
            AncestralProcess diffusion,
            Tensor start,
            Condition condition,
            StepNoise noise,
            boolean clip,
            StepListener listener) {
        int last = diffusion.numTimesteps() - 1;
        return solve(denoiser, diffusion, start, condition, listener, false, (x, prediction, timesteps, step) -> {
            Moments p = diffusion.pMeanVariance(prediction, x, timesteps, clip);
            if (step < last) return new Next(diffusion.ancestralStep(p, timesteps, noise.draw(step, x)), p.x0());
            noise.skip(step, x);
            return new Next(p.mean(), p.x0());
        });
    }

    /**
     * Sampling of Song et al. (2021), which needs fewer steps.
     *
     * @param start normal noise
     * @param eta 0 is deterministic, 1 as random as {@link #ddpm}
     */
    public static Tensor ddim(
            Denoiser denoiser,
            ReverseProcess diffusion,
            Tensor start,
            Condition condition,
            double eta,
            StepNoise noise,
            boolean clip,
            StepListener listener) {
        if (!(eta >= 0 && eta <= 1)) throw new IllegalArgumentException("eta is " + eta + "; 0 … 1");
        int last = diffusion.numTimesteps() - 1;
        return solve(denoiser, diffusion, start, condition, listener, false, (x, prediction, timesteps, step) -> {
            Tensor x0 = diffusion.predictedX0(prediction, x, timesteps, clip);
            if (eta != 0 && step < last)
                return new Next(diffusion.ddimStep(x0, x, timesteps, eta, noise.draw(step, x)), x0);
            noise.skip(step, x);
            return new Next(diffusion.ddimStep(x0, x, timesteps, 0, null), x0);
        });
    }

    /**
     * The deterministic sampler run backwards: from latents {@code start} to the noise from which {@link #ddim} with eta 0 makes them again,
     * the more exactly the more steps.
     */
    public static Tensor ddimReverse(
            Denoiser denoiser,
            ReverseProcess diffusion,
            Tensor start,
            Condition condition,
            boolean clip,
            StepListener listener) {
        return solve(denoiser, diffusion, start, condition, listener, true, (x, prediction, timesteps, step) -> {
            Tensor x0 = diffusion.predictedX0(prediction, x, timesteps, clip);
            return new Next(diffusion.ddimReverseStep(x0, x, timesteps), x0);
        });
    }

    /**
     * Sampling as diffusers' schedulers do it; clipping is their own.
     *
     * @param start normal noise
     * @param eta of DDIM: 0 is deterministic, 1 as random as {@link #ddpm}
     */
    public static Tensor diffusers(
            Denoiser denoiser,
            DiffusersProcess process,
            Tensor start,
            Condition condition,
            double eta,
            StepNoise noise,
            StepListener listener) {
        if (!(eta >= 0 && eta <= 1)) throw new IllegalArgumentException("eta is " + eta + "; 0 … 1");
        int stops = process.numTimesteps();
        Update update = (x, prediction, timesteps, step) -> {
            int index = stops - 1 - step;
            Tensor x0 = process.predictedX0(prediction, x, index);
            boolean random = process.isRandom(index, eta);
            if (!random) noise.skip(step, x);
            Tensor drawn = random ? noise.draw(step, x) : null;
            return new Next(process.step(prediction, x0, x, index, eta, drawn), x0);
        };
        return solve(denoiser, process::networkTime, stops, start, condition, listener, false, update);
    }

    private static Tensor solve(
            Denoiser denoiser,
            ReverseProcess diffusion,
            Tensor start,
            Condition condition,
            StepListener listener,
            boolean rising,
            Update update) {
        return solve(
                denoiser, diffusion::networkTime, diffusion.numTimesteps(), start, condition, listener, rising, update);
    }

    private static Tensor solve(
            Denoiser denoiser,
            IntToDoubleFunction networkTime,
            int numSteps,
            Tensor start,
            Condition condition,
            StepListener listener,
            boolean rising,
            Update update) {
        requireRows(start, condition);
        return TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                Tensor x = start;
                for (int i = 0; i < numSteps; i++) {
                    int step = i, index = rising ? i : numSteps - 1 - i;
                    Tensor before = x;
                    Tensor after = TensorScope.local(() -> {
                        double timestep = networkTime.applyAsDouble(index);
                        Tensor prediction = denoiser.predict(before, timestep, condition);
                        Next next = update.apply(before, prediction, GaussianDiffusion.shared(index, before), step);
                        if (!listener.onStep(new Step(step + 1, numSteps, timestep, next.x(), next.x0())))
                            throw new CancellationException("stopped after step " + (step + 1) + " of " + numSteps);
                        return next.x();
                    });
                    if (x != start) x.close();
                    x = after;
                }
                return x;
            }
        });
    }

    private static void requireRows(Tensor start, Condition condition) {
        if (start.dim() != 4)
            throw new IllegalArgumentException("the start is " + Tensors.shape(start) + "; (N, C, H, W)");
        if (start.size(0) != condition.size())
            throw new IllegalArgumentException(
                    "the start is " + Tensors.shape(start) + ", but the condition has " + condition.size() + " rows");
    }
}
