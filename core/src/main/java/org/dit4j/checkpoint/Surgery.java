package org.dit4j.checkpoint;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** A trained network as the start of another one: with other classes, or for another resolution. */
public final class Surgery {
    static {
        Backend.configure();
    }

    private Surgery() {}

    /** What becomes of the positions at another resolution. */
    public enum Positions {
        /** The table stretched over the new grid, so that a corner stays a corner; for fine-tuning at another resolution. */
        INTERPOLATED,
        /** The table of the new grid, as a network trained there from the start has it. */
        COMPUTED
    }

    /**
     * A network with other classes.
     *
     * @param oldLabels for each new class, by its new label, the old label whose row it takes, or −1 for a fresh row
     * @return in float32, on the CPU; every other weight, the null label's row included, is kept. Fresh rows are drawn from LibTorch's
     *     generator as at the start of training. The caller closes it
     * @throws IllegalArgumentException if an old label is none
     */
    public static DiT withClasses(DiTWeights weights, List<Integer> oldLabels) throws IOException {
        DiTConfig old = weights.description().model();
        for (int label : oldLabels)
            if (label < -1 || label >= old.numClasses())
                throw new IllegalArgumentException("old label " + label + " is none; the model has 0 to "
                        + (old.numClasses() - 1) + ", and -1 is a fresh row");
        if (oldLabels.isEmpty())
            throw new IllegalArgumentException("no class is left; a model without classes cannot be made of one with");
        double dropout = old.hasNullLabel() ? old.labelDropout() : 0;
        DiT network = old.withClasses(oldLabels.size(), dropout)
                .network(weights.description().profile());
        return filled(network, weights, (name, kept, fresh) -> {
            if (!name.equals("y_embedder.embedding_table.weight")) return kept;
            List<Tensor> rows = new ArrayList<>();
            for (int label = 0; label < oldLabels.size(); label++)
                rows.add(
                        oldLabels.get(label) < 0 ? fresh.narrow(0, label, 1) : kept.narrow(0, oldLabels.get(label), 1));
            if (old.hasNullLabel()) rows.add(kept.narrow(0, old.numClasses(), 1));
            return Tensors.cat(0, rows.toArray(Tensor[]::new));
        });
    }

    /** As {@link #withClasses(DiTWeights, List)} with {@code numClasses} fresh rows. */
    public static DiT withFreshClasses(DiTWeights weights, int numClasses) throws IOException {
        return withClasses(weights, Collections.nCopies(numClasses, -1));
    }

    /**
     * A network for latents of another size; every weight but the position table is kept.
     *
     * @return in float32, on the CPU; the caller closes it
     */
    public static DiT withInputSize(DiTWeights weights, int height, int width, Positions positions) throws IOException {
        DiTConfig old = weights.description().model();
        DiTConfig config = old.withInputSize(height, width);
        DiT network = config.network(weights.description().profile());
        return filled(network, weights, (name, kept, fresh) -> {
            if (!name.equals("pos_embed")) return kept;
            return positions == Positions.COMPUTED ? fresh : interpolated(kept, old, config);
        });
    }

    /**
     * As a network of {@code wanted} needs them: other classes all fresh, another resolution by stretching the positions.
     *
     * @throws IllegalArgumentException if anything else differs, saying why it cannot be changed
     */
    public static DiT fitted(DiTWeights weights, DiTConfig wanted) throws IOException {
        DiTDescription given = weights.description();
        DiTConfig old = given.model();
        requireFitting(old, wanted);
        boolean sameClasses = wanted.numClasses() == old.numClasses();
        DiT network = wanted.network(given.profile());
        return filled(network, weights, (name, kept, fresh) -> {
            if (name.equals("pos_embed")) return interpolated(kept, old, wanted);
            if (!name.equals("y_embedder.embedding_table.weight") || sameClasses) return kept;
            Tensor classes = fresh.narrow(0, 0, wanted.numClasses());
            return old.hasNullLabel() ? Tensors.cat(0, classes, kept.narrow(0, old.numClasses(), 1)) : classes;
        });
    }

    /**
     * Whether {@link #fitted} can make the one of the other.
     *
     * @throws IllegalArgumentException if not, saying why
     */
    public static void requireFitting(DiTConfig old, DiTConfig wanted) {
        refuse(
                wanted.patchSize() != old.patchSize(),
                "patch size",
                old.patchSize(),
                wanted.patchSize(),
                "the patch embedding and the final layer are a different map for every patch size,"
                        + " and the blocks have learned what one patch shows");
        refuse(
                wanted.inChannels() != old.inChannels(),
                "latent channels",
                old.inChannels(),
                wanted.inChannels(),
                "they are another autoencoder's");
        refuse(
                wanted.hiddenSize() != old.hiddenSize()
                        || wanted.depth() != old.depth()
                        || wanted.numHeads() != old.numHeads()
                        || wanted.mlpHidden() != old.mlpHidden()
                        || wanted.block() != old.block(),
                "trunk",
                DiTShapes.name(old),
                DiTShapes.name(wanted),
                "no weight would fit");
        refuse(
                wanted.learnSigma() != old.learnSigma(),
                "learned variance",
                old.learnSigma(),
                wanted.learnSigma(),
                "the final layer has rows for it or not");
        refuse(
                (wanted.numClasses() == 0) != (old.numClasses() == 0),
                "classes",
                old.numClasses(),
                wanted.numClasses(),
                "a network without classes has no label table, and one with classes was never trained without its labels;"
                        + " name at least one class, or begin with weights that have none");
        refuse(
                wanted.hasNullLabel() != old.hasNullLabel(),
                "label dropout",
                old.hasNullLabel() ? "above 0" : 0,
                wanted.labelDropout(),
                old.hasNullLabel()
                        ? "their label table has a row for no label, which label dropout 0 has not; take label dropout "
                                + (old.labelDropout() > 0 ? old.labelDropout() : 0.1)
                        : "their label table has no row for no label; take label dropout 0");
    }

    private static void refuse(boolean differs, String what, Object given, Object wanted, String why) {
        if (differs)
            throw new IllegalArgumentException("the weights have " + what + " " + given + ", wanted is " + wanted
                    + ", which cannot be changed: " + why);
    }

    /** (1, h·w, D) → (1, h'·w', D), bicubic; the table itself where the grid is the same. */
    private static Tensor interpolated(Tensor table, DiTConfig old, DiTConfig wanted) {
        long p = old.patchSize(), d = old.hiddenSize();
        long rows = old.inputHeight() / p, columns = old.inputWidth() / p;
        long newRows = wanted.inputHeight() / p, newColumns = wanted.inputWidth() / p;
        if (rows == newRows && columns == newColumns) return table;
        return TensorScope.local(() -> {
            Tensor grid =
                    table.to(torch.ScalarType.Float).view(1, rows, columns, d).permute(0, 3, 1, 2);
            // corners on corners: every coordinate stays within those that the network has seen
            Tensor stretched = torch.upsample_bicubic2d(
                    grid, new long[] {newRows, newColumns}, true, new DoubleOptional(), new DoubleOptional());
            return stretched.permute(0, 2, 3, 1).reshape(1, newRows * newColumns, d);
        });
    }

    /** Makes a weight of the new network from the old one's and the fresh one. */
    @FunctionalInterface
    private interface Change {
        Tensor apply(String name, Tensor kept, Tensor fresh);
    }

    private static DiT filled(DiT network, DiTWeights weights, Change change) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> kept = weights.read(), fresh = StateDict.of(network);
            DiTWeights.requireSharedEmbedders(kept, "the other network");
            fresh.forEach((name, tensor) ->
                    kept.put(name, change.apply(name, kept.get(name).to(torch.ScalarType.Float), tensor.clone())));
            StateDict.load(network, kept);
            return network;
        } catch (IOException | RuntimeException e) {
            network.close();
            throw e;
        }
    }
}
