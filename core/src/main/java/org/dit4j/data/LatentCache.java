package org.dit4j.data;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.FormatException;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;

/**
 * A folder of encoded pictures: {@code latents.json}, which is written last, and the {@link LatentShard}s that it lists. Items are
 * distributions of latents, and each time that one is trained on, other latents are drawn from it; a mirrored sample is drawn from the
 * distribution of the mirrored picture.
 */
public final class LatentCache implements Dataset {
    static {
        Backend.configure();
    }

    /** The file that makes a folder a cache of latents. */
    public static final String INDEX = "latents.json";

    private static final String FORMAT = "dit4j latents";
    private static final int VERSION = 1;
    /** How many MiB are read to see whether a cache is as it was written when it is opened. */
    private static final int CHECKED_BLOCKS = 1024;

    private static final long MAX_INDEX_BYTES = 64 << 20;
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    /** The content of {@link #INDEX}; {@code linearRgb} is null where there is no projection. */
    private record Index(
            String format,
            int version,
            LatentsHeader latents,
            long numItems,
            List<Listed> shards,
            List<String> broken,
            List<Double> linearRgb) {}

    /** Without checksums in an index of before there were any. */
    private record Listed(
            String file,
            int numItems,
            @JsonInclude(JsonInclude.Include.NON_NULL) Checksums checksums) {}

    private final Path folder;
    private final Index index;
    private final LatentsHeader header;
    private final LatentShard[] shards;
    /** The first item of each shard, and the end. */
    private final long[] firstOfShard;

    private final int[][] labels;
    /** What the file system said of each shard before it was read. */
    private final List<byte[]> attributes = new ArrayList<>();
    /** Null until it is asked for. */
    private Fingerprint fingerprint;

    private LatentCache(Path folder, Index index) throws IOException {
        this.folder = folder;
        this.index = index;
        header = index.latents;
        shards = new LatentShard[index.shards.size()];
        labels = new int[shards.length][];
        firstOfShard = new long[shards.length + 1];
        try {
            for (int i = 0; i < shards.length; i++) open(i);
        } catch (IOException | RuntimeException e) {
            close();
            throw e;
        }
        try {
            if (size() != index.numItems || size() == 0)
                throw new FormatException(
                        folder.resolve(INDEX), "says " + index.numItems + " items, its shards hold " + size());
            requireWhole();
        } catch (IOException | RuntimeException e) {
            close();
            throw e;
        }
    }

    /** All of it where that takes a moment; else a sample, another one each time. */
    private void requireWhole() throws IOException {
        long blocks = index.shards.stream()
                .filter(listed -> listed.checksums != null)
                .mapToLong(listed -> listed.checksums.blocks().size())
                .sum();
        int every = (int) Math.max(1, (blocks + CHECKED_BLOCKS - 1) / CHECKED_BLOCKS);
        int first = (int) (System.nanoTime() >>> 10 & 0xffff);
        for (Listed listed : index.shards) {
            if (listed.checksums == null) continue;
            Path file = folder.resolve(listed.file);
            List<String> damage = listed.checksums.damage(file, every, first++ % every);
            if (!damage.isEmpty())
                throw new FormatException(
                        file,
                        damage.get(0).replace(file + ": ", "") + "; dit verify " + folder
                                + " names all that is damaged, and the same dit encode writes it again");
        }
    }

    /**
     * Reads every byte of a finished cache.
     *
     * @return shard → what is not as it was written, one line each; nothing for a shard of before there were checksums
     */
    public static Map<Path, Optional<List<String>>> verify(Path folder) throws IOException {
        Map<Path, Optional<List<String>>> found = new LinkedHashMap<>();
        for (Listed listed : readIndex(folder).shards) {
            Path file = folder.resolve(listed.file);
            Optional<List<String>> damage = Optional.empty();
            if (!Files.exists(file)) damage = Optional.of(List.of(file + ": is not there"));
            else if (listed.checksums != null) damage = Optional.of(listed.checksums.damage(file, 1, 0));
            found.put(file, damage);
        }
        return found;
    }

    /** By what a shard is known to be whole: as the index says it, or, where that is not written yet, who wrote the shard. */
    public static Optional<Checksums> checksums(Path shard) throws IOException {
        Optional<Checksums> kept = Checksums.kept(shard);
        Path folder = shard.toAbsolutePath().getParent();
        if (kept.isPresent() || !isCache(folder)) return kept;
        try {
            return readIndex(folder).shards.stream()
                    .filter(listed -> listed.file.equals(shard.getFileName().toString()) && listed.checksums != null)
                    .map(Listed::checksums)
                    .findFirst();
        } catch (FormatException e) { // it is written anew
            return Optional.empty();
        }
    }

    private void open(int shard) throws IOException {
        Listed listed = index.shards.get(shard);
        Path file = folder.resolve(listed.file);
        if (!Files.exists(file))
            throw new NoSuchFileException(file.toString(), null, "a shard that " + INDEX + " lists is not there");
        attributes.add(FingerprintInput.attributes(file));
        shards[shard] = LatentShard.open(file);
        if (!shards[shard].header().equals(header) || shards[shard].size() != listed.numItems)
            throw new FormatException(file, "does not belong to " + INDEX + ", which describes other latents");
        long[] numbers = shards[shard].numbers(LatentShard.LABELS);
        for (long label : numbers)
            if (label < 0 || label >= header.classNames().size())
                throw new FormatException(
                        file,
                        "label " + label + " is outside 0 … "
                                + (header.classNames().size() - 1));
        labels[shard] = Arrays.stream(numbers).mapToInt(label -> (int) label).toArray();
        firstOfShard[shard + 1] = firstOfShard[shard] + numbers.length;
    }

    /** Whether a path is a folder of latents. */
    public static boolean isCache(Path path) {
        return Files.isRegularFile(path.resolve(INDEX));
    }

    /**
     * Opens a finished cache. It is closed by the caller.
     *
     * @throws FormatException if the index or a shard is damaged, or they do not belong together
     * @throws NoSuchFileException if the index or a shard is absent
     */
    public static LatentCache open(Path folder) throws IOException {
        return new LatentCache(folder, readIndex(folder));
    }

    private static Index readIndex(Path folder) throws IOException {
        Path file = folder.resolve(INDEX);
        if (!Files.isRegularFile(file))
            throw new NoSuchFileException(
                    file.toString(), null, "not a finished folder of latents; \"dit encode\" writes one");
        if (Files.size(file) > MAX_INDEX_BYTES)
            throw new FormatException(file, "has " + Files.size(file) + " bytes; at most " + MAX_INDEX_BYTES);
        Index index;
        try {
            index = JSON.readValue(file.toFile(), Index.class);
        } catch (JsonProcessingException e) {
            throw LatentShard.impossible(file, e);
        } catch (CharConversionException e) { // what looks like UTF-32
            throw new FormatException(file, "does not describe latents: " + e.getMessage(), e);
        }
        if (index == null || !FORMAT.equals(index.format)) throw new FormatException(file, "is no index of latents");
        if (index.version != VERSION)
            throw new FormatException(
                    file, "is of version " + index.version + ", this program reads version " + VERSION);
        if (index.latents == null || index.shards == null || index.broken == null)
            throw new FormatException(file, "lacks latents, shards or broken");
        for (Listed listed : index.shards)
            // a name with a folder in it could lead anywhere
            if (listed == null || listed.file == null || !listed.file.matches("[\\w-]+\\.safetensors"))
                throw new FormatException(file, "lists " + listed + ", which names no shard beside it");
        if (index.linearRgb != null
                && (index.linearRgb.size() != 3 * (index.latents.channels() + 1)
                        || !index.linearRgb.stream().allMatch(value -> value != null && Double.isFinite(value))))
            throw new FormatException(
                    file, "linearRgb is not 3 rows of " + (index.latents.channels() + 1) + " finite numbers");
        return index;
    }

    /**
     * Opens shards of which there is no index yet, or one that does not count. It is closed by the caller.
     *
     * @param shards their files, in the order of their items
     * @throws FormatException if a shard is damaged or of other latents, or there is not one item in them
     */
    public static LatentCache ofShards(Path folder, LatentsHeader header, List<Path> shards) throws IOException {
        Index index = index(header, shards, Optional.empty(), false);
        if (index.numItems == 0) throw new FormatException(folder, "not one of the pictures can be read");
        return new LatentCache(folder, index);
    }

    /**
     * Writes the index of a cache whose shards are in {@code folder}.
     *
     * @param shards their files, in the order of their items
     * @param linearRgb the coefficients of a projection of latents to colours: 3 rows of a weight for each channel and a constant
     * @throws FormatException if a shard is not whole
     */
    public static void writeIndex(
            Path folder, LatentsHeader header, List<Path> shards, Optional<List<Double>> linearRgb) throws IOException {
        Index index = index(header, shards, linearRgb, true);
        AtomicFile.write(
                folder.resolve(INDEX), JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(index));
        for (Path file : shards) Checksums.forget(file);
    }

    private static Index index(
            LatentsHeader header, List<Path> shards, Optional<List<Double>> linearRgb, boolean withChecksums)
            throws IOException {
        List<Listed> listed = new ArrayList<>();
        List<String> broken = new ArrayList<>();
        long numItems = 0;
        for (Path file : shards)
            try (LatentShard shard = LatentShard.open(file)) {
                Optional<Checksums> kept = withChecksums ? Checksums.kept(file) : Optional.empty();
                Checksums checksums = kept.isPresent() || !withChecksums ? kept.orElse(null) : Checksums.of(file);
                listed.add(new Listed(file.getFileName().toString(), shard.size(), checksums));
                broken.addAll(shard.broken());
                numItems += shard.size();
            }
        return new Index(FORMAT, VERSION, header, numItems, listed, broken, linearRgb.orElse(null));
    }

    /** What the latents are. */
    public LatentsHeader header() {
        return header;
    }

    @Override
    public Optional<LatentsHeader> latents() {
        return Optional.of(header);
    }

    /** The coefficients of a projection to colours, as {@link #writeIndex} took them, if there is one. */
    @Override
    public Optional<List<Double>> linearRgb() {
        return Optional.ofNullable(index.linearRgb);
    }

    /** What was wrong with the pictures that were left out. */
    @Override
    public List<String> brokenPictures() {
        return index.broken;
    }

    /** The number that an item's picture has in the data set that was encoded. */
    public long source(long item) throws IOException {
        int shard = shard(item);
        return shards[shard].numbers(LatentShard.ITEMS)[row(shard, item)];
    }

    @Override
    public long size() {
        return firstOfShard[shards.length];
    }

    @Override
    public int channels() {
        return header.channels();
    }

    @Override
    public int height() {
        return header.height();
    }

    @Override
    public int width() {
        return header.width();
    }

    @Override
    public List<String> classNames() {
        return header.classNames();
    }

    @Override
    public int label(long item) {
        int shard = shard(item);
        return labels[shard][row(shard, item)];
    }

    private int shard(long item) {
        Objects.checkIndex(item, size());
        int found = Arrays.binarySearch(firstOfShard, item);
        if (found < 0) return -found - 2;
        while (firstOfShard[found + 1] == item) found++; // empty shards begin where the next one does
        return found;
    }

    private int row(int shard, long item) {
        return (int) (item - firstOfShard[shard]);
    }

    @Override
    public void pixels(long item, float[] out, int offset) throws IOException {
        int shard = shard(item);
        read(shard, LatentShard.MEAN, row(shard, item), out, offset);
        scale(out, offset);
    }

    /** Draws latents from the item's distribution; without a variance, they are the mean. */
    @Override
    public void sample(long seed, long sample, long item, boolean flip, float[] out, int offset) throws IOException {
        int shard = shard(item), row = row(shard, item), count = count();
        read(shard, flip ? LatentShard.FLIPPED_MEAN : LatentShard.MEAN, row, out, offset);
        if (header.hasVariance()) {
            float[] logVariance = new float[count], noise = new float[count];
            read(shard, flip ? LatentShard.FLIPPED_LOG_VARIANCE : LatentShard.LOG_VARIANCE, row, logVariance, 0);
            Noise.normal(seed, Purpose.POSTERIOR, 0, sample, noise, 0, count);
            // StrictMath: the same bits on every machine
            for (int i = 0; i < count; i++) out[offset + i] += (float) StrictMath.exp(0.5 * logVariance[i]) * noise[i];
        }
        scale(out, offset);
    }

    private int count() {
        return channels() * height() * width();
    }

    private void read(int shard, String name, int row, float[] out, int offset) throws IOException {
        Objects.checkFromIndexSize(offset, count(), out.length);
        shards[shard].row(name, row, out, offset);
    }

    private void scale(float[] out, int offset) {
        for (int i = offset; i < offset + count(); i++) out[i] = (float) ((out[i] - header.shift()) * header.scale());
    }

    @Override
    public String describe() {
        return String.format(
                Locale.ROOT,
                "%s: latents %d×%d×%d of %d pictures of %d×%d, %d classes, %s, encoder %s%s",
                folder,
                channels(),
                height(),
                width(),
                size(),
                header.imageHeight(),
                header.imageWidth(),
                classNames().size(),
                header.hasVariance() ? "means and variances" : "means",
                header.encoderDigest().substring(0, 12),
                index.broken.isEmpty() ? "" : "; " + index.broken.size() + " broken ones left out");
    }

    /** Of what the latents are, of the classes, and of the ends of each shard's numbers. */
    @Override
    public synchronized Fingerprint fingerprint() throws IOException {
        if (fingerprint == null) {
            FingerprintInput input = described("latents");
            for (int[] ofShard : labels) for (int label : ofShard) input.add(label);
            for (LatentShard shard : shards) shard.addEnds(input);
            fingerprint = new Fingerprint(input.hex(), stamp());
        }
        return fingerprint;
    }

    @Override
    public String stamp() {
        FingerprintInput input = described("stamp of latents");
        for (byte[] ofShard : attributes) input.add(ofShard);
        return input.hex();
    }

    private FingerprintInput described(String kind) {
        FingerprintInput input = new FingerprintInput(kind, this)
                .add(header.encoderDigest())
                .add(Double.doubleToLongBits(header.scale()))
                .add(Double.doubleToLongBits(header.shift()))
                .add(header.imageHeight())
                .add(header.imageWidth())
                .add(header.hasVariance() ? 1 : 0);
        for (Listed shard : index.shards) input.add(shard.file).add(shard.numItems);
        return input;
    }

    @Override
    public void close() throws IOException {
        for (LatentShard shard : shards) if (shard != null) shard.close();
    }
}
