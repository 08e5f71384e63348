package org.dit4j.kernels;

import org.bytedeco.pytorch.Tensor;

/**
 * The operations of a trunk with its own forward and backward pass, each of which writes into memory that its caller keeps. M = N · T rows of D
 * numbers; D hidden. Activations and weights are in the <i>compute</i> dtype, the residual stream, its gradient, statistics and all gradients of
 * parameters in the <i>wide</i> one: bfloat16 and float32 on a card, or both the same. {@link AtenFusedKernels} defines what each computes.
 *
 * <p>A <i>junction</i> is what lies between two branches of the network: the gated branch is added to the residual stream, and the sum is
 * normalised and modulated for the next branch. Shift, scale and gate are (N, D), wide, rows of any stride.
 */
public interface FusedKernels {
    /** Shift, scale and gate of a junction, or where their gradients go; (N, D) each, wide. The gate is the branch's that ends in it. */
    record Modulation(Tensor shift, Tensor scale, Tensor gate) {}

    /**
     * sum ← x + gate · branch, then normal ← LayerNorm(sum) · (1 + scale) + shift, and statistics ← mean and 1 / deviation of each row.
     *
     * @param x (M, D) wide
     * @param branch (M, D) compute, or null: the sum is x then, and neither gate nor {@code sum} is used
     * @param sum (M, D) wide; may be {@code x}
     * @param normal (M, D) compute
     * @param statistics (M, 2) wide
     */
    void junction(
            Tensor x, Tensor branch, Modulation modulation, double eps, Tensor sum, Tensor normal, Tensor statistics);

    /**
     * The backward pass of {@link #junction}: {@code gradient} holds d loss / d sum from all that reads the sum except this junction's
     * normal, and gets what comes through the normal added; the gated branch's gradient goes to {@code branchGradient}.
     *
     * @param normalGradient (M, D) compute, d loss / d normal
     * @param sum (M, D) wide, as the forward pass wrote it
     * @param branch (M, D) compute, or null as in the forward pass; then {@code branchGradient}, {@code biasGradient} and the gate are unused
     * @param gradient (M, D) wide, in and out
     * @param branchGradient (M, D) compute, out
     * @param biasGradient (D) wide, to which the column sums of {@code branchGradient} are added: the gradient of the bias of the branch's
     *     last layer
     * @param gradients out, not added to
     */
    void junctionBackward(
            Tensor normalGradient,
            Tensor sum,
            Tensor statistics,
            Tensor branch,
            Modulation modulation,
            Tensor gradient,
            Tensor branchGradient,
            Tensor biasGradient,
            Modulation gradients);

    /** out ← x · weightᵀ + bias: (M, K), (P, K), (P) → (M, P), compute. */
    void linear(Tensor x, Tensor weight, Tensor bias, Tensor out);

    /** before ← x · weightᵀ + bias, after ← GELU(before) in its tanh approximation: (M, K), (P, K), (P) → (M, P) both, compute. */
    void linearGelu(Tensor x, Tensor weight, Tensor bias, Tensor before, Tensor after);

    /** gradient ← outGradient · weight: (M, P), (P, K) → (M, K), compute. */
    void linearBackward(Tensor outGradient, Tensor weight, Tensor gradient);

    /**
     * gradient ← (outGradient · weight) · GELU′(before), and its column sums are added to {@code biasGradient}: the gradient of the layer
     * before the GELU and of its bias.
     *
     * @param after gets GELU(before) again, or null
     */
    void linearGeluBackward(
            Tensor outGradient, Tensor weight, Tensor before, Tensor after, Tensor gradient, Tensor biasGradient);

    /** weightGradient ← weightGradient + outGradientᵀ · x: (M, P), (M, K) → (P, K), wide. */
    void weightGradient(Tensor outGradient, Tensor x, Tensor weightGradient);

    /**
     * The modulations of all blocks at once: out[l] ← c · weights[l]ᵀ + biases[l].
     *
     * @param c (N, D) compute
     * @param weights (L, P, D) compute, blocks of any stride
     * @param biases (L, P) compute
     * @param out (L, N, P) wide
     */
    void modulations(Tensor c, Tensor weights, Tensor biases, Tensor out);

    /**
     * The backward pass of {@link #modulations}.
     *
     * @param outGradient (L, N, P) wide
     * @param weightGradients (L, P, D) wide, added to
     * @param biasGradients (L, P) wide, added to
     * @param gradient (N, D) wide, d loss / d c, added to
     */
    void modulationsBackward(
            Tensor outGradient,
            Tensor c,
            Tensor weights,
            Tensor weightGradients,
            Tensor biasGradients,
            Tensor gradient);

    /** Work that is done again and again on the same memory. */
    interface Replay extends AutoCloseable {
        /** Does it once. */
        void run();

        @Override
        void close();
    }

    /**
     * Work to be done again and again, which the first runs show: where the device can, it is captured then and started as a whole.
     *
     * @param body reads and writes memory that its caller keeps until the replay is closed, and reads nothing back
     */
    Replay capture(Runnable body);

    /** An attention's result, and what its backward pass needs of it; the caller closes it. */
    interface Attended extends AutoCloseable {
        /** (N, T, heads, d) compute, contiguous. */
        Tensor mixed();

        @Override
        void close();
    }

    /**
     * softmax(q kᵀ / √d) v, of packed projections.
     *
     * @param qkv (N, T, 3, heads, d) compute
     * @param backward whether a backward pass will follow
     */
    Attended attention(Tensor qkv, boolean backward);

    /**
     * The backward pass of {@link #attention}.
     *
     * @param mixedGradient (N, T, heads, d) compute
     * @param qkvGradient (N, T, 3, heads, d) compute, out
     * @param biasGradient (3 · D) wide, to which its column sums are added
     */
    void attentionBackward(
            Tensor qkv, Attended attended, Tensor mixedGradient, Tensor qkvGradient, Tensor biasGradient);
}
