package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/**
 * Files of {@code torch.save} (.pt, .pth, .bin, .th), both the zip format and the one before PyTorch 1.6, without Python and without
 * running anything that the file brings along: a name that is not one of a fixed few is refused.
 *
 * <p>What Python sees becomes: dict and OrderedDict a {@link Map} in order; list a {@link List}; tuple and torch.Size a {@link Tuple}; set a
 * {@link Set}; int a {@link Long}, or a {@link java.math.BigInteger} beyond 64 bits; float a {@link Double}; bool, str and None a
 * {@link Boolean}, {@link String} and null; bytes a {@code byte[]}; torch.dtype a {@link ScalarType}; torch.device a {@link TorchDevice};
 * argparse.Namespace a {@link Namespace}; a tensor or Parameter a {@link Tensor} on the CPU that requires no gradient, with its strides,
 * sharing its storage where the file does. The attributes of a state dict ({@code _metadata}) are dropped.
 */
public final class TorchFile {
    /** Levels of containers; what nests deeper holds itself or is hostile. */
    private static final int MAX_DEPTH = 100;
    /** Values of the whole tree, a container counted at every place where it stands. */
    private static final int MAX_VALUES = 2_000_000;

    static {
        Backend.configure();
    }

    private TorchFile() {}

    /** A Python tuple. */
    public record Tuple(List<Object> items) {
        /** Keeps an unmodifiable view. */
        public Tuple {
            items = Collections.unmodifiableList(items);
        }
    }

    /** An argparse.Namespace: the options of a training script, by name, in order. */
    public record Namespace(Map<String, Object> fields) {}

    /** A torch.device, for example {@code cuda:0}. */
    public record TorchDevice(String name) {}

    /** A tensor that was not read. */
    public record TensorInfo(ScalarType dtype, List<Long> shape) {}

    /**
     * Reads a whole file; the tensors belong to the scope around this call.
     *
     * @throws FormatException if the file is damaged, cut short, big-endian, of another format, or wants something else of Python than
     *     data; the message names it
     */
    public static Object read(Path path) throws IOException {
        return read(path, place -> true);
    }

    /** As {@link #read(Path)} with a {@link TensorInfo} in place of each tensor; no tensor's data is read or checked. */
    public static Object inspect(Path path) throws IOException {
        return read(path, place -> false);
    }

    /**
     * As {@link #read(Path)} for the tensors that are wanted, with a {@link TensorInfo} in place of each other.
     *
     * @param wanted asked with each tensor's place: the keys, indices and attributes that lead to it, joined by dots, for example
     *     {@code ema.blocks.0.attn.qkv.weight}
     */
    public static Object read(Path path, Predicate<String> wanted) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
                TorchArchive archive = TorchArchive.open(path, channel)) {
            return new Builder(path, archive, wanted).build();
        }
    }

    /** Makes the result from what the pickle says. */
    private static final class Builder {
        private final Path path;
        private final TorchArchive archive;
        private final Predicate<String> wanted;
        private final Map<Unpickler.View, Tensor> tensors = new IdentityHashMap<>();
        private int values;

        Builder(Path path, TorchArchive archive, Predicate<String> wanted) {
            this.path = path;
            this.archive = archive;
            this.wanted = wanted;
        }

        Object build() throws IOException {
            try {
                checkTree(archive.root(), 0);
                Object result = build(archive.root(), "");
                archive.verifyRest();
                return result;
            } catch (IOException | RuntimeException e) {
                TensorBytes.close(tensors.values());
                throw e;
            }
        }

        /** Before any tensor is read: a pickle can share containers so that a few bytes are a tree without end. */
        private void checkTree(Object value, int depth) throws FormatException {
            if (depth > MAX_DEPTH)
                throw new FormatException(
                        path, "containers nest deeper than " + MAX_DEPTH + " levels, or in themselves");
            if (++values > MAX_VALUES)
                throw new FormatException(
                        path, "more than " + MAX_VALUES + " values, containers counted where they stand");
            for (Object child : children(value)) checkTree(child, depth + 1);
        }

        private static Iterable<?> children(Object value) {
            if (value instanceof Map<?, ?> map) return map.values();
            if (value instanceof Namespace namespace) return namespace.fields().values();
            if (value instanceof Tuple tuple) return tuple.items();
            return value instanceof List<?> list ? list : List.of();
        }

        private Object build(Object value, String place) throws IOException {
            if (value instanceof Unpickler.View view) return tensor(view, place);
            if (value instanceof Map<?, ?> map) {
                Map<Object, Object> built = new LinkedHashMap<>();
                for (Map.Entry<?, ?> entry : map.entrySet())
                    built.put(entry.getKey(), build(entry.getValue(), join(place, entry.getKey())));
                return built;
            }
            if (value instanceof Namespace namespace) {
                Map<String, Object> built = new LinkedHashMap<>();
                for (Map.Entry<String, Object> entry : namespace.fields().entrySet())
                    built.put(entry.getKey(), build(entry.getValue(), join(place, entry.getKey())));
                return new Namespace(built);
            }
            if (value instanceof Tuple tuple) return new Tuple(buildAll(tuple.items(), place));
            if (value instanceof List<?> list) return buildAll(list, place);
            if (value instanceof Set<?> set) return new LinkedHashSet<>(set);
            if (isData(value)) return value;
            throw new FormatException(path, join(place, "") + " holds a function, not data");
        }

        private static boolean isData(Object value) {
            return value == null
                    || value instanceof Boolean
                    || value instanceof Number
                    || value instanceof String
                    || value instanceof byte[]
                    || value instanceof ScalarType
                    || value instanceof TorchDevice;
        }

        private List<Object> buildAll(List<?> items, String place) throws IOException {
            List<Object> built = new ArrayList<>();
            for (int i = 0; i < items.size(); i++) built.add(build(items.get(i), join(place, i)));
            return built;
        }

        private static String join(String place, Object key) {
            return place.isEmpty() ? String.valueOf(key) : place + "." + key;
        }

        private Object tensor(Unpickler.View view, String place) throws IOException {
            Tensor known = tensors.get(view);
            if (known != null) return known;
            if (!wanted.test(place)) return new TensorInfo(view.dtype(), view.shape());
            Tensor storage = archive.storage(view.storage());
            try {
                Tensor tensor = TensorScope.local(() -> storage.view(view.dtype())
                        .as_strided(longs(view.shape()), longs(view.strides()), offset(view)));
                tensors.put(view, tensor);
                TensorBytes.requireTruth(path.toString(), place, tensor);
                return tensor;
            } catch (RuntimeException e) {
                throw new FormatException(path, place + ": LibTorch does not take this tensor: " + firstLine(e), e);
            }
        }

        private static LongOptional offset(Unpickler.View view) {
            return new LongOptional(view.offset());
        }

        private static String firstLine(RuntimeException e) {
            return e.getMessage().lines().findFirst().orElse("");
        }

        private static long[] longs(List<Long> values) {
            return values.stream().mapToLong(Long::longValue).toArray();
        }
    }

    /**
     * Writes a file that Python opens by {@code torch.load(path, weights_only=True)}, whole or not at all ({@link AtomicFile}).
     *
     * @param root a Map (with keys of String, Integer or Long), List, {@link Tuple}, Tensor of any device, String, Boolean, Long, Integer,
     *     Double, Float or null, and these inside each other. Each tensor is written with a storage of its own, row-major.
     * @throws IllegalArgumentException if there is anything else in it, or it nests deeper than 100 levels
     */
    public static void write(Path path, Object root) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Pickler pickler = new Pickler(MAX_DEPTH);
            byte[] pickle = pickler.pickle(root);
            AtomicFile.write(path, channel -> {
                // the name of the folder inside is of no consequence
                ZipWriter zip = new ZipWriter(channel, 64);
                zip.add("archive/data.pkl", pickle);
                zip.add("archive/byteorder", "little".getBytes(StandardCharsets.US_ASCII));
                List<Tensor> tensors = pickler.tensors();
                for (int i = 0; i < tensors.size(); i++) zip.add("archive/data/" + i, tensors.get(i));
                zip.add("archive/version", "3\n".getBytes(StandardCharsets.US_ASCII));
                zip.finish();
            });
        }
    }
}
