package org.dit4j.io;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;

/**
 * The safetensors format: a JSON header and raw little-endian tensors.
 *
 * <p>Checked as strictly as the original reader in Rust: no gap, overlap or rest in the data, no overflow, sizes equal to shape times
 * dtype, metadata of strings. Stricter than it: a tensor named twice is refused (the format forbids it, the original takes the last), the
 * header begins with its brace, truth values are 0 or 1, a tensor is a JSON object (not an array of its fields), and there are at most 1,000,000 tensors of at most
 * 64 dimensions. The dtypes F4, F6_E2M3 and F6_E3M2, smaller than a byte, are not read.
 */
public final class Safetensors {
    static {
        Backend.configure();
    }

    private Safetensors() {}

    /** A tensor of a file: its dtype, shape and place among the data, begin inclusive, end exclusive. */
    public record Entry(ScalarType dtype, List<Long> shape, long begin, long end) {}

    /** What a file holds, in the order of its data, which begins at byte {@code dataOffset}. */
    public record Header(Map<String, Entry> entries, Map<String, String> metadata, long dataOffset) {}

    /**
     * Reads what a file holds without its data.
     *
     * @throws FormatException if the file is not a whole and correct safetensors file
     */
    public static Header header(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return SafetensorsHeader.read(path, channel);
        }
    }

    /**
     * Every tensor, on the CPU.
     *
     * @param path a file, whose tensors come in the order of its data; or the index of a sharded set ({@code …safetensors.index.json}, its
     *     shards beside it), whose tensors come in the order of the index
     * @throws FormatException if a file is not whole and correct, or a shard lacks a tensor
     */
    public static Map<String, Tensor> read(Path path) throws IOException {
        if (isIndex(path)) return readShards(path, weightMap(path));
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            Header header = SafetensorsHeader.read(path, channel);
            return read(path, channel, header, header.entries().keySet());
        }
    }

    /**
     * Some tensors, on the CPU, in the order of {@code keys}; nothing else is read.
     *
     * @param path as for {@link #read(Path)}
     * @throws FormatException as for {@link #read(Path)}, and if one of the tensors is not there
     */
    public static Map<String, Tensor> read(Path path, Collection<String> keys) throws IOException {
        if (isIndex(path)) {
            Map<String, String> all = weightMap(path), wanted = new LinkedHashMap<>();
            for (String key : keys) {
                if (!all.containsKey(key)) throw new FormatException(path, "no tensor \"" + key + "\"");
                wanted.put(key, all.get(key));
            }
            return readShards(path, wanted);
        }
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return read(path, channel, SafetensorsHeader.read(path, channel), keys);
        }
    }

    private static Map<String, Tensor> read(Path path, FileChannel channel, Header header, Collection<String> keys)
            throws IOException {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        try {
            for (String key : keys) {
                Entry entry = header.entries().get(key);
                if (entry == null) throw new FormatException(path, "no tensor \"" + key + "\"");
                long[] shape = entry.shape().stream().mapToLong(Long::longValue).toArray();
                Tensor tensor = TensorBytes.empty(path.toString(), key, entry.dtype(), shape);
                tensors.put(key, tensor);
                TensorBytes.read(path.toString(), channel, header.dataOffset() + entry.begin(), tensor);
                TensorBytes.requireTruth(path.toString(), key, tensor);
            }
        } catch (IOException | RuntimeException e) {
            TensorBytes.close(tensors);
            throw e;
        }
        return tensors;
    }

    /** Whether a path is named like the index of a sharded set: {@code ….index.json}, or as diffusers names variants, {@code ….index.fp16.json}. */
    public static boolean isIndex(Path path) {
        return path.toString().matches(".*\\.index(\\.[a-z0-9]+)?\\.json");
    }

    /** The files of a sharded set, in the order in which its index mentions them. */
    public static Set<Path> shards(Path index) throws IOException {
        Set<Path> shards = new LinkedHashSet<>();
        weightMap(index).values().forEach(shard -> shards.add(index.resolveSibling(shard)));
        return shards;
    }

    private static Map<String, Tensor> readShards(Path index, Map<String, String> weightMap) throws IOException {
        Map<String, List<String>> keysOfShard = new LinkedHashMap<>();
        weightMap.forEach((key, shard) ->
                keysOfShard.computeIfAbsent(shard, s -> new ArrayList<>()).add(key));
        Map<String, Tensor> read = new LinkedHashMap<>();
        try {
            for (Map.Entry<String, List<String>> shard : keysOfShard.entrySet())
                read.putAll(read(index.resolveSibling(shard.getKey()), shard.getValue()));
        } catch (IOException | RuntimeException e) {
            TensorBytes.close(read);
            throw e;
        }
        Map<String, Tensor> ordered = new LinkedHashMap<>();
        weightMap.keySet().forEach(key -> ordered.put(key, read.get(key)));
        return ordered;
    }

    /** Tensor → file name. */
    private static Map<String, String> weightMap(Path index) throws IOException {
        if (Files.size(index) > SafetensorsHeader.MAX_BYTES)
            throw new FormatException(index, "an index above " + SafetensorsHeader.MAX_BYTES + " bytes");
        JsonNode map;
        try {
            map = new ObjectMapper(SafetensorsHeader.JSON)
                    .readTree(Files.readAllBytes(index))
                    .path("weight_map");
        } catch (com.fasterxml.jackson.core.JacksonException e) {
            throw new FormatException(index, "not JSON: " + e.getOriginalMessage(), e);
        }
        if (!map.isObject()) throw new FormatException(index, "no \"weight_map\" of tensor names to file names");
        Map<String, String> shards = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> item : map.properties()) {
            String shard = item.getValue().asText();
            // a name with a folder in it could lead anywhere
            if (!shard.endsWith(".safetensors") || shard.matches(".*[/\\\\:\0].*"))
                throw new FormatException(
                        index, item.getKey() + " is in \"" + shard + "\", not the name of a safetensors file");
            shards.put(item.getKey(), shard);
        }
        return shards;
    }

    /**
     * Writes tensors of any device in the order of the map, whole or not at all ({@link AtomicFile}). The data begin at a multiple of 8
     * bytes.
     *
     * @throws IllegalArgumentException if a dtype has no name in this format, or a tensor is called {@code __metadata__}
     */
    public static void write(Path path, Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        AtomicFile.write(path, channel -> write(channel, tensors, metadata));
    }

    /**
     * As {@link #write(Path, Map, Map)}, to a channel, at its position; it takes {@link #size} bytes.
     *
     * @throws IllegalArgumentException if a dtype has no name in this format, or a tensor is called {@code __metadata__}
     */
    public static void write(WritableByteChannel channel, Map<String, Tensor> tensors, Map<String, String> metadata)
            throws IOException {
        byte[] header = SafetensorsHeader.encode(tensors, metadata);
        ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
        TensorBytes.writeFully(channel, start.putLong(header.length).put(header).flip());
        for (Tensor tensor : tensors.values()) TensorBytes.write(channel, tensor);
    }

    /** The bytes of the file that {@link #write(Path, Map, Map)} would write; the tensors are at its end, one after another. */
    public static long size(Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        long size = 8 + SafetensorsHeader.encode(tensors, metadata).length;
        for (Tensor tensor : tensors.values()) size += tensor.nbytes();
        return size;
    }
}
