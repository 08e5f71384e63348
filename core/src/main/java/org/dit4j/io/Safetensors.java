package org.dit4j.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;

/**
 * The safetensors format: a JSON header and raw little-endian tensors.
 *
 * <p>Checked as strictly as the original reader in Rust: no gap, overlap or rest in the data, no overflow, sizes equal to shape times
 * dtype, metadata of strings. Stricter than it: a tensor named twice is refused (the format forbids it, the original takes the last),
 * truth values are 0 or 1, a tensor is a JSON object (not an array of its fields), and there are at most 1,000,000 tensors of at most
 * 64 dimensions. Tensors of dtypes that LibTorch here has not (F4, F6_E2M3 and F6_E3M2, smaller than a byte, and those of tomorrow) are listed
 * but not read.
 */
public final class Safetensors {
    static {
        Backend.configure();
    }

    private Safetensors() {}

    /**
     * Reads what a file holds without its data.
     *
     * @throws FormatException if the file is not a whole and correct safetensors file
     */
    public static SafetensorsHeader header(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path)) {
            return header(path, channel);
        }
    }

    /** As {@link #header(Path)} of a file that is open; {@code path} is its name, for messages. */
    public static SafetensorsHeader header(Path path, FileChannel channel) throws IOException {
        return SafetensorsJson.read(path, channel);
    }

    /**
     * Every tensor, on the CPU.
     *
     * @param path a file, whose tensors come in the order of its data; or the index of a sharded set ({@code …safetensors.index.json}, its
     *     shards beside it), whose tensors come in the order of the index
     * @throws FormatException if a file is not whole and correct, or a shard lacks a tensor
     */
    public static Map<String, Tensor> read(Path path) throws IOException {
        if (ShardIndex.is(path)) return read(ShardIndex.read(path));
        try (FileChannel channel = RegularFile.open(path)) {
            SafetensorsHeader header = SafetensorsJson.read(path, channel);
            List<String> keys = new ArrayList<>(header.entries().keySet());
            keys.addAll(header.unread().keySet()); // asked for with the others, and named
            return read(path, channel, header, keys);
        }
    }

    /**
     * Some tensors, on the CPU, in the order of {@code keys}; nothing else is read.
     *
     * @param path as for {@link #read(Path)}
     * @throws FormatException as for {@link #read(Path)}, and if one of the tensors is not there
     */
    public static Map<String, Tensor> read(Path path, Collection<String> keys) throws IOException {
        if (ShardIndex.is(path)) return read(ShardIndex.read(path).only(keys));
        try (FileChannel channel = RegularFile.open(path)) {
            return read(path, channel, keys);
        }
    }

    /** As {@link #read(Path, Collection)} of a file that is open and no index; {@code path} is its name, for messages. */
    public static Map<String, Tensor> read(Path path, FileChannel channel, Collection<String> keys) throws IOException {
        return read(path, channel, SafetensorsJson.read(path, channel), keys);
    }

    private static Map<String, Tensor> read(
            Path path, FileChannel channel, SafetensorsHeader header, Collection<String> keys) throws IOException {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        try {
            for (String key : keys) {
                SafetensorsHeader.Entry entry = header.entries().get(key);
                if (header.unread().containsKey(key))
                    throw new FormatException(
                            path, key + " is of " + header.unread().get(key) + ", a dtype that is not read here");
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

    private static Map<String, Tensor> read(ShardIndex index) throws IOException {
        Map<String, Tensor> read = new LinkedHashMap<>();
        try {
            for (Map.Entry<Path, List<String>> shard : index.tensorsByShard().entrySet())
                read.putAll(read(shard.getKey(), shard.getValue()));
        } catch (IOException | RuntimeException e) {
            TensorBytes.close(read);
            throw e;
        }
        Map<String, Tensor> ordered = new LinkedHashMap<>();
        index.weightMap().keySet().forEach(key -> ordered.put(key, read.get(key)));
        return ordered;
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
        byte[] header = SafetensorsJson.encode(tensors, metadata);
        ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
        TensorBytes.writeFully(channel, start.putLong(header.length).put(header).flip());
        for (Tensor tensor : tensors.values()) TensorBytes.write(channel, tensor);
    }

    /**
     * As {@link #write(Path, Map, Map)}, in several files as Hugging Face's libraries do, none of which holds more bytes of tensors, but for
     * one with a single larger tensor: {@code model-00001-of-00003.safetensors} and so on, then {@code model.safetensors.index.json}. What fits
     * one file is written as one.
     *
     * @param path ends in {@code .safetensors} if more than one file is written
     * @return the index, or the one file
     */
    public static Path writeShards(Path path, Map<String, Tensor> tensors, Map<String, String> metadata, long maxBytes)
            throws IOException {
        String name = path.getFileName().toString();
        List<Map<String, Tensor>> shards = shards(tensors, maxBytes);
        if (shards.size() == 1) {
            write(path, tensors, metadata);
            return path;
        }
        if (maxBytes < 1 || !name.endsWith(".safetensors"))
            throw new IllegalArgumentException(path + " in shards of " + maxBytes
                    + " bytes: the name ends in .safetensors, and a byte is the least");
        Path index = index(path);
        List<Path> files = new ArrayList<>();
        try {
            // begun first and named last: a killed process leaves it unfinished, which tells its shards from others
            AtomicFile.write(index, channel -> {
                Map<String, String> weightMap = new LinkedHashMap<>();
                long total = 0;
                for (int i = 0; i < shards.size(); i++) {
                    Path file = path.resolveSibling(String.format(
                            Locale.ROOT, "%s-%05d-of-%05d.safetensors", stem(path), i + 1, shards.size()));
                    files.add(file);
                    write(file, shards.get(i), metadata);
                    for (Map.Entry<String, Tensor> tensor : shards.get(i).entrySet()) {
                        weightMap.put(tensor.getKey(), file.getFileName().toString());
                        total += tensor.getValue().nbytes();
                    }
                }
                byte[] content = new ShardIndex(index, weightMap).toBytes(total);
                TensorBytes.writeFully(channel, ByteBuffer.wrap(content));
            });
        } catch (IOException | RuntimeException e) {
            for (Path file : files) Files.deleteIfExists(file);
            throw e;
        }
        return index;
    }

    /** The index that {@link #writeShards} writes for {@code path} if it writes several files. */
    public static Path index(Path path) {
        return path.resolveSibling(path.getFileName() + ".index.json");
    }

    private static String stem(Path path) {
        return path.getFileName().toString().replaceFirst("\\.safetensors$", "");
    }

    /** The shards that are there of {@code path}, with or without an index. */
    public static List<Path> shards(Path path) throws IOException {
        Path folder = path.toAbsolutePath().getParent();
        if (!Files.isDirectory(folder)) return List.of();
        Pattern name = Pattern.compile(Pattern.quote(stem(path)) + "-\\d{5}-of-\\d{5}\\.safetensors");
        try (Stream<Path> beside = Files.list(folder)) {
            return beside.filter(
                            file -> name.matcher(file.getFileName().toString()).matches())
                    .toList();
        }
    }

    /** Removes what a process left that was killed while it {@linkplain #writeShards wrote} {@code path} in several files. */
    public static void removeUnfinished(Path path) throws IOException {
        Path index = index(path);
        if (!AtomicFile.isUnfinished(index)) return;
        if (!Files.exists(index)) for (Path shard : shards(path)) Files.deleteIfExists(shard);
        AtomicFile.removeUnfinished(index);
    }

    private static List<Map<String, Tensor>> shards(Map<String, Tensor> tensors, long maxBytes) {
        List<Map<String, Tensor>> shards = new ArrayList<>();
        shards.add(new LinkedHashMap<>());
        long bytes = 0;
        for (Map.Entry<String, Tensor> named : tensors.entrySet()) {
            if (bytes > 0 && bytes + named.getValue().nbytes() > maxBytes) {
                shards.add(new LinkedHashMap<>());
                bytes = 0;
            }
            shards.get(shards.size() - 1).put(named.getKey(), named.getValue());
            bytes += named.getValue().nbytes();
        }
        return shards;
    }

    /** The bytes of the file that {@link #write(Path, Map, Map)} would write; the tensors are at its end, one after another. */
    public static long size(Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        long size = 8 + SafetensorsJson.encode(tensors, metadata).length;
        for (Tensor tensor : tensors.values()) size += tensor.nbytes();
        return size;
    }
}
