package org.dit4j.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.FormatException;
import org.dit4j.io.RegularFile;
import org.dit4j.io.Safetensors;
import org.dit4j.io.SafetensorsHeader;
import org.dit4j.io.ShardIndex;
import org.dit4j.io.TorchFile;
import org.dit4j.io.TorchValues;
import org.dit4j.torch.Backend;

/**
 * A file of named tensors, whichever format it turns out to have: safetensors, or {@code torch.save}'s, or the index of a set of either. A
 * tensor's name is its place: of a checkpoint the keys that lead to it, joined by dots.
 */
final class TensorFile {
    /** Where a checkpoint keeps averaged weights, and those in training, if it is as published. */
    private static final String AVERAGED = "ema";

    private static final List<String> TRAINED = List.of("model", "state_dict");

    static {
        Backend.configure();
    }

    private final Path path;
    private final boolean torch;
    /** Of the places of this file, those that are seen, without it. */
    private final String prefix;

    private final Map<String, Entry> entries;
    private final Map<String, String> others;
    private final Map<String, String> metadata;
    private final Set<String> twice;
    /** Of torch.save: all of it, without tensors; else null. */
    private final Object root;
    /** The file, until it is read; null where it is opened by its path. */
    private final AtomicReference<FileChannel> opened = new AtomicReference<>();
    /** Of an index: the files of the set, and the tensors of each; else empty. */
    private final Map<TensorFile, List<String>> shards;

    /** A tensor that was not read. */
    record Entry(ScalarType dtype, List<Long> shape) {}

    private TensorFile(
            Path path,
            boolean torch,
            String prefix,
            Map<String, Entry> entries,
            Map<String, String> others,
            Map<String, String> metadata,
            Set<String> twice,
            Object root,
            Map<TensorFile, List<String>> shards) {
        this.path = path;
        this.torch = torch;
        this.prefix = prefix;
        this.entries = entries;
        this.others = others;
        this.metadata = metadata;
        this.twice = twice;
        this.root = root;
        this.shards = shards;
    }

    /**
     * All that a file holds.
     *
     * @throws FormatException if it is damaged, or Python would run programs by it
     */
    static TensorFile of(Path path) throws IOException {
        if (ShardIndex.is(path)) return ofIndex(path);
        if (!isTorch(path)) return ofSafetensors(path);
        TorchFile.requireHarmless(path);
        return ofTorch(path);
    }

    /**
     * As {@link #of(Path)} of a safetensors file that is open. It is read and closed by the first {@link #read}, whatever became of its path
     * by then; who never reads leaves it to the garbage collector, which closes it too.
     */
    static TensorFile of(Path path, FileChannel channel) throws IOException {
        try {
            TensorFile file = ofSafetensors(path, Safetensors.header(path, channel));
            file.opened.set(channel);
            return file;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /** As {@link #of(Path)}, also where Python would run programs by it, to be looked at only. */
    static TensorFile inspected(Path path) throws IOException {
        return !ShardIndex.is(path) && isTorch(path) ? ofTorch(path) : of(path);
    }

    /** As {@link #of(Path)}; of a checkpoint as published the weights that are chosen, under their own names. */
    static TensorFile of(Path path, Weights weights) throws IOException {
        TensorFile file = of(path);
        if (!(file.root instanceof Map<?, ?> map)) return file;
        String trained = TRAINED.stream()
                .filter(key -> map.get(key) instanceof Map)
                .findFirst()
                .orElse("");
        boolean averaged = map.get(AVERAGED) instanceof Map && (weights == Weights.EMA || trained.isEmpty());
        return averaged ? file.within(AVERAGED) : trained.isEmpty() ? file : file.within(trained);
    }

    /** Whether a file is {@code torch.save}'s, by its first bytes. */
    static boolean isTorch(Path path) throws IOException {
        try (InputStream in = RegularFile.stream(path)) {
            byte[] start = in.readNBytes(4);
            if (start.length < 4) return false;
            boolean zip = start[0] == 'P' && start[1] == 'K' && start[2] == 3 && start[3] == 4;
            // a pickle begins with its protocol, 2 or later, and, from 4 on, the length of its first part; as the
            // length of a safetensors header that would be above its limit or odd
            boolean pickle = start[0] == (byte) 0x80 && start[1] >= 2 && start[1] <= 5;
            boolean legacy = pickle && (start[2] == (byte) 0x8a || start[2] == (byte) 0x95 && start[3] == 13);
            return zip || legacy;
        }
    }

    private static TensorFile ofIndex(Path path) throws IOException {
        ShardIndex index = ShardIndex.read(path);
        Map<String, Entry> entries = new LinkedHashMap<>();
        Map<String, String> metadata = new LinkedHashMap<>(), others = new LinkedHashMap<>();
        Map<TensorFile, List<String>> shards = new LinkedHashMap<>();
        for (Map.Entry<Path, List<String>> shard : index.tensorsByShard().entrySet()) {
            if (!Files.exists(shard.getKey()))
                throw new NoSuchFileException(
                        shard.getKey().toString(), null, "this shard is not there, which " + path + " names");
            TensorFile file = of(shard.getKey());
            for (String name : shard.getValue()) {
                if (file.others.containsKey(name)) others.put(name, file.others.get(name));
                else if (!file.entries.containsKey(name))
                    throw new FormatException(
                            shard.getKey(), "no tensor \"" + name + "\", which " + path + " says it has");
                else entries.put(name, file.entries.get(name));
            }
            metadata.putAll(file.metadata);
            shards.put(file, shard.getValue());
        }
        return new TensorFile(path, false, "", entries, others, metadata, Set.of(), null, shards);
    }

    private static TensorFile ofSafetensors(Path path) throws IOException {
        return ofSafetensors(path, Safetensors.header(path));
    }

    private static TensorFile ofSafetensors(Path path, SafetensorsHeader header) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        header.entries().forEach((name, entry) -> entries.put(name, new Entry(entry.dtype(), entry.shape())));
        return new TensorFile(path, false, "", entries, header.unread(), header.metadata(), Set.of(), null, Map.of());
    }

    private static TensorFile ofTorch(Path path) throws IOException {
        Object root = TorchFile.inspect(path);
        Map<String, Entry> entries = new LinkedHashMap<>();
        Map<String, String> others = new LinkedHashMap<>();
        Set<String> twice = new LinkedHashSet<>();
        walk(root, (place, value) -> {
            if (value instanceof TorchFile.TensorInfo tensor) {
                Entry entry = new Entry(tensor.dtype(), tensor.shape());
                if (entries.putIfAbsent(place, entry) != null) twice.add(place);
            } else if (value instanceof TorchFile.Foreign foreign) others.putIfAbsent(place, foreign.toString());
        });
        return new TensorFile(path, true, "", entries, others, TorchFile.metadata(path), twice, root, Map.of());
    }

    /** Visits what is no container, and foreign objects before what is in them, each of those once. */
    private static void walk(Object root, BiConsumer<String, Object> visitor) {
        walk("", root, visitor, Collections.newSetFromMap(new IdentityHashMap<>()));
    }

    private static void walk(String place, Object value, BiConsumer<String, Object> visitor, Set<Object> seen) {
        String before = place.isEmpty() ? "" : place + ".";
        if (value instanceof TorchFile.Foreign foreign) {
            if (!seen.add(foreign)) return;
            visitor.accept(place, foreign);
            foreign.parts().forEach((key, item) -> walk(before + key, item, visitor, seen));
        } else if (value instanceof Map<?, ?> map) map.forEach((key, item) -> walk(before + key, item, visitor, seen));
        else if (value instanceof TorchValues.Namespace namespace) walk(place, namespace.fields(), visitor, seen);
        else if (value instanceof TorchValues.Tuple tuple) walk(place, tuple.items(), visitor, seen);
        else if (value instanceof List<?> list)
            for (int i = 0; i < list.size(); i++) walk(before + i, list.get(i), visitor, seen);
        else visitor.accept(place, value);
    }

    /** What lies below a place, under the rest of its names. */
    private TensorFile within(String place) {
        String before = prefix + place + ".";
        Map<String, Entry> below = new LinkedHashMap<>();
        entries.forEach((name, entry) -> {
            if (name.startsWith(before)) below.put(name.substring(before.length()), entry);
        });
        return new TensorFile(path, torch, before, below, Map.of(), metadata, twice, root, shards);
    }

    /** Place → dtype and shape, in the order of the file. */
    Map<String, Entry> entries() {
        return entries;
    }

    /** Place → shape. */
    Map<String, List<Long>> shapes() {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        entries.forEach((name, entry) -> shapes.put(name, entry.shape()));
        return shapes;
    }

    /** Place → what is there that is no tensor here: objects that nobody built, tensors of other dtypes. */
    Map<String, String> others() {
        return others;
    }

    /** Whether two tensors are at this place, so that it says nothing. */
    boolean isTwice(String place) {
        return twice.contains(prefix + place);
    }

    /** Of safetensors, and what dit4j wrote into a state dict; else empty. */
    Map<String, String> metadata() {
        return metadata;
    }

    boolean isTorch() {
        return torch;
    }

    /** Of torch.save all of it, without the tensors' data; else null. */
    Object root() {
        return root;
    }

    /** These tensors, on the CPU, in the scope around the call. */
    Map<String, Tensor> read(Set<String> names) throws IOException {
        if (!shards.isEmpty()) return readShards(names);
        FileChannel channel = opened.getAndSet(null);
        if (channel != null)
            try (channel) {
                return Safetensors.read(path, channel, names);
            }
        if (!torch) return Safetensors.read(path, names);
        Set<String> places = new LinkedHashSet<>();
        names.forEach(name -> places.add(prefix + name));
        Map<String, Tensor> found = new LinkedHashMap<>(), tensors = new LinkedHashMap<>();
        walk(TorchFile.read(path, places::contains), (place, value) -> {
            if (value instanceof Tensor tensor) found.put(place, tensor);
        });
        for (String name : names) {
            if (!found.containsKey(prefix + name))
                throw new FormatException(path, "no tensor \"" + prefix + name + "\"");
            tensors.put(name, found.get(prefix + name));
        }
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
