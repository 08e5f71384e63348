package org.dit4j.vae;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * What an encoder says about the raw latents of a batch of images: a normal distribution per element, or its mean only. Its tensors belong
 * to the scope around the call that made it; {@link #close} frees them where there is none.
 */
public final class LatentDistribution implements AutoCloseable {
    static {
        Backend.configure();
    }

    private final Tensor mean;
    private final Tensor logVariance;
    private final Lifetime lifetime = new Lifetime("this distribution", this::free);

    /**
     * A normal distribution.
     *
     * @param mean (N, C, h, w) raw latents
     * @param logVariance of the same shape
     */
    public LatentDistribution(Tensor mean, Tensor logVariance) {
        if (logVariance != null && !java.util.Arrays.equals(mean.shape(), logVariance.shape()))
            throw new IllegalArgumentException("the mean is " + Tensors.shape(mean)
                    + " and the logarithm of the variance " + Tensors.shape(logVariance) + "; they must agree");
        this.mean = mean;
        this.logVariance = logVariance;
    }

    /** The mean only, (N, C, h, w) raw latents: an encoder without a variance. */
    public static LatentDistribution ofMean(Tensor mean) {
        return new LatentDistribution(mean, null);
    }

    /** From an encoder's (N, 2C, h, w): the mean, then the logarithm of the variance, which is kept within −30 … 20. */
    static LatentDistribution ofMoments(Tensor moments) {
        long channels = moments.size(1) / 2;
        Tensor mean = TensorScope.local(() -> moments.narrow(1, 0, channels).contiguous());
        Tensor logVariance = TensorScope.local(() -> moments.narrow(1, channels, channels)
                .clamp(new ScalarOptional(new Scalar(-30.0)), new ScalarOptional(new Scalar(20.0))));
        return new LatentDistribution(mean, logVariance);
    }

    /** (N, C, h, w), raw latents. */
    public Tensor mean() {
        lifetime.requireOpen();
        return mean;
    }

    /** Whether there is a variance; TAESD has none. */
    public boolean hasVariance() {
        return logVariance != null;
    }

    /**
     * Natural logarithm of the variance, (N, C, h, w), within −30 … 20.
     *
     * @throws IllegalStateException if this encoder gives none
     */
    public Tensor logVariance() {
        if (logVariance == null)
            throw new IllegalStateException("this encoder gives a mean only; ask hasVariance() first");
        lifetime.requireOpen();
        return logVariance;
    }

    /** Standard deviation, (N, C, h, w), with {@link #logVariance}'s exception. */
    public Tensor std() {
        return lifetime.use(
                () -> TensorScope.local(() -> logVariance().mul(new Scalar(0.5)).exp_()));
    }

    /**
     * mean + std · noise, raw latents; a copy of the mean where there is no variance.
     *
     * @param noise (N, C, h, w) standard normal numbers
     */
    public Tensor sample(Tensor noise) {
        return lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                return hasVariance() ? std().mul_(noise).add_(mean) : mean.clone();
            }
        }));
    }

    /** Waits for what another thread draws. */
    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        mean.close();
        if (logVariance != null) logVariance.close();
    }
}
