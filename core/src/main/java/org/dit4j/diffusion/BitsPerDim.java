package org.dit4j.diffusion;

import java.util.function.IntFunction;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The variational bound on the negative log-likelihood of images, in bits per dimension, term by term. Column k of the (N, T) terms belongs
 * to the k-th timestep from the last down.
 */
public final class BitsPerDim {
    private final Tensor total, prior, vb, x0Mse, mse;

    private BitsPerDim(Tensor[] parts) {
        total = parts[0];
        prior = parts[1];
        vb = parts[2];
        x0Mse = parts[3];
        mse = parts[4];
    }

    /** (N): the bound, {@link #prior} and all of {@link #vb}. */
    public Tensor total() {
        return total;
    }

    /** (N): what remains of the image in the last timestep. */
    public Tensor prior() {
        return prior;
    }

    /** (N, T): the terms of the bound. */
    public Tensor vb() {
        return vb;
    }

    /** (N, T): squared error of the predicted x0. */
    public Tensor x0Mse() {
        return x0Mse;
    }

    /** (N, T): squared error of the noise that follows from the predicted x0. */
    public Tensor mse() {
        return mse;
    }

    /**
     * Evaluates the bound of {@code x0} (N, C, H, W) with one call of the denoiser for each timestep, from the last down.
     *
     * @param noise from 0 for the last timestep, 1 for the one before … to its normal noise (N, C, H, W) on the device of {@code x0}
     * @param clip whether the predicted x0 is clamped to [−1, 1]
     * @return tensors in the scope around the call
     */
    public static BitsPerDim of(
            GaussianDiffusion diffusion,
            Denoiser denoiser,
            Tensor x0,
            Condition condition,
            IntFunction<Tensor> noise,
            boolean clip) {
        return new BitsPerDim(TensorScope.localAll(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                int numTimesteps = diffusion.numTimesteps();
                Tensor[] columns = new Tensor[numTimesteps];
                for (int i = 0; i < numTimesteps; i++) {
                    int step = i, index = numTimesteps - 1 - i;
                    columns[i] = TensorScope.local(() -> {
                        Tensor drawn = noise.apply(step);
                        return terms(diffusion, denoiser, x0, condition, drawn, index, clip);
                    });
                }
                Tensor terms = Tensors.stack(2, columns); // (3, N, T)
                Tensor vb = terms.select(0, 0), prior = VariationalBound.prior(diffusion, x0);
                return new Tensor[] {vb.sum(1).add(prior), prior, vb, terms.select(0, 1), terms.select(0, 2)};
            }
        }));
    }

    /** (3, N): the bound, the squared error of x0, the squared error of the noise. */
    private static Tensor terms(
            GaussianDiffusion diffusion,
            Denoiser denoiser,
            Tensor x0,
            Condition condition,
            Tensor noise,
            int index,
            boolean clip) {
        Tensor timesteps = GaussianDiffusion.shared(index, x0);
        Tensor xt = diffusion.noised(x0, noise, timesteps);
        Tensor prediction = denoiser.predict(xt, diffusion.originalTimestep(index), condition);
        Moments p = diffusion.pMeanVariance(prediction, xt, timesteps, clip);
        Tensor noiseError = diffusion.noiseIn(xt, p.x0(), timesteps).sub(noise);
        return Tensors.stack(
                0,
                VariationalBound.term(diffusion, p, x0, xt, timesteps),
                meanSquare(p.x0().sub(x0)),
                meanSquare(noiseError));
    }

    private static Tensor meanSquare(Tensor difference) {
        return difference.square().flatten(1, -1).mean(1);
    }
}
