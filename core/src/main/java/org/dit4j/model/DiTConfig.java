package org.dit4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Layers;

/**
 * What fixes a DiT's parameters (Peebles and Xie 2023, table 1).
 *
 * @param inputHeight latent pixels, a multiple of {@code patchSize}
 * @param inputWidth latent pixels, a multiple of {@code patchSize}
 * @param patchSize latent pixels to a token's side
 * @param inChannels channels of the latents; 4 for Stable Diffusion's autoencoders, 3 or 1 in pixel space
 * @param hiddenSize width of a token, a multiple of {@code numHeads} and of 4
 * @param depth number of blocks
 * @param numHeads attention heads
 * @param mlpRatio hidden width of the MLP over {@code hiddenSize}
 * @param numClasses number of classes; 0 is an unconditional model
 * @param labelDropout the share of training labels replaced by the null label, in [0, 1); 0 means that the label table has no null row, so
 *     that the model cannot be guided
 * @param learnSigma whether the network predicts a variance beside the noise, so that it has 2 · {@code inChannels} output channels
 * @param block the design of the blocks
 */
public record DiTConfig(
        int inputHeight,
        int inputWidth,
        int patchSize,
        int inChannels,
        int hiddenSize,
        int depth,
        int numHeads,
        double mlpRatio,
        int numClasses,
        double labelDropout,
        boolean learnSigma,
        DiTBlock.Kind block) {

    /** How many times the size of the tokens in float32 a block takes for a moment. */
    private static final int TOKENS_HELD = 16;

    private record Size(int hiddenSize, int depth, int numHeads) {}

    private static final Map<String, Size> SIZES = new TreeMap<>(Map.of(
            "DiT-S", new Size(384, 12, 6),
            "DiT-B", new Size(768, 12, 12),
            "DiT-L", new Size(1024, 24, 16),
            "DiT-XL", new Size(1152, 28, 16)));

    static {
        Backend.configure();
    }

    /** @throws IllegalArgumentException if the values do not fit each other */
    public DiTConfig {
        positive("inputHeight", inputHeight);
        positive("inputWidth", inputWidth);
        positive("patchSize", patchSize);
        positive("inChannels", inChannels);
        positive("hiddenSize", hiddenSize);
        positive("depth", depth);
        positive("numHeads", numHeads);
        require(
                inputHeight % patchSize == 0,
                "input height %d is not a multiple of the patch size %d",
                inputHeight,
                patchSize);
        require(
                inputWidth % patchSize == 0,
                "input width %d is not a multiple of the patch size %d",
                inputWidth,
                patchSize);
        require(
                (long) (inputHeight / patchSize) * (inputWidth / patchSize) <= Integer.MAX_VALUE,
                "an input of %d × %d has more than 2147483647 patches",
                inputHeight,
                inputWidth);
        require(
                hiddenSize % numHeads == 0,
                "hidden size %d is not a multiple of the number of heads %d",
                hiddenSize,
                numHeads);
        require(
                hiddenSize % 4 == 0,
                "hidden size %d is not a multiple of 4, which sine-cosine positions need",
                hiddenSize);
        require(mlpRatio > 0 && hiddenSize * mlpRatio >= 1, "MLP ratio %s is not positive", mlpRatio);
        require(numClasses >= 0, "number of classes %d is negative; 0 is an unconditional model", numClasses);
        require(labelDropout >= 0 && labelDropout < 1, "label dropout %s is outside [0, 1)", labelDropout);
        require(block != null, "block design is missing");
    }

    /**
     * The published sizes by their published names, for example "DiT-XL/2": latents of 32×32×4, 1000 classes, label dropout 0.1, learned
     * variance, adaLN-Zero.
     *
     * @throws IllegalArgumentException if there is no such size
     */
    public static DiTConfig of(String name) {
        int slash = name.lastIndexOf('/');
        Size size = slash < 0 ? null : SIZES.get(name.substring(0, slash));
        String patch = name.substring(slash + 1);
        require(
                size != null && patch.matches("[248]"),
                "unknown model \"%s\"; known sizes are %s with patch 2, 4 or 8, as in \"DiT-XL/2\"",
                name,
                SIZES.keySet());
        return new DiTConfig(
                32,
                32,
                Integer.parseInt(patch),
                4,
                size.hiddenSize,
                size.depth,
                size.numHeads,
                4,
                1000,
                0.1,
                true,
                DiTBlock.Kind.ADALN_ZERO);
    }

    /** The twelve published names, from "DiT-S/8" to "DiT-XL/2". */
    public static List<String> names() {
        return List.of("DiT-S", "DiT-B", "DiT-L", "DiT-XL").stream()
                .flatMap(size -> List.of("/8", "/4", "/2").stream().map(patch -> size + patch))
                .toList();
    }

    /** The same for latents of another size. */
    public DiTConfig withInputSize(int height, int width) {
        return new DiTConfig(
                height,
                width,
                patchSize,
                inChannels,
                hiddenSize,
                depth,
                numHeads,
                mlpRatio,
                numClasses,
                labelDropout,
                learnSigma,
                block);
    }

    /** The same for latents with another number of channels. */
    public DiTConfig withInChannels(int channels) {
        return new DiTConfig(
                inputHeight,
                inputWidth,
                patchSize,
                channels,
                hiddenSize,
                depth,
                numHeads,
                mlpRatio,
                numClasses,
                labelDropout,
                learnSigma,
                block);
    }

    /** The same with other classes; 0 classes is an unconditional model. */
    public DiTConfig withClasses(int classes, double dropout) {
        return new DiTConfig(
                inputHeight,
                inputWidth,
                patchSize,
                inChannels,
                hiddenSize,
                depth,
                numHeads,
                mlpRatio,
                classes,
                dropout,
                learnSigma,
                block);
    }

    /** The same with another size of patches. */
    public DiTConfig withPatchSize(int patch) {
        return new DiTConfig(
                inputHeight,
                inputWidth,
                patch,
                inChannels,
                hiddenSize,
                depth,
                numHeads,
                mlpRatio,
                numClasses,
                labelDropout,
                learnSigma,
                block);
    }

    /** The same with another trunk. */
    public DiTConfig withTrunk(int width, int blocks, int heads) {
        return new DiTConfig(
                inputHeight,
                inputWidth,
                patchSize,
                inChannels,
                width,
                blocks,
                heads,
                mlpRatio,
                numClasses,
                labelDropout,
                learnSigma,
                block);
    }

    /** The same with or without a predicted variance. */
    public DiTConfig withLearnSigma(boolean learn) {
        return new DiTConfig(
                inputHeight,
                inputWidth,
                patchSize,
                inChannels,
                hiddenSize,
                depth,
                numHeads,
                mlpRatio,
                numClasses,
                labelDropout,
                learn,
                block);
    }

    /** The same with another block design. */
    public DiTConfig withBlock(DiTBlock.Kind kind) {
        return new DiTConfig(
                inputHeight,
                inputWidth,
                patchSize,
                inChannels,
                hiddenSize,
                depth,
                numHeads,
                mlpRatio,
                numClasses,
                labelDropout,
                learnSigma,
                kind);
    }

    /**
     * A network with fresh weights, on the CPU, initialised as published from LibTorch's generator ({@code torch.manual_seed}): a fresh
     * adaLN-Zero model is the identity in every block and outputs zero. The caller closes it. Networks are made here and not by a
     * constructor: {@code new} would touch JavaCPP before its memory limits are set.
     */
    public DiT network() {
        return network(Profile.OFFICIAL);
    }

    /**
     * As {@link #network()}, following another code's arithmetic.
     *
     * @throws IllegalArgumentException if that code has no such network: diffusers has adaLN-Zero only
     */
    public DiT network(Profile profile) {
        return new DiT(this, profile);
    }

    /**
     * A network that takes over weights, on the CPU, in float32; nobody else may change them then. The caller closes it.
     *
     * @param weights every parameter by its published name; those of diffusers may have embedders for every block,
     *     {@code blocks.1.t_embedder.mlp.0.weight}, and the network has them then
     * @throws IllegalArgumentException as {@link #network(Profile)}; and naming every missing and unexpected weight and every wrong shape
     */
    public DiT network(Profile profile, Map<String, Tensor> weights) {
        boolean embeddersPerBlock = weights.containsKey("blocks.1.t_embedder.mlp.0.weight");
        require(
                !embeddersPerBlock || profile == Profile.DIFFUSERS,
                "the blocks of these weights have time and label embedders of their own, which the published code has not;"
                        + " open them with the diffusers profile");
        return Layers.withWeights(weights, () -> new DiT(this, profile, embeddersPerBlock));
    }

    /** T, the number of image tokens. */
    public int tokens() {
        return (inputHeight / patchSize) * (inputWidth / patchSize);
    }

    /** Channels of the network's output: twice those of its input with a predicted variance. */
    public int outChannels() {
        return learnSigma ? 2 * inChannels : inChannels;
    }

    /** Hidden width of the MLP. */
    public int mlpHidden() {
        return (int) (hiddenSize * mlpRatio);
    }

    /** Whether there is a null label, which classifier-free guidance needs. */
    public boolean hasNullLabel() {
        return numClasses > 0 && labelDropout > 0;
    }

    /**
     * The label that stands for "no class": the number of classes.
     *
     * @throws IllegalStateException if the model has none
     */
    public int nullLabel() {
        if (!hasNullLabel())
            throw new IllegalStateException(
                    "this model was made without a null label (" + (numClasses == 0 ? "no classes" : "label dropout 0")
                            + "), so it cannot be guided; sample with guidance 1");
        return numClasses;
    }

    /** Rows of the label table: the classes and, with label dropout, the null label. */
    public int labelRows() {
        return hasNullLabel() ? numClasses + 1 : numClasses;
    }

    /** About the memory that a prediction of so many rows takes for a moment beside the weights, in bytes; measured. */
    public long predictionBytes(long rows) {
        return rows * tokens() * hiddenSize * Float.BYTES * TOKENS_HELD;
    }

    /** Number of parameters, the fixed position table included, as a checkpoint counts them. */
    public long parameters() {
        return layers().stream()
                .mapToLong(layer -> layer.count() * layer.parameters())
                .sum();
    }

    /**
     * Billions of multiply-accumulates of one forward pass for one image, plus one operation per element of each LayerNorm: what the paper's
     * tables call Gflops. A count of floating-point operations is twice as much.
     */
    public double gflops() {
        return layers().stream()
                        .mapToDouble(layer -> layer.count() * layer.operations())
                        .sum()
                / 1e9;
    }

    /** Every layer with parameters or products, in the order of the forward pass. */
    public List<LayerCost> layers() {
        long d = hiddenSize, t = tokens(), patch = (long) patchSize * patchSize;
        boolean adaptive = block.modulations() > 0;
        List<LayerCost> layers = new ArrayList<>();
        layers.add(new LayerCost("pos_embed", 1, t * d, 0));
        layers.add(linear("x_embedder.proj", 1, t, inChannels * patch, d));
        layers.add(linear("t_embedder.mlp.0", 1, 1, TimestepEmbedder.FREQUENCIES, d));
        layers.add(linear("t_embedder.mlp.2", 1, 1, d, d));
        if (numClasses > 0) layers.add(new LayerCost("y_embedder.embedding_table", 1, labelRows() * d, 0));
        addBlock(layers);
        layers.add(norm("final_layer.norm_final", 1, t, !adaptive));
        if (adaptive) layers.add(linear("final_layer.adaLN_modulation.1", 1, 1, d, 2 * d));
        layers.add(linear("final_layer.linear", 1, t, d, patch * outChannels()));
        return layers;
    }

    private void addBlock(List<LayerCost> layers) {
        long d = hiddenSize, t = tokens(), conditions = numClasses > 0 ? 2 : 1;
        long length = block == DiTBlock.Kind.IN_CONTEXT ? t + conditions : t;
        boolean cross = block == DiTBlock.Kind.CROSS_ATTENTION, affine = block.affineNorms() > 0;
        if (block.modulations() > 0)
            layers.add(linear("blocks.N.adaLN_modulation.1", depth, 1, d, block.modulations() * d));
        layers.add(norm("blocks.N.norm1", depth, length, affine));
        layers.add(linear("blocks.N.attn.qkv", depth, length, d, 3 * d));
        layers.add(new LayerCost("blocks.N.attn", depth, 0, 2.0 * length * length * d));
        layers.add(linear("blocks.N.attn.proj", depth, length, d, d));
        if (cross) {
            layers.add(norm("blocks.N.norm2", depth, t, affine));
            layers.add(linear("blocks.N.cross_attn.q", depth, t, d, d));
            layers.add(linear("blocks.N.cross_attn.kv", depth, conditions, d, 2 * d));
            layers.add(new LayerCost("blocks.N.cross_attn", depth, 0, 2.0 * conditions * t * d));
            layers.add(linear("blocks.N.cross_attn.proj", depth, t, d, d));
        }
        layers.add(norm(cross ? "blocks.N.norm3" : "blocks.N.norm2", depth, length, affine));
        layers.add(linear("blocks.N.mlp.fc1", depth, length, d, mlpHidden()));
        layers.add(linear("blocks.N.mlp.fc2", depth, length, mlpHidden(), d));
    }

    /** With a bias, which the paper's count leaves out. */
    private static LayerCost linear(String name, int count, long rows, long in, long out) {
        return new LayerCost(name, count, (in + 1) * out, (double) rows * in * out);
    }

    private LayerCost norm(String name, int count, long rows, boolean affine) {
        return new LayerCost(name, count, affine ? 2L * hiddenSize : 0, (double) rows * hiddenSize);
    }

    private static void positive(String what, int value) {
        require(value > 0, "%s is %d; it must be positive", what, value);
    }

    private static void require(boolean holds, String message, Object... values) {
        if (!holds) throw new IllegalArgumentException(String.format(Locale.ROOT, message, values));
    }
}
