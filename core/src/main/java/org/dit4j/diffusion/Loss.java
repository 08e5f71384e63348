package org.dit4j.diffusion;

import org.bytedeco.pytorch.Tensor;

/** The loss of a batch of predictions, and where it sends them. */
public final class Loss {
    private final Tensor values, mse, vb, gradient;

    /** @param mse or {@code vb}: null where the objective has no such term */
    public Loss(Tensor values, Tensor mse, Tensor vb, Tensor gradient) {
        this.values = values;
        this.mse = mse;
        this.vb = vb;
        this.gradient = gradient;
    }

    /** (N) the loss of each row. */
    public Tensor values() {
        return values;
    }

    /** () the mean over the rows, on the device. */
    public Tensor mean() {
        return values.mean();
    }

    /** (N) the squared error as it enters the loss, or null where the objective has none. */
    public Tensor mse() {
        return mse;
    }

    /** (N) the variational bound term as it enters the loss, or null where the objective has none. */
    public Tensor vb() {
        return vb;
    }

    /** d mean loss / d prediction, in the prediction's shape and dtype. */
    public Tensor gradient() {
        return gradient;
    }
}
