package org.dit4j.checkpoint;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The names that a DiT's weights go by: the published ones, which the networks here have, and diffusers'. diffusers has queries, keys and
 * values as three layers, the two embedders once in every block, and no table of positions, which it computes.
 */
final class DiTKeyNames {
    static {
        Backend.configure();
    }

    /** Published prefix → diffusers' name, outside the blocks. */
    private static final Map<String, String> AROUND = inOrder(
            "x_embedder.proj", "pos_embed.proj",
            "final_layer.linear", "proj_out_2",
            "final_layer.adaLN_modulation.1", "proj_out_1");

    /** Within a block, where one layer is one layer. */
    private static final Map<String, String> WITHIN = inOrder(
            "attn.proj", "attn1.to_out.0",
            "mlp.fc1", "ff.net.0.proj",
            "mlp.fc2", "ff.net.2",
            "adaLN_modulation.1", "norm1.linear");

    /** What diffusers has in every block and the published model once. */
    private static final Map<String, String> EMBEDDERS = inOrder(
            "t_embedder.mlp.0.weight", "norm1.emb.timestep_embedder.linear_1.weight",
            "t_embedder.mlp.0.bias", "norm1.emb.timestep_embedder.linear_1.bias",
            "t_embedder.mlp.2.weight", "norm1.emb.timestep_embedder.linear_2.weight",
            "t_embedder.mlp.2.bias", "norm1.emb.timestep_embedder.linear_2.bias",
            "y_embedder.embedding_table.weight", "norm1.emb.class_embedder.embedding_table.weight");

    private static final List<String> QKV = List.of("attn1.to_q", "attn1.to_k", "attn1.to_v");
    private static final List<String> PARTS = List.of("weight", "bias");

    private DiTKeyNames() {}

    private static Map<String, String> inOrder(String... pairs) {
        Map<String, String> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) map.put(pairs[i], pairs[i + 1]);
        return map;
    }

    /** A name without what {@code DistributedDataParallel} and {@code torch.compile} put before it. */
    static String plain(String name) {
        String plain = name.replace("_orig_mod.", "");
        while (plain.startsWith("module.")) plain = plain.substring("module.".length());
        return plain;
    }

    /** Whether these are diffusers' names of a DiT. */
    static boolean isDiffusers(Iterable<String> names) {
        for (String name : names) if (name.startsWith("transformer_blocks.0.norm1.emb.")) return true;
        return false;
    }

    /** The names that diffusers has for a DiT of so many blocks. */
    static List<String> diffusersNames(int depth) {
        List<String> names = new ArrayList<>();
        for (String name : AROUND.values()) for (String part : PARTS) names.add(name + "." + part);
        for (int i = 0; i < depth; i++) {
            String block = "transformer_blocks." + i + ".";
            EMBEDDERS.values().forEach(name -> names.add(block + name));
            for (String part : PARTS) {
                QKV.forEach(name -> names.add(block + name + "." + part));
                WITHIN.values().forEach(name -> names.add(block + name + "." + part));
            }
        }
        return names;
    }

    /**
     * diffusers' tensors, which are all there, under the published names, but for {@code pos_embed}. The embedders are the first block's;
     * if those of another differ, all the others stand under names of their own, which the published code has not:
     * {@code blocks.1.t_embedder.mlp.0.weight}.
     */
    static Map<String, Tensor> fromDiffusers(Map<String, Tensor> diffusers, int depth) {
        Map<String, Tensor> published =
                fromDiffusers(diffusers, depth, qkv -> Tensors.cat(0, qkv.toArray(Tensor[]::new)));
        if (differingCopy(diffusers, depth) == null) return published;
        for (int i = 1; i < depth; i++) {
            String block = "blocks." + i + ".", theirBlock = "transformer_blocks." + i + ".";
            EMBEDDERS.forEach((name, theirs) -> published.put(block + name, diffusers.get(theirBlock + theirs)));
        }
        return published;
    }

    /** Whether a name is that of an embedder which belongs to one block. */
    static boolean isOwnEmbedder(String name) {
        return name.matches("blocks\\.\\d+\\.[ty]_embedder\\..*");
    }

    /** The names of the embedders that blocks have for themselves, each with the name of the first block's. */
    static Map<String, String> ownEmbedders(int depth) {
        Map<String, String> names = new LinkedHashMap<>();
        for (int i = 1; i < depth; i++)
            for (String name : EMBEDDERS.keySet()) names.put("blocks." + i + "." + name, name);
        return names;
    }

    /**
     * As {@link #fromDiffusers(Map, int)} for the shapes of the tensors.
     *
     * @throws IllegalArgumentException if queries, keys and values do not go together
     */
    static Map<String, List<Long>> shapesFromDiffusers(Map<String, List<Long>> diffusers, int depth) {
        return fromDiffusers(diffusers, depth, qkv -> {
            List<Long> stacked = new ArrayList<>(qkv.get(0));
            boolean equal = !stacked.isEmpty()
                    && qkv.get(1).equals(stacked)
                    && qkv.get(2).equals(stacked);
            if (!equal || stacked.get(0) > Integer.MAX_VALUE)
                throw new IllegalArgumentException(
                        "queries, keys and values are of shapes " + qkv + "; equal ones of a DiT's were expected");
            stacked.set(0, 3 * stacked.get(0));
            return stacked;
        });
    }

    private static <T> Map<String, T> fromDiffusers(Map<String, T> diffusers, int depth, Function<List<T>, T> stack) {
        Map<String, T> published = new LinkedHashMap<>();
        EMBEDDERS.forEach((name, theirs) -> published.put(name, diffusers.get("transformer_blocks.0." + theirs)));
        for (String part : PARTS) {
            AROUND.forEach((name, theirs) -> published.put(name + "." + part, diffusers.get(theirs + "." + part)));
            for (int i = 0; i < depth; i++) {
                String block = "blocks." + i + ".", theirBlock = "transformer_blocks." + i + ".";
                List<T> qkv = QKV.stream()
                        .map(name -> diffusers.get(theirBlock + name + "." + part))
                        .toList();
                published.put(block + "attn.qkv." + part, stack.apply(qkv));
                WITHIN.forEach((name, theirs) ->
                        published.put(block + name + "." + part, diffusers.get(theirBlock + theirs + "." + part)));
            }
        }
        return published;
    }

    /** The published tensors under diffusers' names; embedders that all blocks share are the same tensors in every block. */
    static Map<String, Tensor> toDiffusers(Map<String, Tensor> published, int depth) {
        Map<String, Tensor> diffusers = new LinkedHashMap<>();
        for (String part : PARTS)
            AROUND.forEach((name, theirs) -> diffusers.put(theirs + "." + part, published.get(name + "." + part)));
        for (int i = 0; i < depth; i++) {
            String block = "blocks." + i + ".", theirBlock = "transformer_blocks." + i + ".";
            EMBEDDERS.forEach((name, theirs) ->
                    diffusers.put(theirBlock + theirs, published.getOrDefault(block + name, published.get(name))));
            for (String part : PARTS) {
                Tensor qkv = published.get(block + "attn.qkv." + part);
                TensorVector thirds = qkv.chunk(3, 0);
                for (int k = 0; k < QKV.size(); k++)
                    diffusers.put(theirBlock + QKV.get(k) + "." + part, new Tensor(thirds.get(k)));
                WITHIN.forEach((name, theirs) ->
                        diffusers.put(theirBlock + theirs + "." + part, published.get(block + name + "." + part)));
            }
        }
        return diffusers;
    }

    /** The first of diffusers' copies of the embedders that is not the first block's; null if none differs. */
    static String differingCopy(Map<String, Tensor> diffusers, int depth) {
        try (TensorScope scope = new TensorScope()) {
            for (String theirs : EMBEDDERS.values())
                for (int i = 1; i < depth; i++) {
                    String name = "transformer_blocks." + i + "." + theirs;
                    if (!diffusers.get("transformer_blocks.0." + theirs).equal(diffusers.get(name))) return name;
                }
            return null;
        }
    }
}
