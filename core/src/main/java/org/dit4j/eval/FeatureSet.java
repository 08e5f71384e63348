package org.dit4j.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.FormatException;
import org.dit4j.io.RegularFile;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Features of a set of pictures, in a folder: {@code features.json}, which is written last, and the files that it lists, in the order of the pictures. */
public final class FeatureSet {
    /** The file that makes a folder a finished set. */
    public static final String INDEX = "features.json";

    private static final int MAX_INDEX_BYTES = 16 << 20;
    private static final String FORMAT = "dit4j features";
    private static final ObjectMapper JSON = new ObjectMapper();

    static {
        Backend.configure();
    }

    /**
     * What the features depend on.
     *
     * @param space network, preprocessing, weights
     * @param source digest of the pictures
     * @param pictures what they are, for people
     * @param rows pictures that went through the network at once
     * @param count of pictures
     */
    public record Origin(FeatureSpace space, String source, String pictures, int rows, long count) {}

    private record Index(String format, int version, Origin origin, List<String> files) {}

    private final Path folder;
    private final Index index;

    private FeatureSet(Path folder, Index index) {
        this.folder = folder;
        this.index = index;
    }

    /** @throws FormatException if the folder is no finished set */
    public static FeatureSet open(Path folder) throws IOException {
        Path file = folder.resolve(INDEX);
        Index index;
        try {
            index = JSON.readValue(RegularFile.readSmall(file, MAX_INDEX_BYTES, "an index"), Index.class);
        } catch (JsonProcessingException e) {
            throw new FormatException(file, "no index of features; remove the folder, it is made again", e);
        }
        if (!FORMAT.equals(index.format) || index.version != 1)
            throw new FormatException(file, "an index of features of the unknown version " + index.version);
        for (String name : index.files)
            if (!name.equals(Path.of(name).getFileName().toString()) || !Files.exists(folder.resolve(name)))
                throw new FormatException(folder.resolve(name), "is not there; the same command writes it again");
        return new FeatureSet(folder, index);
    }

    /** Makes a folder of finished files a set. */
    public static void writeIndex(Path folder, Origin origin, List<String> files) throws IOException {
        AtomicFile.write(
                folder.resolve(INDEX),
                JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(new Index(FORMAT, 1, origin, files)));
    }

    /** What the features depend on. */
    public Origin origin() {
        return index.origin;
    }

    /** Pictures. */
    public long count() {
        return index.origin.count;
    }

    /** D of a tap; nothing where the network has no such tap. */
    public OptionalInt width(Tap tap) throws IOException {
        var entry =
                Safetensors.header(folder.resolve(index.files.get(0))).entries().get(tap.key());
        return entry == null
                ? OptionalInt.empty()
                : OptionalInt.of(Math.toIntExact(entry.shape().get(1)));
    }

    /** Visits (n, D) float32 features file by file, each of which lives as long as the call. */
    public void forEach(Tap tap, Consumer<Tensor> features) throws IOException {
        for (String name : index.files)
            try (TensorScope scope = new TensorScope()) {
                features.accept(Safetensors.read(folder.resolve(name), List.of(tap.key()))
                        .get(tap.key()));
            }
    }

    /** The features of the first pictures, at most {@code most}: (n, D) float32 on the CPU, in the scope around the call. */
    public Tensor first(Tap tap, long most) throws IOException {
        long count = Math.min(most, count()), done = 0;
        Tensor all = Tensors.empty(ScalarType.Float, count, width(tap).orElseThrow());
        for (String name : index.files) {
            if (done == count) break;
            try (TensorScope scope = new TensorScope()) {
                Tensor part = Safetensors.read(folder.resolve(name), List.of(tap.key()))
                        .get(tap.key());
                long rows = Math.min(count - done, part.size(0));
                all.narrow(0, done, rows).copy_(part.narrow(0, 0, rows));
                done += rows;
            }
        }
        return all;
    }

    /** Mean and covariance. */
    public Gaussian gaussian(Tap tap) throws IOException {
        try (Gaussian.Fit fit = new Gaussian.Fit(width(tap).orElseThrow())) {
            forEach(tap, fit::add);
            return fit.result();
        }
    }

    /** Of every tap but the logits. */
    public Map<Tap, Gaussian> gaussians() throws IOException {
        Map<Tap, Gaussian> gaussians = new java.util.EnumMap<>(Tap.class);
        for (Tap tap : List.of(Tap.FEATURES, Tap.SPATIAL))
            if (width(tap).isPresent()) gaussians.put(tap, gaussian(tap));
        return gaussians;
    }
}
