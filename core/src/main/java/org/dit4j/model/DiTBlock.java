package org.dit4j.model;

import static org.dit4j.model.Norms.plain;

import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.kernels.Kernels;
import org.dit4j.torch.Layers;
import org.dit4j.torch.ModuleArray;

/**
 * A transformer block in the four designs of the paper's figure 3, side by side. What the paper leaves open and how it is decided here:
 *
 * <ul>
 *   <li>The LayerNorms of the in-context and cross-attention blocks have a learned scale and shift, as those of the unmodified ViT blocks
 *       that the paper starts from; those of the two adaLN designs have none, since the conditioning brings them.
 *   <li>The cross-attention has a LayerNorm of its own before it and its own residual, like the other two branches.
 *   <li>The conditioning tokens are t, then y; they have no position embedding and are not normalised; in-context they stand after the
 *       image tokens.
 *   <li>The modulation of plain adaLN starts like every other linear layer (Xavier uniform, bias 0), that of adaLN-Zero at zero.
 * </ul>
 */
public abstract sealed class DiTBlock extends Module {

    /** The four designs. */
    public enum Kind {
        /** t and y as two more tokens of the sequence. */
        IN_CONTEXT(0, 2),
        /** t and y as a sequence of two, attended to after the self-attention. */
        CROSS_ATTENTION(0, 3),
        /** Shift and scale of the two LayerNorms regressed from t + y. */
        ADALN(4, 0),
        /** As ADALN, with a gate before each residual, and all six starting at zero: a fresh block is the identity. */
        ADALN_ZERO(6, 0);

        private final int modulations;
        private final int affineNorms;

        Kind(int modulations, int affineNorms) {
            this.modulations = modulations;
            this.affineNorms = affineNorms;
        }

        /** How many vectors of D numbers each block regresses from the conditioning. */
        int modulations() {
            return modulations;
        }

        /** How many LayerNorms with parameters each block has. */
        int affineNorms() {
            return affineNorms;
        }

        /** Whether the conditioning reaches the blocks as tokens (N, S, D), and not as one vector (N, D). */
        boolean conditionsByTokens() {
            return modulations == 0;
        }

        /** The only place that maps a configuration to a class. */
        DiTBlock create(int hiddenSize, int numHeads, int mlpHidden, Profile profile) {
            return switch (this) {
                case IN_CONTEXT -> new InContext(hiddenSize, numHeads, mlpHidden);
                case CROSS_ATTENTION -> new WithCrossAttention(hiddenSize, numHeads, mlpHidden);
                case ADALN -> new AdaLn(hiddenSize, numHeads, mlpHidden);
                case ADALN_ZERO -> new AdaLnZero(hiddenSize, numHeads, mlpHidden, profile.mlpNormEps());
            };
        }
    }

    /**
     * (N, T, D) → (N, T, D).
     *
     * @param conditioning SiLU(t + y), (N, D), for the adaLN designs; the tokens t and y, (N, S, D), for the others
     */
    public abstract Tensor forward(Tensor x, Tensor conditioning);

    /** The layer that regresses the modulation, which adaLN-Zero starts at zero; null for designs without one. */
    LinearImpl modulation() {
        return null;
    }

    /**
     * Gives the block embedders of its own: of the conditionings (N, depth, D) that are then made, it takes the one at {@code place}.
     *
     * @param labels null without classes
     */
    void embedItself(int place, TimestepEmbedder timesteps, LabelEmbedder labels) {
        throw new IllegalArgumentException("only adaLN-Zero blocks have embedders of their own");
    }

    /** SiLU(t + y) by its own embedders, (N, D). */
    Tensor ownCondition(Tensor t, Tensor y) {
        throw new IllegalStateException("this block has no embedders of its own");
    }

    /** An unmodified ViT block: the conditioning is among its tokens already. */
    static final class InContext extends DiTBlock {
        private final LayerNormImpl norm1, norm2;
        private final Attention attn;
        private final Mlp mlp;

        InContext(int hiddenSize, int numHeads, int mlpHidden) {
            norm1 = register_module("norm1", Norms.affine(hiddenSize));
            attn = register_module("attn", new Attention(hiddenSize, numHeads));
            norm2 = register_module("norm2", Norms.affine(hiddenSize));
            mlp = register_module("mlp", new Mlp(hiddenSize, mlpHidden));
        }

        @Override
        public Tensor forward(Tensor x, Tensor tokens) {
            x = x.add(attn.forward(norm1.forward(x)));
            return x.add(mlp.forward(norm2.forward(x)));
        }
    }

    /** A ViT block with a cross-attention to the conditioning tokens after its self-attention. */
    static final class WithCrossAttention extends DiTBlock {
        private final LayerNormImpl norm1, norm2, norm3;
        private final Attention attn;
        private final CrossAttention crossAttn;
        private final Mlp mlp;

        WithCrossAttention(int hiddenSize, int numHeads, int mlpHidden) {
            norm1 = register_module("norm1", Norms.affine(hiddenSize));
            attn = register_module("attn", new Attention(hiddenSize, numHeads));
            norm2 = register_module("norm2", Norms.affine(hiddenSize));
            crossAttn = register_module("cross_attn", new CrossAttention(hiddenSize, numHeads));
            norm3 = register_module("norm3", Norms.affine(hiddenSize));
            mlp = register_module("mlp", new Mlp(hiddenSize, mlpHidden));
        }

        @Override
        public Tensor forward(Tensor x, Tensor tokens) {
            x = x.add(attn.forward(norm1.forward(x)));
            x = x.add(crossAttn.forward(norm2.forward(x), tokens));
            return x.add(mlp.forward(norm3.forward(x)));
        }
    }

    /** Shift and scale of both LayerNorms come from the conditioning. */
    static final class AdaLn extends DiTBlock {
        private final Attention attn;
        private final Mlp mlp;
        private final LinearImpl modulation;

        AdaLn(int hiddenSize, int numHeads, int mlpHidden) {
            attn = register_module("attn", new Attention(hiddenSize, numHeads));
            mlp = register_module("mlp", new Mlp(hiddenSize, mlpHidden));
            modulation = new ModuleArray<LinearImpl>(this, "adaLN_modulation")
                    .put("1", Layers.linear(hiddenSize, 4L * hiddenSize));
        }

        @Override
        public Tensor forward(Tensor x, Tensor c) {
            TensorVector m = modulation.forward(c).chunk(4, 1); // four of (N, D)
            Tensor shiftMsa = m.get(0), scaleMsa = m.get(1), shiftMlp = m.get(2), scaleMlp = m.get(3);
            Kernels kernels = KernelLookup.of(x);
            x = x.add(attn.forward(kernels.modulate(plain(x), shiftMsa, scaleMsa)));
            return x.add(mlp.forward(kernels.modulate(plain(x), shiftMlp, scaleMlp)));
        }
    }

    /** As {@link AdaLn}, and each branch is gated by the conditioning before it is added. */
    static final class AdaLnZero extends DiTBlock {
        private final Attention attn;
        private final Mlp mlp;
        private final LinearImpl modulation;
        private final double mlpNormEps;
        private TimestepEmbedder timestepEmbedder;
        private LabelEmbedder labelEmbedder;
        private int place;

        AdaLnZero(int hiddenSize, int numHeads, int mlpHidden, double mlpNormEps) {
            this.mlpNormEps = mlpNormEps;
            attn = register_module("attn", new Attention(hiddenSize, numHeads));
            mlp = register_module("mlp", new Mlp(hiddenSize, mlpHidden));
            modulation = new ModuleArray<LinearImpl>(this, "adaLN_modulation")
                    .put("1", Layers.linear(hiddenSize, 6L * hiddenSize));
        }

        @Override
        void embedItself(int place, TimestepEmbedder timesteps, LabelEmbedder labels) {
            this.place = place;
            timestepEmbedder = register_module("t_embedder", timesteps);
            if (labels != null) labelEmbedder = register_module("y_embedder", labels);
        }

        @Override
        Tensor ownCondition(Tensor t, Tensor y) {
            Tensor time = timestepEmbedder.forward(t);
            return torch.silu(labelEmbedder == null ? time : time.add(labelEmbedder.forward(y)));
        }

        @Override
        public Tensor forward(Tensor x, Tensor conditioning) {
            Tensor c = conditioning.dim() == 3 ? conditioning.select(1, place) : conditioning;
            TensorVector m = modulation.forward(c).chunk(6, 1); // six of (N, D)
            Tensor shiftMsa = m.get(0), scaleMsa = m.get(1), gateMsa = m.get(2);
            Tensor shiftMlp = m.get(3), scaleMlp = m.get(4), gateMlp = m.get(5);
            Kernels kernels = KernelLookup.of(x);
            x = kernels.gatedAdd(x, attn.forward(kernels.modulate(plain(x), shiftMsa, scaleMsa)), gateMsa);
            return kernels.gatedAdd(
                    x, mlp.forward(kernels.modulate(plain(x, mlpNormEps), shiftMlp, scaleMlp)), gateMlp);
        }

        @Override
        LinearImpl modulation() {
            return modulation;
        }
    }
}
