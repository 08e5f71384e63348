package org.dit4j.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.dit4j.io.FormatException;
import org.dit4j.io.RegularFile;
import org.dit4j.io.Sha256;
import org.dit4j.io.ShardIndex;
import org.dit4j.io.TorchValues;

/**
 * What lies in a file of tensors, without reading them.
 *
 * @param format "safetensors", "torch", or "in shards" of either
 * @param guess what it seems to be, in a few words
 * @param model the DiT that it holds, if it does
 * @param files with their sizes and digests
 * @param tensors in the order of the file, all of them, under the names in the file
 * @param metadata of safetensors, and of a .pt file that dit4j wrote; of a training checkpoint the script's flags; else empty
 * @param sets where the weights of a DiT stand in it, if that is not the whole file
 * @param others place → what is there that is no tensor here: objects of unknown classes, of which nothing was built or run, and tensors
 *     of unknown dtypes
 * @param notes what is guessed, chosen or ignored where it is opened, in lines
 */
public record Inspection(
        String format,
        String guess,
        Optional<DiTDescription> model,
        List<HashedFile> files,
        List<NamedTensor> tensors,
        Map<String, String> metadata,
        List<String> sets,
        Map<String, String> others,
        List<String> notes) {
    /** SHA-256 of the files that everyone has → what they are. */
    private static final Map<String, String> PUBLISHED = Map.of(
            "9ec1876e4c03471bca126663a30e2d1b20610b6d2f87850a39a36f25cc685521",
            "the published DiT-XL-2-256x256.pt",
            "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
            "the published autoencoder sd-vae-ft-mse",
            "1b4889b6b1d4ce7ae320a02dedaeff1780ad77d415ea0d744b476155c6377ddc",
            "the published autoencoder sd-vae-ft-mse");

    private static final int MAX_DEPTH = 3;

    /** A file, its length and its SHA-256 in hex. */
    public record HashedFile(String path, long bytes, String sha256) {
        /** Reads a whole file. */
        public static HashedFile of(Path file) throws IOException {
            MessageDigest digest = Sha256.digest();
            byte[] buffer = new byte[1 << 16];
            try (InputStream in = RegularFile.stream(file)) {
                for (int read; (read = in.read(buffer)) >= 0; ) digest.update(buffer, 0, read);
            }
            return new HashedFile(
                    file.toString(), Files.size(file), HexFormat.of().formatHex(digest.digest()));
        }
    }

    /** A tensor that was not read; {@code dtype} in lower case as Python's torch calls it. */
    public record NamedTensor(String name, String dtype, List<Long> shape) {}

    /** How many numbers there are. */
    public long numel() {
        return tensors.stream()
                .mapToLong(tensor -> tensor.shape().stream().reduce(1L, (a, b) -> a * b))
                .sum();
    }

    /**
     * Looks into what {@link Checkpoints#open} takes, or any other file of tensors.
     *
     * @throws FormatException if a file is damaged
     */
    public static Inspection of(Path path, OpenOptions options) throws IOException {
        Path found = HubCache.ofEnvironment().resolve(path);
        return Checkpoints.reading(found, options, file -> {
            // one file of a run, which goes on meanwhile; others are found by more than their file
            boolean ofRun = CheckpointFolder.isCheckpoint(file.toAbsolutePath().getParent());
            return of(ofRun ? file : found, file, options);
        });
    }

    private static Inspection of(Path path, Path file, OpenOptions options) throws IOException {
        boolean index = ShardIndex.is(file);
        TensorFile opened = TensorFile.inspected(file);
        List<NamedTensor> tensors = new ArrayList<>();
        opened.entries()
                .forEach((name, entry) ->
                        tensors.add(new NamedTensor(name, python(entry.dtype().name()), entry.shape())));
        Map<String, String> metadata = new LinkedHashMap<>(opened.metadata());
        if (opened.isTorch()) flags(opened.root(), "", 0, metadata);
        ScriptArgs.of(file, opened.root()).all().forEach(metadata::putIfAbsent);
        List<HashedFile> files = new ArrayList<>();
        for (Path one : Checkpoints.files(path, options)) files.add(HashedFile.of(one));
        List<WeightSet> sets = WeightSet.all(file, opened);
        Optional<DiTDescription> model;
        List<String> notes;
        String guess;
        try {
            DiTWeights weights = Checkpoints.found(path, options);
            model = Optional.of(weights.description());
            notes = weights.notes();
            guess = guess(model.get());
        } catch (FormatException e) {
            if (!Files.exists(file)) throw e; // a run has replaced it
            model = Optional.empty();
            notes = List.of();
            List<String> names = tensors.stream().map(NamedTensor::name).toList();
            boolean vae = sets.isEmpty() && !VaeKeyNames.current(names).isEmpty();
            guess = vae ? "an autoencoder" : (sets.isEmpty() ? "no DiT: " : "not opened: ") + e.getMessage();
        }
        String published = PUBLISHED.get(files.get(0).sha256());
        return new Inspection(
                index ? "in shards" : opened.isTorch() ? "torch" : "safetensors",
                published == null ? guess : published + ", " + guess,
                model,
                files,
                tensors,
                metadata,
                sets.stream()
                        .filter(set -> !set.place().isEmpty())
                        .map(WeightSet::text)
                        .toList(),
                opened.others(),
                notes);
    }

    private static String guess(DiTDescription description) {
        String classes = description.model().numClasses() == 0
                ? "unconditional"
                : description.model().numClasses() + " classes";
        return DiTShapes.name(description.model()) + ", input "
                + description.model().inChannels() + " × " + description.model().inputHeight() + " × "
                + description.model().inputWidth() + ", " + classes;
    }

    /** The script's flags, wherever an argparse.Namespace is. */
    private static void flags(Object value, String place, int depth, Map<String, String> metadata) {
        String prefix = place.isEmpty() ? "" : place + ".";
        if (value instanceof TorchValues.Namespace namespace)
            namespace.fields().forEach((key, item) -> metadata.put(prefix + key, String.valueOf(item)));
        else if (value instanceof Map<?, ?> map && depth < MAX_DEPTH)
            map.forEach((key, item) -> flags(item, prefix + key, depth + 1, metadata));
    }

    private static String python(String dtype) {
        return switch (dtype) {
            case "Float" -> "float32";
            case "Half" -> "float16";
            case "Double" -> "float64";
            case "Byte" -> "uint8";
            case "Char" -> "int8";
            case "Short" -> "int16";
            case "Int" -> "int32";
            case "Long" -> "int64";
            default -> dtype.toLowerCase(Locale.ROOT);
        };
    }
}
