package org.dit4j.train;

import org.bytedeco.pytorch.Device;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Trunk;
import org.dit4j.torch.Precision;

/**
 * The memory that a run takes beside Java and LibTorch, in bytes. State and copy are exact; activations are counted from what the blocks
 * keep for their backward pass, within 15% of what processes were measured to take.
 *
 * @param state weights, gradients, two moments and the average, on the device
 * @param copy of all of these but the gradients, in the machine's memory, from which checkpoints are written
 * @param activations of one micro-batch, on the device
 */
public record MemoryNeed(long state, long copy, long activations) {
    private static final int FLOAT = 4;
    /** How many times the size of the tokens a block's backward pass holds for a moment, beyond what its forward pass kept; measured. */
    private static final int PASSING = 20;

    /** Of a run of {@code config}, computed so. */
    public static MemoryNeed of(TrainConfig config, Execution execution) {
        DiTConfig model = config.model();
        long positions = (long) model.tokens() * model.hiddenSize(), trained = model.parameters() - positions;
        // autocast keeps the weights that it has rounded to the end of the pass
        boolean autocast = execution.precision() == Precision.AUTOCAST;
        boolean fused = execution.precision() == Precision.BF16;
        long rounded = autocast || fused ? trained * FLOAT / 2 : 0;
        long state = (5 * trained + 2 * positions) * FLOAT + rounded;
        return new MemoryNeed(
                state,
                (4 * trained + positions) * FLOAT,
                fused
                        ? Trunk.fusedBytes(model, execution.microBatchSize(config))
                        : activationsOfOneImage(model, autocast, execution.recompute())
                                * execution.microBatchSize(config));
    }

    /** Bytes on the device. */
    public long onDevice() {
        return state + activations;
    }

    /** Bytes in the device's memory; where the device is the processor, that has the copy too. */
    public long inMemoryOf(Device device) {
        return onDevice() + (device.is_cuda() ? 0 : copy);
    }

    /** The size of a checkpoint: weights and average with their positions, and two moments. */
    public static long checkpoint(DiTConfig model) {
        long positions = (long) model.tokens() * model.hiddenSize();
        return (4 * model.parameters() - 2 * positions) * FLOAT;
    }

    private static long activationsOfOneImage(DiTConfig model, boolean autocast, boolean recompute) {
        double block = kept(model, autocast);
        double all = recompute ? model.depth() + block + PASSING : model.depth() * block + PASSING;
        int extraTokens = model.block() == DiTBlock.Kind.IN_CONTEXT ? 2 : 0;
        return (long) (all * (model.tokens() + extraTokens) * model.hiddenSize() * FLOAT);
    }

    /**
     * How many times the size of the tokens in float32 a block keeps. With float32: the input, the normalised and the modulated one of
     * both branches (the modulation's factor needs the normalised one), queries, keys and values, the attention's result, both sides of the
     * GELU, and before each gate what is gated.
     */
    private static double kept(DiTConfig model, boolean autocast) {
        double hidden = (double) model.mlpHidden() / model.hiddenSize(),
                attention = 3 + 1,
                product = autocast ? 0.5 : 1;
        double products = product * (attention + 2 * hidden);
        // of each branch the residual and what goes into its first product
        double inputs = 2 * (1 + product);
        return switch (model.block()) {
            case IN_CONTEXT -> products + inputs;
            case CROSS_ATTENTION -> products + inputs + 1 + product * 3;
            case ADALN -> products + inputs + 2;
            case ADALN_ZERO -> products + inputs + 3 + 2 * product;
        };
    }
}
