package org.dit4j.io;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.PrettyPrinter;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The index of weights in several files, as Hugging Face's libraries write it: {@code model.safetensors.index.json} and {@code
 * pytorch_model.bin.index.json}, the shards beside it.
 *
 * @param path the index
 * @param weightMap tensor → the name of its file, in the order of the index
 */
public record ShardIndex(Path path, Map<String, String> weightMap) {
    /** Hundreds of times what the largest DiT needs; parsed JSON takes many times its own size in memory. */
    private static final int MAX_BYTES = 16 << 20;

    /** Two blanks to a level and {@code "name": value}, by which the file is to the byte as Hugging Face's libraries write it. */
    private static final PrettyPrinter AS_PYTHON = new DefaultPrettyPrinter(
                    Separators.createDefaultInstance().withObjectFieldValueSpacing(Separators.Spacing.AFTER))
            .withObjectIndenter(new DefaultIndenter("  ", "\n"));

    /** Whether a path is named like an index: {@code ….index.json}, or, as diffusers names variants, {@code ….index.fp16.json}. */
    public static boolean is(Path path) {
        return path.toString().matches(".*\\.index(\\.[a-z0-9]+)?\\.json");
    }

    /**
     * Reads an index; the shards are not looked at.
     *
     * @throws FormatException if it is damaged, or names files elsewhere
     */
    public static ShardIndex read(Path path) throws IOException {
        byte[] text = RegularFile.readSmall(path, MAX_BYTES, "an index");
        JsonNode map;
        try {
            map = new ObjectMapper(SafetensorsJson.JSON).readTree(text).path("weight_map");
        } catch (JacksonException e) {
            throw new FormatException(path, FileKind.of(text).orElse("not JSON") + ": " + e.getOriginalMessage(), e);
        } catch (CharConversionException e) { // what looks like UTF-32
            throw new FormatException(path, "not JSON: " + e.getMessage(), e);
        }
        if (!map.isObject()) throw new FormatException(path, "no \"weight_map\" of tensor names to file names");
        Map<String, String> shards = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> item : map.properties()) {
            String shard = item.getValue().asText();
            // a name with a folder in it could lead anywhere
            if (!shard.matches(".+\\.(safetensors|bin)") || shard.matches(".*[/\\\\:\0].*"))
                throw new FormatException(
                        path, item.getKey() + " is in \"" + shard + "\", not the name of a .safetensors or .bin file");
            shards.put(item.getKey(), shard);
        }
        return new ShardIndex(path, shards);
    }

    /** The shards, in the order in which the index mentions them, and the tensors of each. */
    public Map<Path, List<String>> tensorsByShard() {
        Map<Path, List<String>> byShard = new LinkedHashMap<>();
        weightMap.forEach((tensor, shard) -> byShard.computeIfAbsent(path.resolveSibling(shard), s -> new ArrayList<>())
                .add(tensor));
        return byShard;
    }

    /**
     * @param tensors some of the index's
     * @throws FormatException if one of them is not in it
     */
    ShardIndex only(Iterable<String> tensors) throws FormatException {
        Map<String, String> some = new LinkedHashMap<>();
        for (String tensor : tensors) {
            if (!weightMap.containsKey(tensor)) throw new FormatException(path, "no tensor \"" + tensor + "\"");
            some.put(tensor, weightMap.get(tensor));
        }
        return new ShardIndex(path, some);
    }

    /** The content of the file. */
    byte[] toBytes(long totalBytes) throws IOException {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("metadata", Map.of("total_size", totalBytes));
        json.put("weight_map", new TreeMap<>(weightMap));
        String text = new ObjectMapper().writer(AS_PYTHON).writeValueAsString(json) + "\n";
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
