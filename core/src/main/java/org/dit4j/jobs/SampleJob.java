package org.dit4j.jobs;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.Images;
import org.dit4j.io.Npz;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Backend;

/**
 * The job that draws a set of pictures for metrics, with the names and the rounding of the published {@code sample_ddp.py}: a folder of
 * 000000.png, 000001.png, …, and beside it an .npz of all pixels, {@code arr_0}, (N, H, W, 3) uint8. A shard is one forward pass, in which a
 * picture always has the same row; so every picture has the same bytes however the work was shared and stopped.
 */
public final class SampleJob implements ShardJob {
    static {
        Backend.configure();
    }

    /** The key of the pixels in the .npz. */
    private static final String PIXELS = "arr_0";

    private static final String SHARDS = "shards";
    private static final int PNG_SPARE_BYTES = 4096, PACKED_AT_ONCE = 64;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Draws the pictures first … first + count − 1 of the set, in one forward pass. */
    @FunctionalInterface
    public interface Drawer {
        /**
         * @param progress hears what share of the work is done
         * @param pictures takes (N, C, H, W) pictures in [−1, 1], all at once or one batch after the other
         */
        void draw(long first, int count, DoubleConsumer progress, Consumer<Tensor> pictures);
    }

    private final Path folder;
    private final SampleConfig config;
    private final int height, width;
    private final Drawer drawer;
    private final Map<String, String> settings;

    /**
     * @param folder where the pictures go; {@link ShardRunner#run} gets the same
     * @param height of a picture, in pixels
     * @param width of a picture, in pixels
     * @param settings what the pictures depend on beside {@code config}, by name: a folder of other pictures is refused
     */
    public SampleJob(
            Path folder, SampleConfig config, int height, int width, Map<String, String> settings, Drawer drawer) {
        this.folder = folder;
        this.config = config;
        this.height = height;
        this.width = width;
        this.drawer = drawer;
        this.settings = new TreeMap<>(settings);
        this.settings.put("Batch size", Integer.toString(config.batchSize()));
        this.settings.put("Seed", Long.toString(config.seed()));
        this.settings.put("Labels", config.labels().name().toLowerCase(Locale.ROOT));
        this.settings.put("Classes", config.classes().toString());
        this.settings.put("Size", width + "x" + height);
    }

    /** What the set's pictures depend on, by name. */
    public Map<String, String> settings() {
        return settings;
    }

    /** The archive of all pixels, beside the folder. */
    public Path npz() {
        Path whole = folder.toAbsolutePath().normalize();
        return whole.resolveSibling(whole.getFileName() + ".npz");
    }

    private Path png(long index) {
        return folder.resolve(String.format(Locale.ROOT, "%06d.png", index));
    }

    @Override
    public long numItems() {
        return config.numSamples();
    }

    @Override
    public int shardSize() {
        return config.batchSize();
    }

    @Override
    public String fileName(int number) {
        return String.format(Locale.ROOT, SHARDS + "/%06d.json", number);
    }

    @Override
    public String indexName() {
        return "samples.json";
    }

    @Override
    public long maxBytes(Shard shard) {
        return shard.size() * (3L * height * width + PNG_SPARE_BYTES);
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if the folder has other pictures than these, or more
     */
    @Override
    public OptionalLong finished(Shard shard) throws IOException {
        if (config.format() == SampleConfig.Format.NPZ && isIndexed()) return OptionalLong.of(0);
        if (shard.end() == numItems() && Files.exists(png(numItems())))
            throw new IllegalArgumentException(folder + " has more than " + numItems() + " pictures: " + png(numItems())
                    + "; ask for as many, or choose another folder");
        JsonNode written = read(shard.file());
        if (written.isMissingNode()) return OptionalLong.empty();
        settings.forEach((name, value) ->
                shard.requireSame(name, value, written.path("job").path(name).asText(null)));
        JsonNode digests = written.path("pictures");
        boolean whole = digests.size() >= shard.size()
                && IntStream.range(0, (int) shard.size())
                        .parallel()
                        .allMatch(i ->
                                isWhole(png(shard.first() + i), digests.path(i).asText()));
        return whole ? OptionalLong.of(0) : OptionalLong.empty();
    }

    private static boolean isWhole(Path png, String digest) {
        try {
            return Sha256.hex(Files.readAllBytes(png)).equals(digest);
        } catch (NoSuchFileException e) {
            return false;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Missing where there is no such file, or one that nobody can read: it is written again. */
    private static JsonNode read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) return JSON.missingNode();
        try {
            return JSON.readTree(Files.readAllBytes(file));
        } catch (JsonProcessingException e) {
            return JSON.missingNode();
        }
    }

    @Override
    public long write(Shard shard, Progress progress) throws IOException {
        List<String> digests = new ArrayList<>();
        try {
            drawer.draw(
                    shard.first(),
                    config.batchSize(),
                    share -> progress.advanced((long) (share * shard.size()), 0),
                    batch -> {
                        for (BufferedImage picture : Images.fromTensor(batch)) {
                            long index = shard.first() + digests.size();
                            if (index < shard.end()) digests.add(write(index, picture));
                        }
                    });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        if (digests.size() != shard.size())
            throw new IllegalStateException(
                    digests.size() + " pictures were drawn of " + shard.size() + " from " + shard.first() + " on");
        Map<String, Object> written = new LinkedHashMap<>();
        written.put("job", settings);
        written.put("pictures", digests);
        AtomicFile.write(shard.file(), JSON.writeValueAsBytes(written));
        return 0;
    }

    private String write(long index, BufferedImage picture) {
        if (picture.getHeight() != height || picture.getWidth() != width)
            throw new IllegalStateException("pictures of " + picture.getWidth() + "x" + picture.getHeight()
                    + " were drawn, not of " + width + "x" + height);
        Map<String, String> text = new LinkedHashMap<>();
        text.put("Seed", Long.toString(config.seed()));
        text.put("Picture", Long.toString(index));
        if (config.label(index) >= 0) text.put("Label", Integer.toString(config.label(index)));
        try {
            Images.writePng(png(index), picture, text);
            return Sha256.hex(Files.readAllBytes(png(index)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether the index says that all is done, and the archive is there if it should be. */
    private boolean isIndexed() throws IOException {
        Path index = folder.resolve(indexName());
        JsonNode written = read(index);
        if (written.isMissingNode()) return false;
        Shard all = new Shard(index, 0, numItems());
        settings.forEach((name, value) ->
                all.requireSame(name, value, written.path("job").path(name).asText(null)));
        if (written.path("numSamples").asLong() != numItems()) return false;
        return config.format() == SampleConfig.Format.PNG
                || Files.isRegularFile(npz())
                        && Files.size(npz()) == written.path("npzBytes").asLong();
    }

    /** Packs the archive, if one is asked for, and removes the pictures, if they are not. */
    @Override
    public void writeIndex(Path folder, List<Shard> shards) throws IOException {
        if (!isIndexed()) {
            Map<String, Object> index = new LinkedHashMap<>();
            index.put("job", settings);
            index.put("numSamples", numItems());
            if (config.format() != SampleConfig.Format.PNG) {
                pack();
                index.put("npzBytes", Files.size(npz()));
            }
            AtomicFile.write(
                    folder.resolve(indexName()),
                    JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(index));
        }
        if (config.format() != SampleConfig.Format.NPZ) return;
        for (Shard shard : shards) Files.deleteIfExists(shard.file());
        for (long index = 0; index < numItems(); index++) Files.deleteIfExists(png(index));
    }

    private void pack() throws IOException {
        int count = config.numSamples();
        Npz.writeRows(npz(), PIXELS, ScalarType.Byte, new long[] {count, height, width, 3}, false, sink -> {
            for (int from = 0; from < count; from += PACKED_AT_ONCE) {
                List<byte[]> pictures = IntStream.range(from, Math.min(count, from + PACKED_AT_ONCE))
                        .parallel()
                        .mapToObj(this::pixels)
                        .toList();
                for (byte[] picture : pictures) sink.write(picture);
            }
        });
    }

    private byte[] pixels(int index) {
        try {
            return Images.toRgbBytes(Images.read(png(index)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
