package org.dit4j.model;

import java.util.function.Supplier;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.Layers;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.ModuleArray;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The diffusion transformer of Peebles and Xie, <i>Scalable Diffusion Models with Transformers</i> (ICCV 2023): noisy latents, timesteps and
 * labels in, predicted noise (and variance) out. Parameter names, shapes and order are those of the published checkpoints.
 *
 * <p>Make it outside any step's scope. {@code forward} draws nothing and changes nothing, so several threads may share a network that is
 * not being trained.
 */
public final class DiT extends Module {
    private final DiTConfig config;
    private final Profile profile;
    private final TensorScope layers;
    private final Lifetime lifetime = new Lifetime("this network", this::free);
    private final Tensor posEmbed;
    private final PatchEmbed patchEmbedder;
    private final TimestepEmbedder timestepEmbedder;
    private final LabelEmbedder labelEmbedder;
    /** Whether every block but the first has embedders of its own; the network's are the first block's, and the final layer's. */
    private final boolean embeddersPerBlock;

    private final ModuleArray<DiTBlock> blocks;
    private final FinalLayer finalLayer;

    /** @see DiTConfig#network(Profile) */
    DiT(DiTConfig config, Profile profile) {
        this(config, profile, false);
    }

    /** @param embeddersPerBlock as diffusers allows: for weights of such a network only, which is not trained here */
    DiT(DiTConfig config, Profile profile, boolean embeddersPerBlock) {
        if (profile == Profile.DIFFUSERS && config.block() != DiTBlock.Kind.ADALN_ZERO)
            throw new IllegalArgumentException("diffusers has no " + config.block() + " blocks; ADALN_ZERO only");
        this.config = config;
        this.profile = profile;
        this.embeddersPerBlock = embeddersPerBlock;
        layers = new TensorScope();
        try {
            int d = config.hiddenSize(), p = config.patchSize();
            posEmbed = register_parameter(
                    "pos_embed", SinCosPosition.table(d, config.inputHeight() / p, config.inputWidth() / p), false);
            patchEmbedder = register_module("x_embedder", new PatchEmbed(p, config.inChannels(), d));
            timestepEmbedder = register_module("t_embedder", new TimestepEmbedder(d, profile));
            labelEmbedder = config.numClasses() > 0
                    ? register_module("y_embedder", new LabelEmbedder(config.labelRows(), d))
                    : null;
            blocks = new ModuleArray<>(this, "blocks");
            for (int i = 0; i < config.depth(); i++)
                blocks.add(config.block().create(d, config.numHeads(), config.mlpHidden(), profile));
            for (int i = 1; i < config.depth() && embeddersPerBlock; i++)
                blocks.get(i)
                        .embedItself(
                                i,
                                new TimestepEmbedder(d, profile),
                                labelEmbedder == null ? null : new LabelEmbedder(config.labelRows(), d));
            finalLayer = register_module(
                    "final_layer",
                    new FinalLayer(
                            d,
                            (long) p * p * config.outChannels(),
                            !config.block().conditionsByTokens()));
            if (!Layers.areLeftUninitialised()) initialise();
        } finally {
            layers.suspend();
        }
    }

    /** Frees the layers with the network. */
    @Override
    public boolean releaseReference() {
        boolean last = super.releaseReference();
        if (last) layers.close();
        return last;
    }

    /** Waits for what another thread computes with it. */
    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        super.close();
    }

    /** Computes with the network, which is not freed meanwhile. */
    <T> T use(Supplier<T> body) {
        return lifetime.use(body::get);
    }

    public DiTConfig config() {
        return config;
    }

    public Profile profile() {
        return profile;
    }

    /**
     * The prediction for noisy latents.
     *
     * @param x (N, C, H, W) noisy latents, converted to the network's dtype
     * @param t (N) timesteps of the unrespaced process, whole or fractional, any dtype
     * @param y (N) int64 labels below {@code numClasses}, or the null label, or (N, D) of {@link #labelEmbeddings}; ignored (and may be null)
     *     in an unconditional model
     * @return (N, outChannels, H, W): noise, then, with a predicted variance, as many channels for it
     * @throws IllegalArgumentException if the latents do not have the configured size
     */
    public Tensor forward(Tensor x, Tensor t, Tensor y) {
        return use(() -> TensorScope.local(() -> {
            Tensor conditioning = condition(t, y);
            Tensor tokens =
                    embed(x, conditioning); // (N, T, D), and the conditioning's tokens where they are in context
            for (DiTBlock block : blocks) {
                Tensor input = tokens;
                tokens = TensorScope.local(() -> block.forward(input, conditioning));
            }
            return decode(tokens, conditioning);
        }));
    }

    /**
     * What stands for labels in the network, (N) int64 → (N, D): points between two of them lie between two classes.
     *
     * @throws IllegalStateException if the model is unconditional, or every block embeds labels itself
     */
    public Tensor labelEmbeddings(Tensor labels) {
        if (labelEmbedder == null) throw new IllegalStateException("this model has no classes");
        if (embeddersPerBlock)
            throw new IllegalStateException(
                    "every block of this model embeds labels itself, so nothing stands for a label in all of them");
        return use(() -> TensorScope.local(() -> labelEmbedder.forward(labels).detach()));
    }

    /**
     * SiLU(t + y), (N, D), for the adaLN designs, or (N, depth, D) where every block has its own; else the tokens t and y, (N, S, D).
     */
    Tensor condition(Tensor t, Tensor y) {
        Tensor time = timestepEmbedder.forward(t); // (N, D)
        if (config.block().conditionsByTokens())
            return labelEmbedder == null ? time.unsqueeze(1) : Tensors.stack(1, time, labelEmbedder.forward(y));
        // every block and the final layer apply SiLU to the same sum, so it is done once
        Tensor first = torch.silu(labelEmbedder == null ? time : time.add(labelEmbedder.forward(y)));
        if (!embeddersPerBlock) return first;
        Tensor[] each = new Tensor[config.depth()];
        each[0] = first;
        for (int i = 1; i < each.length; i++) each[i] = blocks.get(i).ownCondition(t, y);
        return Tensors.stack(1, each);
    }

    /** (N, C, H, W) → (N, T, D). */
    Tensor embed(Tensor x, Tensor conditioning) {
        requireInput(x);
        Tensor tokens = patchEmbedder.forward(x.to(posEmbed.scalar_type())).add(posEmbed);
        return config.block() == DiTBlock.Kind.IN_CONTEXT
                ? Tensors.cat(1, tokens, conditioning.to(tokens.scalar_type()))
                : tokens;
    }

    /** (N, T, D) → (N, outChannels, H, W). */
    Tensor decode(Tensor tokens, Tensor conditioning) {
        Tensor images = config.block() == DiTBlock.Kind.IN_CONTEXT ? tokens.narrow(1, 0, config.tokens()) : tokens;
        return unpatchify(finalLayer.forward(images, embeddersPerBlock ? conditioning.select(1, 0) : conditioning));
    }

    /** Whether {@link Trunk#fused} computes this network: adaLN-Zero, with embedders that all blocks share. */
    boolean canFuse() {
        return config.block() == DiTBlock.Kind.ADALN_ZERO && !embeddersPerBlock;
    }

    ModuleArray<DiTBlock> blocks() {
        return blocks;
    }

    /** (N, h·w, p·p·c) → (N, c, h·p, w·p); the channel is the fastest index of a token. */
    Tensor unpatchify(Tensor tokens) {
        long p = config.patchSize(),
                c = config.outChannels(),
                h = config.inputHeight() / p,
                w = config.inputWidth() / p;
        return tokens.reshape(tokens.size(0), h, w, p, p, c)
                .permute(0, 5, 1, 3, 2, 4)
                .reshape(tokens.size(0), c, h * p, w * p);
    }

    /** (1, T, D). */
    Tensor positions() {
        return posEmbed;
    }

    void requireInput(Tensor x) {
        if (x.dim() != 4
                || x.size(1) != config.inChannels()
                || x.size(2) != config.inputHeight()
                || x.size(3) != config.inputWidth())
            throw new IllegalArgumentException("latents are " + Tensors.shape(x) + ", this model needs [N, "
                    + config.inChannels() + ", " + config.inputHeight() + ", " + config.inputWidth() + "]");
    }

    /** Xavier uniform everywhere, then the exceptions that the reference makes. */
    private void initialise() {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            StateDict.of(this).forEach((name, tensor) -> {
                boolean norm = name.contains("norm");
                if (name.equals("pos_embed") || norm || name.startsWith("y_embedder")) return;
                if (name.endsWith(".bias")) torch.zero_(tensor);
                else torch.xavier_uniform_(tensor.view(tensor.size(0), -1), 1);
            });
            if (labelEmbedder != null) torch.normal_(labelEmbedder.table().weight(), 0, 0.02);
            torch.normal_(timestepEmbedder.first().weight(), 0, 0.02);
            torch.normal_(timestepEmbedder.second().weight(), 0, 0.02);
            for (DiTBlock block : blocks) zero(block.modulation());
            if (config.block() == DiTBlock.Kind.ADALN_ZERO) zero(finalLayer.modulation());
            zero(finalLayer.linear());
        }
    }

    private static void zero(LinearImpl layer) {
        if (layer == null) return;
        torch.zero_(layer.weight());
        torch.zero_(layer.bias());
    }
}
