package org.dit4j.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.SafetensorsHeader;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Tensors;

/**
 * One file of a {@link LatentCache}: a safetensors file with the tensors {@link #MEAN} and {@link #FLIPPED_MEAN}, (n, C, h, w) float32;
 * where there is a variance, its logarithm as {@link #LOG_VARIANCE} and {@link #FLIPPED_LOG_VARIANCE}, of the same shape; and {@link
 * #LABELS} and {@link #ITEMS}, (n) int64.
 *
 * <p>float32, because the posterior of a trained autoencoder is narrow: its standard deviation is about 1e-3 where the means reach 30, and
 * half precision would round the means by more than that.
 */
public final class LatentShard implements AutoCloseable {
    static {
        Backend.configure();
    }

    /** Means of the raw latents. */
    public static final String MEAN = "mean";
    /** Means of the raw latents of the pictures mirrored left to right, which are not the mirrored latents. */
    public static final String FLIPPED_MEAN = "flipped_mean";
    /** Natural logarithms of the variances that belong to {@link #MEAN}. */
    public static final String LOG_VARIANCE = "log_variance";
    /** Natural logarithms of the variances that belong to {@link #FLIPPED_MEAN}. */
    public static final String FLIPPED_LOG_VARIANCE = "flipped_log_variance";
    /** Classes. */
    public static final String LABELS = "labels";
    /** The number that each picture has in the data set that was encoded. */
    public static final String ITEMS = "items";

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String HEADER = "dit4j.latents", JOB = "dit4j.job", BROKEN = "dit4j.broken";

    private final Path file;
    private final LatentsHeader header;
    private final Map<String, String> job;
    private final List<String> broken;
    private final SafetensorsHeader layout;
    private final FileChannel channel;
    private final int size;

    private LatentShard(
            Path file,
            LatentsHeader header,
            Map<String, String> job,
            List<String> broken,
            SafetensorsHeader layout,
            FileChannel channel)
            throws IOException {
        this.file = file;
        this.header = header;
        this.job = job;
        this.broken = broken;
        this.layout = layout;
        this.channel = channel;
        this.size = requireLayout();
    }

    /**
     * Writes a shard, whole or not at all.
     *
     * @param job what else the bytes depend on, for {@link #job}
     * @param broken what was wrong with the pictures that were left out
     * @param tensors as the class describes them
     */
    public static void write(
            Path file, LatentsHeader header, Map<String, String> job, List<String> broken, Map<String, Tensor> tensors)
            throws IOException {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put(HEADER, JSON.writeValueAsString(header));
        metadata.put(JOB, JSON.writeValueAsString(new TreeMap<>(job)));
        metadata.put(BROKEN, JSON.writeValueAsString(broken));
        Safetensors.write(file, tensors, metadata);
    }

    /**
     * Opens a shard and checks its layout.
     *
     * @throws FormatException if it is not a whole shard
     */
    public static LatentShard open(Path file) throws IOException {
        SafetensorsHeader layout = Safetensors.header(file);
        Map<String, String> metadata = layout.metadata();
        for (String key : List.of(HEADER, JOB, BROKEN))
            if (!metadata.containsKey(key))
                throw new FormatException(file, "no shard of latents: its metadata lack \"" + key + "\"");
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        try {
            LatentsHeader header = JSON.readValue(metadata.get(HEADER), LatentsHeader.class);
            Map<String, String> job = JSON.readValue(metadata.get(JOB), new TypeReference<Map<String, String>>() {});
            List<String> broken = JSON.readValue(metadata.get(BROKEN), new TypeReference<List<String>>() {});
            if (header == null || job == null || broken == null || broken.contains(null))
                throw new FormatException(file, "no shard of latents: its metadata say \"null\"");
            return new LatentShard(file, header, job, broken, layout, channel);
        } catch (JsonProcessingException e) {
            channel.close();
            throw impossible(file, e);
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /** What Jackson could not read, or what the records refused. */
    static FormatException impossible(Path file, JsonProcessingException e) {
        String problem = e.getCause() instanceof IllegalArgumentException refused
                ? refused.getMessage()
                : e.getOriginalMessage();
        return new FormatException(file, "does not describe latents: " + problem, e);
    }

    private int requireLayout() throws FormatException {
        SafetensorsHeader.Entry labels = layout.entries().get(LABELS);
        if (labels == null || labels.shape().size() != 1 || labels.shape().get(0) > 1 << 24)
            throw new FormatException(file, "a shard has " + LABELS + " of one dimension, of at most 16777216 items");
        long n = labels.shape().get(0);
        require(LABELS, ScalarType.Long, List.of(n));
        require(ITEMS, ScalarType.Long, List.of(n));
        List<Long> latents = List.of(n, (long) header.channels(), (long) header.height(), (long) header.width());
        require(MEAN, ScalarType.Float, latents);
        require(FLIPPED_MEAN, ScalarType.Float, latents);
        if (header.hasVariance()) {
            require(LOG_VARIANCE, ScalarType.Float, latents);
            require(FLIPPED_LOG_VARIANCE, ScalarType.Float, latents);
        }
        return (int) n;
    }

    private void require(String name, ScalarType dtype, List<Long> shape) throws FormatException {
        SafetensorsHeader.Entry entry = layout.entries().get(name);
        if (entry == null) throw new FormatException(file, "lacks the tensor " + name);
        if (entry.dtype() != dtype || !entry.shape().equals(shape))
            throw new FormatException(
                    file,
                    name + " is " + entry.dtype() + " " + entry.shape() + ", and should be " + dtype + " " + shape);
    }

    /** What the latents are. */
    public LatentsHeader header() {
        return header;
    }

    /** What else the bytes depend on, as it was given to {@link #write}. */
    public Map<String, String> job() {
        return job;
    }

    /** What was wrong with the pictures that were left out. */
    public List<String> broken() {
        return broken;
    }

    /** Items, n. */
    public int size() {
        return size;
    }

    /**
     * All of {@link #LABELS} or {@link #ITEMS}.
     *
     * @throws FormatException if the file has been cut short
     */
    public long[] numbers(String name) throws IOException {
        SafetensorsHeader.Entry entry = layout.entries().get(name);
        ByteBuffer bytes = ByteBuffer.allocate((int) (entry.end() - entry.begin()));
        long[] numbers = new long[size];
        fill(bytes, entry.begin());
        bytes.asLongBuffer().get(numbers);
        return numbers;
    }

    /**
     * Writes a row of one of the other tensors, (C, h, w), into {@code out} from {@code offset} on. Any number of threads may read.
     *
     * @throws FormatException if the file has been cut short, or holds what is no number
     */
    void row(String name, int row, float[] out, int offset) throws IOException {
        int count = header.channels() * header.height() * header.width();
        ByteBuffer bytes = ByteBuffer.allocate(count * Float.BYTES);
        fill(bytes, layout.entries().get(name).begin() + (long) row * bytes.capacity());
        bytes.asFloatBuffer().get(out, offset, count);
        for (int i = 0; i < count; i++)
            if (!Float.isFinite(out[offset + i]))
                throw new FormatException(file, name + " of row " + row + " holds " + out[offset + i]);
    }

    /** The length of the tensors and the CRC-32 of their first and last 4 KiB; the header before them names broken pictures too. */
    void addEnds(FingerprintInput input) throws IOException {
        input.addEnds(channel, layout.dataOffset());
    }

    private void fill(ByteBuffer bytes, long begin) throws IOException {
        bytes.order(ByteOrder.LITTLE_ENDIAN);
        long at = layout.dataOffset() + begin;
        while (bytes.hasRemaining()) {
            int read = channel.read(bytes, at);
            if (read < 0) throw new FormatException(file, "has been cut short since it was opened");
            at += read;
        }
        bytes.flip();
    }

    /** An uninitialised tensor for {@code n} items of latents, on the CPU. */
    public static Tensor latents(LatentsHeader header, int n) {
        return Tensors.empty(ScalarType.Float, n, header.channels(), header.height(), header.width());
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
