package org.dit4j.checkpoint;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;

/** What the shapes of a DiT's weights tell of it, and the reverse. */
public final class DiTShapes {
    private static final int FREQUENCIES = 256, SHOWN = 12;

    private DiTShapes() {}

    /** The shape of every weight by its published name, in the order of the state dict. */
    public static Map<String, List<Long>> of(DiTConfig config) {
        long d = config.hiddenSize(), p = config.patchSize(), hidden = config.mlpHidden();
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        shapes.put("pos_embed", List.of(1L, (long) config.tokens(), d));
        shapes.put("x_embedder.proj.weight", List.of(d, (long) config.inChannels(), p, p));
        shapes.put("x_embedder.proj.bias", List.of(d));
        linear(shapes, "t_embedder.mlp.0", d, FREQUENCIES);
        linear(shapes, "t_embedder.mlp.2", d, d);
        if (config.numClasses() > 0)
            shapes.put("y_embedder.embedding_table.weight", List.of((long) config.labelRows(), d));
        for (int i = 0; i < config.depth(); i++) block(shapes, "blocks." + i + ".", config.block(), d, hidden);
        boolean adaptive = config.block() == DiTBlock.Kind.ADALN || config.block() == DiTBlock.Kind.ADALN_ZERO;
        if (!adaptive) norm(shapes, "final_layer.norm_final", d);
        linear(shapes, "final_layer.linear", p * p * config.outChannels(), d);
        if (adaptive) linear(shapes, "final_layer.adaLN_modulation.1", 2 * d, d);
        return shapes;
    }

    private static void block(Map<String, List<Long>> shapes, String name, DiTBlock.Kind kind, long d, long hidden) {
        boolean vit = kind == DiTBlock.Kind.IN_CONTEXT || kind == DiTBlock.Kind.CROSS_ATTENTION;
        if (vit) norm(shapes, name + "norm1", d);
        linear(shapes, name + "attn.qkv", 3 * d, d);
        linear(shapes, name + "attn.proj", d, d);
        if (vit) norm(shapes, name + "norm2", d);
        if (kind == DiTBlock.Kind.CROSS_ATTENTION) {
            linear(shapes, name + "cross_attn.q", d, d);
            linear(shapes, name + "cross_attn.kv", 2 * d, d);
            linear(shapes, name + "cross_attn.proj", d, d);
            norm(shapes, name + "norm3", d);
        }
        linear(shapes, name + "mlp.fc1", hidden, d);
        linear(shapes, name + "mlp.fc2", d, hidden);
        if (kind == DiTBlock.Kind.ADALN) linear(shapes, name + "adaLN_modulation.1", 4 * d, d);
        if (kind == DiTBlock.Kind.ADALN_ZERO) linear(shapes, name + "adaLN_modulation.1", 6 * d, d);
    }

    private static void linear(Map<String, List<Long>> shapes, String name, long out, long in) {
        shapes.put(name + ".weight", List.of(out, in));
        shapes.put(name + ".bias", List.of(out));
    }

    private static void norm(Map<String, List<Long>> shapes, String name, long width) {
        shapes.put(name + ".weight", List.of(width));
        shapes.put(name + ".bias", List.of(width));
    }

    /**
     * The model that weights under the published names are of. Square latents; the last row of the label table is the null label, as
     * published.
     *
     * @param shapes of the weights
     * @param numHeads of the attention, which no shape tells; without it those of the published model of this width
     * @throws IllegalArgumentException if they are no DiT's, or the number of heads is not known
     */
    public static DiTConfig config(Map<String, List<Long>> shapes, OptionalInt numHeads) {
        List<Long> patches = shape(shapes, "x_embedder.proj.weight", 4);
        List<Long> positions = shape(shapes, "pos_embed", 3);
        int width = size(patches.get(0)), channels = size(patches.get(1)), patch = size(patches.get(2));
        int depth = depth(shapes);
        int side = (int) Math.round(Math.sqrt(positions.get(1)));
        if ((long) side * side != positions.get(1))
            throw new IllegalArgumentException("pos_embed has " + positions.get(1)
                    + " tokens, which is no square; latents that are not square need a file that says their size");
        long hidden = shape(shapes, "blocks.0.mlp.fc1.weight", 2).get(0);
        long outputs = shape(shapes, "final_layer.linear.weight", 2).get(0), perChannel = (long) patch * patch;
        boolean learnSigma = outputs == 2 * channels * perChannel;
        if (!learnSigma && outputs != channels * perChannel)
            throw new IllegalArgumentException("final_layer.linear.weight has " + outputs + " rows; for " + channels
                    + " channels and patches of " + patch + " it needs " + channels * perChannel + ", or twice that");
        int input = size((long) side * patch);
        int rows = shapes.containsKey("y_embedder.embedding_table.weight")
                ? size(shape(shapes, "y_embedder.embedding_table.weight", 2).get(0))
                : 0;
        return new DiTConfig(
                input,
                input,
                patch,
                channels,
                width,
                depth,
                numHeads.orElseGet(() -> requirePublishedHeads(width)),
                ratio(hidden, width),
                rows > 1 ? rows - 1 : rows,
                rows > 1 ? 0.1 : 0,
                learnSigma,
                block(shapes, width));
    }

    /** A ratio from which {@link DiTConfig#mlpHidden}, which rounds down, comes back. */
    private static double ratio(long hidden, int width) {
        double ratio = (double) hidden / width;
        return (long) (width * ratio) == hidden ? ratio : Math.nextUp(ratio);
    }

    private static List<Long> shape(Map<String, List<Long>> shapes, String name, int dimensions) {
        List<Long> shape = shapes.get(name);
        if (shape == null)
            throw new IllegalArgumentException("there is no " + name + ", so this is no DiT" + whatElse(shapes));
        if (shape.size() != dimensions)
            throw new IllegalArgumentException(name + " is " + shape + ", a DiT's has " + dimensions + " dimensions");
        return shape;
    }

    private static int size(long size) {
        if (size < 1 || size > 1 << 24)
            throw new IllegalArgumentException("a weight has a dimension of " + size + "; no DiT's has");
        return (int) size;
    }

    private static int depth(Map<String, List<Long>> shapes) {
        int depth = 0;
        while (shapes.containsKey("blocks." + depth + ".attn.qkv.weight")) depth++;
        if (depth == 0) shape(shapes, "blocks.0.attn.qkv.weight", 2);
        return depth;
    }

    private static DiTBlock.Kind block(Map<String, List<Long>> shapes, int width) {
        List<Long> modulation = shapes.get("blocks.0.adaLN_modulation.1.weight");
        if (modulation != null) return modulation.get(0) == 4L * width ? DiTBlock.Kind.ADALN : DiTBlock.Kind.ADALN_ZERO;
        boolean cross = shapes.keySet().stream().anyMatch(name -> name.startsWith("blocks.0.cross_attn."));
        return cross ? DiTBlock.Kind.CROSS_ATTENTION : DiTBlock.Kind.IN_CONTEXT;
    }

    /** Null for a width that no published model has. */
    private static Integer publishedHeads(long width) {
        for (String name : DiTConfig.names())
            if (DiTConfig.of(name).hiddenSize() == width)
                return DiTConfig.of(name).numHeads();
        return null;
    }

    private static int requirePublishedHeads(int width) {
        Integer heads = publishedHeads(width);
        if (heads != null) return heads;
        throw new IllegalArgumentException("no shape tells the number of attention heads, and width " + width
                + " is none of the published models'; say how many there are");
    }

    private static String whatElse(Map<String, List<Long>> shapes) {
        if (DiTKeyNames.isDiffusers(shapes.keySet()))
            return "'s file as published, but diffusers'; give the folder of the pipeline, with its transformer/config.json";
        if (!VaeKeyNames.current(shapes.keySet()).isEmpty())
            return "; it looks like an autoencoder, which goes with a model as its vae";
        return "; the file has "
                + (shapes.isEmpty()
                        ? "no tensors"
                        : shapes.keySet().stream().limit(3).collect(Collectors.joining(", ")) + ", …");
    }

    /** A model in a few words: "DiT-XL/2", or "a DiT of width 64, depth 3 and patch size 2". */
    public static String name(DiTConfig config) {
        for (String name : DiTConfig.names()) {
            DiTConfig published = DiTConfig.of(name);
            if (published.hiddenSize() == config.hiddenSize()
                    && published.depth() == config.depth()
                    && published.numHeads() == config.numHeads()
                    && published.patchSize() == config.patchSize()) return name;
        }
        return "a DiT of width " + config.hiddenSize() + ", depth " + config.depth() + " and patch size "
                + config.patchSize();
    }

    /**
     * Compares what is there with what a model needs.
     *
     * @param given shapes by published name
     * @throws IllegalArgumentException naming what is missing, unexpected or of another shape, and the likely cause
     */
    public static void requireFit(DiTConfig config, Map<String, List<Long>> given) {
        requireFit(config, given, false);
    }

    /** @param perBlock whether every block may have embedders of its own, as diffusers allows */
    static void requireFit(DiTConfig config, Map<String, List<Long>> given, boolean perBlock) {
        // a word in a file could mean shapes without end
        if (config.depth() > given.size())
            throw new IllegalArgumentException(
                    given.size() + " weights are too few for a model of depth " + config.depth());
        Map<String, List<Long>> needed = of(config);
        if (perBlock && given.keySet().stream().anyMatch(DiTKeyNames::isOwnEmbedder))
            DiTKeyNames.ownEmbedders(config.depth()).forEach((name, shared) -> needed.put(name, needed.get(shared)));
        List<String> problems = new ArrayList<>();
        needed.forEach((name, shape) -> {
            if (!given.containsKey(name)) problems.add("missing " + name + " " + shape);
            else if (!given.get(name).equals(shape))
                problems.add(name + " is " + given.get(name) + ", the model needs " + shape);
        });
        given.forEach((name, shape) -> {
            if (!needed.containsKey(name)) problems.add("unexpected " + name + " " + shape);
        });
        if (problems.isEmpty()) return;
        String rest = problems.size() > SHOWN ? "; and " + (problems.size() - SHOWN) + " more" : "";
        throw new IllegalArgumentException("the weights do not fit " + name(config) + ": "
                + problems.stream().limit(SHOWN).collect(Collectors.joining("; ")) + rest + cause(config, given));
    }

    private static String cause(DiTConfig config, Map<String, List<Long>> given) {
        DiTConfig found;
        try {
            Integer heads = publishedHeads(shape(given, "pos_embed", 3).get(2));
            found = config(given, OptionalInt.of(heads == null ? config.numHeads() : heads));
        } catch (IllegalArgumentException e) {
            return "; " + e.getMessage();
        }
        if (!name(found).equals(name(config))) return "; are they those of " + name(found) + "?";
        List<String> differences = new ArrayList<>();
        if (found.tokens() != config.tokens())
            differences.add("latents of " + found.inputHeight() + " × " + found.inputWidth());
        if (found.inChannels() != config.inChannels()) differences.add(found.inChannels() + " channels");
        if (found.labelRows() != config.labelRows()) differences.add(found.numClasses() + " classes");
        if (found.learnSigma() != config.learnSigma())
            differences.add(found.learnSigma() ? "a learned variance" : "no learned variance");
        if (found.block() != config.block()) differences.add(found.block() + " blocks");
        return differences.isEmpty() ? "" : "; the file's model has " + String.join(", ", differences);
    }
}
