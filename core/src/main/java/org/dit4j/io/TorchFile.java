package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.TorchValues.Namespace;
import org.dit4j.io.TorchValues.TorchDevice;
import org.dit4j.io.TorchValues.Tuple;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/**
 * Files of {@code torch.save} (.pt, .pth, .bin, .th), both the zip format and the one before PyTorch 1.6, without Python and without
 * running anything that the file brings along: what is made with a name that is not one of a fixed few becomes a {@link Foreign}.
 *
 * <p>What Python sees becomes: dict and OrderedDict a {@link Map} in order; list a {@link List}; tuple and torch.Size a {@link Tuple}; set a
 * {@link Set}; int a {@link Long}, or a {@link java.math.BigInteger} beyond 64 bits; float a {@link Double}; bool, str and None a
 * {@link Boolean}, {@link String} and null; bytes a {@code byte[]}; torch.dtype a {@link ScalarType}; torch.device a {@link TorchDevice};
 * argparse.Namespace a {@link Namespace}; defaultdict a Map; anything else, a class or a function too, a {@link Foreign}; a tensor or Parameter a {@link Tensor} on the CPU that requires no gradient, with its strides,
 * sharing its storage where the file does; one that LibTorch here cannot hold (quantized, sparse, of four bits) a {@link Foreign}. The
 * attributes of a state dict are dropped, but for what {@link #metadata} reads.
 */
public final class TorchFile {
    /** Levels of containers; what nests deeper holds itself or is hostile. */
    private static final int MAX_DEPTH = 100;
    /** Characters of all places: keys can be long, and stand for many others' beginning. */
    private static final long MAX_PLACE_CHARACTERS = 1L << 28;
    /** Where a state dict's attributes have what we say of it. */
    private static final String ATTRIBUTE = "_metadata", METADATA = "dit4j";
    /** Values of the whole tree, a container counted at every place where it stands. */
    private static final int MAX_VALUES = 2_000_000;

    static {
        Backend.configure();
    }

    private TorchFile() {}

    /**
     * An object of a class that is not known here, or a class or function itself, of which nothing was built or run: its name, and what the
     * file gave it. It may hold itself, and equals itself only.
     */
    public static final class Foreign {
        private static final int SHOWN = 100;
        private final String type;
        private final List<Object> arguments;
        private final Map<Object, Object> parts;

        private Foreign(String type, List<Object> arguments, Map<Object, Object> parts) {
            this.type = type;
            this.arguments = arguments;
            this.parts = parts;
        }

        /** Python's name of the class or function, for example {@code pathlib.PosixPath}. */
        public String type() {
            return type;
        }

        /** What it was given: arguments by number, items by key, attributes by name. */
        public Map<Object, Object> parts() {
            return Collections.unmodifiableMap(parts);
        }

        /** The name and the plain ones among the arguments: {@code pathlib.PosixPath(results, 000)}. */
        @Override
        public String toString() {
            StringBuilder text = new StringBuilder(type);
            String separator = "(";
            for (Object argument : arguments) {
                if (!(argument instanceof String || argument instanceof Number || argument instanceof Boolean))
                    continue;
                text.append(separator).append(argument);
                separator = ", ";
                if (text.length() > SHOWN) break;
            }
            if (separator.equals(", ")) text.append(")");
            return text.length() <= SHOWN ? text.toString() : text.substring(0, SHOWN) + "…)";
        }
    }

    /** A tensor that was not read. */
    public record TensorInfo(ScalarType dtype, List<Long> shape) {}

    /**
     * Reads a whole file; the tensors belong to the scope around this call.
     *
     * @throws FormatException if the file is damaged, cut short, big-endian, of another format, or names something by which Python would run
     *     programs; the message names it
     */
    public static Object read(Path path) throws IOException {
        return read(path, place -> true);
    }

    /**
     * As {@link #read(Path)} with a {@link TensorInfo} in place of each tensor; no tensor's data is read or checked. Also of files that
     * {@link #read(Path)} refuses for what Python would run.
     */
    public static Object inspect(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path);
                TorchArchive archive = TorchArchive.open(path, channel)) {
            return new Builder(path, archive, place -> false).build();
        }
    }

    /** @throws FormatException as {@link #read(Path)} for what Python would run, and naming it */
    public static void requireHarmless(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path);
                TorchArchive archive = TorchArchive.open(path, channel)) {
            requireHarmless(path, archive);
        }
    }

    /**
     * Whether a file is an archive of {@code torch.jit.save}: not weights alone but a program of tensors, which is not read here.
     */
    public static boolean isScript(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path)) {
            return TorchArchive.isScript(path, channel);
        }
    }

    private static void requireHarmless(Path path, TorchArchive archive) throws FormatException {
        if (archive.dangerous() != null) throw new FormatException(path, archive.dangerous());
    }

    /**
     * What dit4j wrote of the weights into the attributes of a bare state dict, as {@link #write(Path, Map, Map)} does; PyTorch keeps it through
     * loading and saving. Empty if there is none.
     */
    public static Map<String, String> metadata(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path);
                TorchArchive archive = TorchArchive.open(path, channel)) {
            Map<String, String> metadata = new LinkedHashMap<>();
            Object found = archive.root() instanceof Unpickler.OrderedDict dict ? dict.attributes() : null;
            for (String key : List.of(ATTRIBUTE, METADATA))
                found = found instanceof Map<?, ?> map ? map.get(key) : null;
            if (found instanceof Map<?, ?> map)
                map.forEach((key, value) -> {
                    if (key instanceof String name && value instanceof String text) metadata.put(name, text);
                });
            return metadata;
        }
    }

    /**
     * As {@link #read(Path)} for the tensors that are wanted, with a {@link TensorInfo} in place of each other.
     *
     * @param wanted asked with each tensor's place: the keys, indices and attributes that lead to it, joined by dots, for example
     *     {@code ema.blocks.0.attn.qkv.weight}
     */
    public static Object read(Path path, Predicate<String> wanted) throws IOException {
        try (FileChannel channel = RegularFile.open(path);
                TorchArchive archive = TorchArchive.open(path, channel)) {
            requireHarmless(path, archive);
            return new Builder(path, archive, wanted).build();
        }
    }

    /** Makes the result from what the pickle says. */
    private static final class Builder {
        private final Path path;
        private final TorchArchive archive;
        private final Predicate<String> wanted;
        private final Map<Unpickler.View, Tensor> tensors = new IdentityHashMap<>();
        private final Map<Unpickler.Made, Foreign> foreigners = new IdentityHashMap<>();
        private final Set<Unpickler.Made> checked = Collections.newSetFromMap(new IdentityHashMap<>());
        private int values;
        private long placeCharacters;

        Builder(Path path, TorchArchive archive, Predicate<String> wanted) {
            this.path = path;
            this.archive = archive;
            this.wanted = wanted;
        }

        Object build() throws IOException {
            try {
                checkTree(archive.root(), 0, false);
                Object result = build(archive.root(), "", 0, false);
                archive.verifyRest();
                return result;
            } catch (IOException | RuntimeException e) {
                TensorBytes.close(tensors.values());
                throw e;
            }
        }

        /**
         * Before any tensor is read: a pickle can share containers so that a few bytes are a tree without end. Foreign objects may well hold
         * each other; each is looked into once, and not too deep.
         */
        private void checkTree(Object value, int depth, boolean foreign) throws FormatException {
            if (depth > MAX_DEPTH) {
                if (foreign) return;
                throw new FormatException(
                        path, "containers nest deeper than " + MAX_DEPTH + " levels, or in themselves");
            }
            if (++values > MAX_VALUES)
                throw new FormatException(
                        path, "more than " + MAX_VALUES + " values, containers counted where they stand");
            boolean inside = foreign || value instanceof Unpickler.Made;
            if (value instanceof Unpickler.Made made && !checked.add(made)) return;
            for (Object child : children(value)) checkTree(child, depth + 1, inside);
        }

        private static Iterable<?> children(Object value) {
            if (value instanceof Map<?, ?> map) return map.values();
            if (value instanceof Namespace namespace) return namespace.fields().values();
            if (value instanceof Tuple tuple) return tuple.items();
            if (value instanceof Unpickler.Made made) return made.parts().values();
            return value instanceof List<?> list ? list : List.of();
        }

        private Object build(Object value, String place, int depth, boolean foreign) throws IOException {
            if (depth > MAX_DEPTH)
                return new Foreign("…", List.of(), Map.of()); // refused before where it is not foreign
            if (value instanceof Unpickler.View view) return tensor(view, place);
            if (value instanceof Unpickler.Made made) return foreign(made, place, depth);
            if (value instanceof Map<?, ?> map) return buildMap(map, place, depth, foreign);
            if (value instanceof Namespace namespace) {
                Map<String, Object> built = new LinkedHashMap<>();
                for (Map.Entry<String, Object> entry : namespace.fields().entrySet())
                    built.put(entry.getKey(), build(entry.getValue(), join(place, entry.getKey()), depth + 1, foreign));
                return new Namespace(built);
            }
            if (value instanceof Tuple tuple) return new Tuple(buildAll(tuple.items(), place, depth, foreign));
            if (value instanceof List<?> list) return buildAll(list, place, depth, foreign);
            if (value instanceof Set<?> set) {
                Set<Object> built = new LinkedHashSet<>();
                for (Object item : set) built.add(key(item));
                return built;
            }
            if (isData(value)) return value;
            String name = value instanceof Unpickler.Global global ? global.name() : "torch.storage.TypedStorage";
            return new Foreign(name, List.of(), Map.of());
        }

        private Map<Object, Object> buildMap(Map<?, ?> map, String place, int depth, boolean foreign)
                throws IOException {
            Map<Object, Object> built = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                Object key = key(entry.getKey());
                built.put(key, build(entry.getValue(), join(place, key), depth + 1, foreign));
            }
            return built;
        }

        private Foreign foreign(Unpickler.Made made, String place, int depth) throws IOException {
            Foreign known = foreigners.get(made);
            if (known != null) return known;
            Map<Object, Object> parts = new LinkedHashMap<>();
            Foreign foreign = new Foreign(made.type(), made.arguments(), parts);
            foreigners.put(made, foreign); // before its parts, which may hold it
            parts.putAll(buildMap(made.parts(), place, depth, true));
            return foreign;
        }

        private static Object key(Object key) {
            return key instanceof Unpickler.Made made ? new Foreign(made.type(), made.arguments(), Map.of()) : key;
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

        private List<Object> buildAll(List<?> items, String place, int depth, boolean foreign) throws IOException {
            List<Object> built = new ArrayList<>();
            for (int i = 0; i < items.size(); i++) built.add(build(items.get(i), join(place, i), depth + 1, foreign));
            return built;
        }

        private String join(String place, Object key) throws FormatException {
            String joined = place.isEmpty() ? String.valueOf(key) : place + "." + key;
            placeCharacters += joined.length();
            if (placeCharacters > MAX_PLACE_CHARACTERS)
                throw new FormatException(path, "names of more than " + MAX_PLACE_CHARACTERS + " characters in all");
            return joined;
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
        write(path, pickler -> pickler.pickle(root));
    }

    /**
     * Writes a bare state dict, as {@link #write(Path, Object)}, which says of its weights what {@link #metadata} reads, among the attributes that
     * PyTorch gives every state dict.
     */
    public static void write(Path path, Map<String, Tensor> stateDict, Map<String, String> metadata)
            throws IOException {
        write(path, pickler -> pickler.pickle(stateDict, Map.of(ATTRIBUTE, Map.of(METADATA, metadata))));
    }

    private static void write(Path path, Function<Pickler, byte[]> root) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Pickler pickler = new Pickler(MAX_DEPTH);
            byte[] pickle = root.apply(pickler);
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
