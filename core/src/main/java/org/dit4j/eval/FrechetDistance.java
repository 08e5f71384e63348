package org.dit4j.eval;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.TensorScope;

/**
 * The squared Fréchet distance of two Gaussians (Dowson and Landau 1982): of Inception's features the FID of Heusel et al. (2017).
 *
 * <p>|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), where the trace of the root is the sum of the roots of the eigenvalues of the symmetric
 * Σ₁^½ Σ₂ Σ₁^½, which are those of Σ₁ Σ₂. All in float64 and real, so that singular covariances need no offset and nothing is complex.
 */
public final class FrechetDistance {
    private FrechetDistance() {}

    /**
     * Not negative, finite, and 0 of equal statistics.
     *
     * @throws IllegalArgumentException if they are of another number of features
     */
    public static double of(Gaussian a, Gaussian b) {
        if (a.width() != b.width())
            throw new IllegalArgumentException("statistics of " + a.width() + " and of " + b.width()
                    + " features cannot be compared; they are of other networks or layers");
        if (a.hasSameNumbers(b)) return 0;
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor first = a.covariance(), second = b.covariance();
            Tensor step = a.mean().sub(b.mean());
            Tensor root = root(first);
            Tensor product = root.matmul(second).matmul(root);
            Tensor eigenvalues = torch.linalg_eigvalsh(product.add(product.t()).mul_(new Scalar(0.5)));
            double mixed = clamped(eigenvalues).sqrt().sum().item_double();
            double distance = step.dot(step).item_double()
                    + first.trace().item_double()
                    + second.trace().item_double()
                    - 2 * mixed;
            return Math.max(0, distance); // what is left of rounding where they are all but equal
        }
    }

    /** The symmetric root of a covariance. */
    private static Tensor root(Tensor covariance) {
        T_TensorTensor_T decomposed = torch.linalg_eigh(covariance);
        Tensor vectors = decomposed.get1();
        return vectors.mul(clamped(decomposed.get0()).sqrt()).matmul(vectors.t());
    }

    /** A covariance has no negative eigenvalue but by rounding. */
    private static Tensor clamped(Tensor eigenvalues) {
        return eigenvalues.clamp_min(new Scalar(0.0));
    }
}
