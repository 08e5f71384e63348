package org.dit4j.model;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.kernels.FusedKernels.Attended;
import org.dit4j.torch.TensorScope;

/** The memory of a {@link FusedTrunk} for one batch size: what the backward pass needs of each block, and what one block after the other uses. */
final class Activations implements AutoCloseable {
    /** Whether a backward pass will follow. */
    final boolean backward;
    /** Samples, and tokens of all of them. */
    final long n, m;
    /** The residual stream where each block begins, and before the final layer; (M, D) wide. */
    final Tensor[] stream;
    /** Of each block: projections (N, T, 3, heads, d), both branches (M, D), what the GELU takes. */
    final Tensor[] qkv, attended, mlp, hidden;
    /** Of each junction, (M, 2) wide. */
    final Tensor[] statistics;
    /** Shift, scale and gate of both branches of each block, (depth, N, 6 · D) wide; shift and scale of the final layer, (N, 2 · D). */
    final Tensor modulations, finalModulation, modulationGradients, finalModulationGradient;
    /** (M, C · p · p) wide, and what the final layer gives, (M, p · p · C′). */
    final Tensor patches, last;
    /** Of each block: the residual stream in its middle, (M, D) wide, and what comes out of the GELU; of each junction what is normalised, (M, D). */
    final Tensor[] middle, activated, normal;
    /** Whether these are one for each; else one for all, which is computed again. */
    final boolean keepsAll;
    /** Of the residual stream, wide; of what is normalised; of a branch; (M, D). */
    final Tensor gradient, normalGradient, branchGradient;
    /** Of what goes into the GELU. */
    final Tensor hiddenGradient;

    final Tensor mixedGradient, qkvGradient;

    private final List<Tensor> all = new ArrayList<>();
    private final Attended[] attentions;
    private final Tensor like;

    /**
     * @param backward whether a backward pass will follow; else all blocks share the memory of one, and there is none for gradients
     * @param like a tensor on the device
     */
    Activations(DiTConfig config, long n, ScalarType compute, ScalarType wide, boolean backward, Tensor like) {
        this.n = n;
        this.like = like;
        this.backward = backward;
        int depth = config.depth(), heads = config.numHeads();
        long t = config.tokens(), d = config.hiddenSize(), perHead = d / heads, f = config.mlpHidden();
        long p = (long) config.patchSize() * config.patchSize();
        m = n * t;
        stream = each(depth + 1, wide, m, d);
        qkv = each(depth, compute, n, t, 3, heads, perHead);
        attended = each(depth, compute, m, d);
        hidden = each(depth, compute, m, f);
        mlp = each(depth, compute, m, d);
        statistics = each(2 * depth + 1, wide, m, 2);
        attentions = new Attended[depth];
        modulations = make(wide, depth, n, 6 * d);
        modulationGradients = gradient(wide, depth, n, 6 * d);
        finalModulation = make(wide, n, 2 * d);
        finalModulationGradient = gradient(wide, n, 2 * d);
        patches = make(wide, m, config.inChannels() * p);
        last = make(compute, m, config.outChannels() * p);
        keepsAll = backward && keepsAll(config, n);
        middle = oneOrEach(depth, wide, m, d);
        normal = oneOrEach(2 * depth + 1, compute, m, d);
        activated = oneOrEach(depth, compute, m, f);
        gradient = gradient(wide, m, d);
        normalGradient = gradient(compute, m, d);
        branchGradient = gradient(compute, m, d);
        hiddenGradient = gradient(compute, m, f);
        mixedGradient = gradient(compute, n, t, heads, perHead);
        qkvGradient = gradient(compute, n, t, 3, heads, perHead);
    }

    private Tensor gradient(ScalarType dtype, long... shape) {
        return backward ? make(dtype, shape) : null;
    }

    /**
     * Whether what can be computed again is kept: where all that is kept for bfloat16 products is at most 32 GiB. Not by the memory that there
     * is, for a GELU that is computed again may differ in its last bit.
     */
    static boolean keepsAll(DiTConfig config, long n) {
        return config.depth() * (neededOfBlock(config) + againOfBlock(config)) * values(config, n) <= 32L << 30;
    }

    /** Bytes of a training pass with bfloat16 products, the attention's included, but for what does not grow with the tokens. */
    static long bytes(DiTConfig config, long n) {
        int depth = config.depth(), again = keepsAll(config, n) ? depth : 1;
        // gradients of the stream (4), of what is normalised, a branch and the attention's result (2 each), of the
        // projections, packed (6) and
        // apart (6), of what the GELU takes; the stream and what is normalised before the final layer (6)
        double passing = 4 + 3 * 2 + 2 * 6 + 2 * hidden(config) + 6;
        return (long) ((depth * neededOfBlock(config) + again * againOfBlock(config) + passing) * values(config, n));
    }

    /** For each number of the tokens: the stream (4), projections (6), the attention's result, both branches (2 each), what the GELU takes. */
    private static double neededOfBlock(DiTConfig config) {
        return 4 + 6 + 3 * 2 + 2 * hidden(config);
    }

    /** For each number of the tokens: the stream in the middle (4), twice what is normalised (2 each), what comes out of the GELU. */
    private static double againOfBlock(DiTConfig config) {
        return 4 + 2 * 2 + 2 * hidden(config);
    }

    private static double hidden(DiTConfig config) {
        return (double) config.mlpHidden() / config.hiddenSize();
    }

    private static long values(DiTConfig config, long n) {
        return n * config.tokens() * config.hiddenSize();
    }

    private Tensor[] oneOrEach(int count, ScalarType dtype, long... shape) {
        if (keepsAll) return each(count, dtype, shape);
        Tensor[] same = new Tensor[count];
        java.util.Arrays.fill(same, make(dtype, shape));
        return same;
    }

    private Tensor[] each(int count, ScalarType dtype, long... shape) {
        Tensor[] tensors = new Tensor[count];
        for (int i = 0; i < count; i++) tensors[i] = i == 0 || backward ? make(dtype, shape) : tensors[0];
        return tensors;
    }

    private Tensor make(ScalarType dtype, long... shape) {
        Tensor tensor = TensorScope.keeping(() -> torch.empty(
                shape, new TensorOptions(dtype).device(new DeviceOptional(like.device())), new MemoryFormatOptional()));
        all.add(tensor);
        return tensor;
    }

    /** Takes over what the attention of a block left for its backward pass. */
    void keep(int block, Attended attention) {
        int place = backward ? block : 0;
        if (attentions[place] != null) attentions[place].close();
        attentions[place] = attention;
    }

    Attended kept(int block) {
        return attentions[backward ? block : 0];
    }

    @Override
    public void close() {
        for (Attended attention : attentions) if (attention != null) attention.close();
        all.forEach(Tensor::close);
    }
}
