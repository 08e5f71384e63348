package org.dit4j.kernels;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Noise.Purpose;

/**
 * The operations whose speed decides: each may have a faster implementation, and {@link AtenKernels} is the one that defines it. Those of the
 * network are differentiable by autograd. N batch, T tokens, D hidden, C channels, H and W latent pixels; results belong to the scope around
 * the call. {@link KernelLookup} finds the fastest.
 */
public interface Kernels {
    /** For logs and reports, for example "aten". */
    String name();

    /** x · (1 + scale) + shift: (N, T, D) tokens, (N, D) shift and scale. */
    Tensor modulate(Tensor x, Tensor shift, Tensor scale);

    /** residual + gate · branch: (N, T, D) both, (N, D) gate. */
    Tensor gatedAdd(Tensor residual, Tensor branch, Tensor gate);

    /** GELU in its tanh approximation. */
    Tensor gelu(Tensor x);

    /** softmax(q kᵀ / √d) v: (N, heads, T, d) queries, (N, heads, S, d) keys and values → (N, heads, T, d). */
    Tensor attention(Tensor queries, Tensor keys, Tensor values);

    /**
     * One step of AdamW (Loshchilov and Hutter 2019) over flat buffers, then average ← average + averageWeight · (values − average) and
     * weights ← values; in place. All buffers have the same size and, but for {@code weights}, dtype; where {@code skip} is 1, nothing changes.
     *
     * @param weights the values in the dtype that products take; the values themselves where there is no other
     * @param scalars what a captured step reads from the device
     */
    void adamWEma(
            Tensor values,
            Tensor weights,
            Tensor gradients,
            Tensor firstMoments,
            Tensor secondMoments,
            Tensor average,
            Tensor skip,
            OptimizerScalars scalars,
            AdamW settings);

    /** mean + mask · exp(logVariance / 2) · noise: the step of ancestral sampling; (N, C, H, W), mask (N, 1, 1, 1). */
    Tensor ancestralUpdate(Tensor mean, Tensor logVariance, Tensor mask, Tensor noise);

    /**
     * x0 · signal + direction · noiseInX, and + mask · sigma · noise unless {@code noise} is null: the step of DDIM; (N, C, H, W), and
     * (N, 1, 1, 1) the factors.
     */
    Tensor ddimUpdate(
            Tensor x0, Tensor noiseInX, Tensor signal, Tensor direction, Tensor mask, Tensor sigma, Tensor noise);

    /**
     * Normal numbers as a function of (seed, purpose, sub-stream, index): row i depends on {@code indices[i]} alone, and every
     * implementation gives the same bits.
     *
     * @return (indices.length, shape…) float32 on {@code device}
     */
    Tensor normal(long seed, Purpose purpose, int sub, long[] indices, Device device, long... shape);
}
