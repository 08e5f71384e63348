package org.dit4j.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.ShardIndex;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.Backend;

/**
 * A file of named tensors, whichever format it turns out to have: safetensors, or {@code torch.save}'s with a state dict as the whole or
 * inside a checkpoint, or the index of a set of either.
 */
final class TensorFile {
    /** Where a checkpoint keeps averaged weights, and where those in training. */
    private static final List<String> AVERAGED = List.of("ema"), TRAINED = List.of("model", "state_dict");

    static {
        Backend.configure();
    }

    private final Path path;
    private final boolean torch;
    private final String prefix;
    private final boolean averaged;
    private final Map<String, Entry> entries;
    private final Map<String, String> metadata;
    /** Of an index: the files of the set, and the tensors of each; else empty. */
    private final Map<TensorFile, List<String>> shards;

    /** A tensor that was not read. */
    record Entry(ScalarType dtype, List<Long> shape) {}

    private TensorFile(
            Path path,
            boolean torch,
            String prefix,
            boolean averaged,
            Map<String, Entry> entries,
            Map<String, String> metadata,
            Map<TensorFile, List<String>> shards) {
        this.path = path;
        this.torch = torch;
        this.prefix = prefix;
        this.averaged = averaged;
        this.entries = entries;
        this.metadata = metadata;
        this.shards = shards;
    }

    /**
     * What a file holds; of a checkpoint with two sets of weights, those that are chosen.
     *
     * @throws FormatException if it is damaged, or holds no tensors by name
     */
    static TensorFile of(Path path, Weights weights) throws IOException {
        if (ShardIndex.is(path)) return ofIndex(path, weights);
        return isTorch(path) ? ofTorch(path, weights) : ofSafetensors(path);
    }

    /** Whether a file is {@code torch.save}'s, by its first bytes. */
    static boolean isTorch(Path path) throws IOException {
        try (InputStream in = Files.newInputStream(path)) {
            byte[] start = in.readNBytes(4);
            if (start.length < 4) return false;
            boolean zip = start[0] == 'P' && start[1] == 'K' && start[2] == 3 && start[3] == 4;
            // a pickle begins with its protocol, 2 or later; as the length of a safetensors header that would be above
            // its limit or odd
            boolean legacy = start[0] == (byte) 0x80 && start[1] >= 2 && start[1] <= 5 && start[2] == (byte) 0x8a;
            return zip || legacy;
        }
    }

    private static TensorFile ofIndex(Path path, Weights weights) throws IOException {
        ShardIndex index = ShardIndex.read(path);
        Map<String, Entry> entries = new LinkedHashMap<>();
        Map<String, String> metadata = new LinkedHashMap<>();
        Map<TensorFile, List<String>> shards = new LinkedHashMap<>();
        for (Map.Entry<Path, List<String>> shard : index.tensorsByShard().entrySet()) {
            if (!Files.exists(shard.getKey()))
                throw new NoSuchFileException(
                        shard.getKey().toString(), null, "this shard is not there, which " + path + " names");
            TensorFile file = of(shard.getKey(), weights);
            for (String name : shard.getValue()) {
                if (!file.entries.containsKey(name))
                    throw new FormatException(
                            shard.getKey(), "no tensor \"" + name + "\", which " + path + " says it has");
                entries.put(name, file.entries.get(name));
            }
            metadata.putAll(file.metadata);
            shards.put(file, shard.getValue());
        }
        return new TensorFile(path, false, "", false, entries, metadata, shards);
    }

    private static TensorFile ofSafetensors(Path path) throws IOException {
        Map<String, Entry> entries = new LinkedHashMap<>();
        Safetensors.Header header = Safetensors.header(path);
        header.entries().forEach((name, entry) -> entries.put(name, new Entry(entry.dtype(), entry.shape())));
        return new TensorFile(path, false, "", false, entries, header.metadata(), Map.of());
    }

    private static TensorFile ofTorch(Path path, Weights weights) throws IOException {
        Object root = TorchFile.inspect(path);
        if (!(root instanceof Map<?, ?> map))
            throw new FormatException(path, "holds no tensors by name, but " + what(root));
        String chosen = chosen(map, weights);
        Map<?, ?> state = chosen.isEmpty() ? map : (Map<?, ?>) map.get(chosen);
        Map<String, Entry> entries = new LinkedHashMap<>();
        for (Map.Entry<?, ?> named : state.entrySet()) {
            if (!(named.getValue() instanceof TorchFile.TensorInfo tensor))
                throw new FormatException(
                        path,
                        named.getKey() + " is " + what(named.getValue())
                                + ", not a tensor; a state dict was expected, or a checkpoint with \"ema\", \"model\""
                                + " or \"state_dict\"");
            entries.put(String.valueOf(named.getKey()), new Entry(tensor.dtype(), tensor.shape()));
        }
        return new TensorFile(
                path,
                true,
                chosen.isEmpty() ? "" : chosen + ".",
                AVERAGED.contains(chosen),
                entries,
                Map.of(),
                Map.of());
    }

    /** The key under which the weights are, or "" for the whole. */
    private static String chosen(Map<?, ?> root, Weights weights) {
        List<String> preferred = new ArrayList<>();
        if (weights == Weights.EMA) preferred.addAll(AVERAGED);
        preferred.addAll(TRAINED);
        if (weights == Weights.MODEL) preferred.addAll(AVERAGED);
        for (String key : preferred) if (root.get(key) instanceof Map) return key;
        return "";
    }

    private static String what(Object value) {
        if (value == null) return "None";
        if (value instanceof Map) return "a dict";
        if (value instanceof List || value instanceof TorchFile.Tuple) return "a list";
        if (value instanceof TorchFile.TensorInfo) return "one tensor";
        if (value instanceof TorchFile.Namespace) return "a Namespace";
        return "a " + value.getClass().getSimpleName();
    }

    /** Name → dtype and shape, in the order of the file. */
    Map<String, Entry> entries() {
        return entries;
    }

    /** Name → shape. */
    Map<String, List<Long>> shapes() {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        entries.forEach((name, entry) -> shapes.put(name, entry.shape()));
        return shapes;
    }

    /** Of safetensors; else empty. */
    Map<String, String> metadata() {
        return metadata;
    }

    /** Whether the weights stand under "ema". */
    boolean isAveraged() {
        return averaged;
    }

    /** "" where the file is the weights and nothing else; else the place of the weights in it, with a dot: "ema.". */
    String prefix() {
        return prefix;
    }

    /** These tensors, on the CPU, in the scope around the call. */
    Map<String, Tensor> read(Set<String> names) throws IOException {
        if (!shards.isEmpty()) return readShards(names);
        if (!torch) return Safetensors.read(path, names);
        Set<String> places = new LinkedHashSet<>();
        names.forEach(name -> places.add(prefix + name));
        Map<?, ?> root = (Map<?, ?>) TorchFile.read(path, places::contains);
        Map<?, ?> state = prefix.isEmpty() ? root : (Map<?, ?>) root.get(prefix.substring(0, prefix.length() - 1));
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        names.forEach(name -> tensors.put(name, (Tensor) state.get(name)));
        return tensors;
    }

    private Map<String, Tensor> readShards(Set<String> names) throws IOException {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (Map.Entry<TensorFile, List<String>> shard : shards.entrySet()) {
            Set<String> wanted = new LinkedHashSet<>(shard.getValue());
            wanted.retainAll(names);
            if (!wanted.isEmpty()) tensors.putAll(shard.getKey().read(wanted));
        }
        return tensors;
    }

    /** All tensors. */
    Map<String, Tensor> read() throws IOException {
        return read(entries.keySet());
    }
}
