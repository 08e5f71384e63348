package org.dit4j.jobs;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.dit4j.data.Checksums;
import org.dit4j.data.Dataset;
import org.dit4j.data.LatentCache;
import org.dit4j.data.LatentShard;
import org.dit4j.data.LatentsHeader;
import org.dit4j.io.FormatException;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentSpace;
import org.dit4j.vae.LinearRgb;

/**
 * The job that makes a {@link LatentCache} of a data set: every picture and its mirror image go through the autoencoder once. Every batch
 * has the same shape, filled up where pictures are missing, so that the latents of a picture do not depend on its neighbours, the size of
 * the shards, or where the job was stopped.
 */
public final class LatentEncoder implements ShardJob {
    static {
        Backend.configure();
    }

    /** How many pictures the projection of latents to colours is fitted to. */
    private static final int FITTED_PICTURES = 256;

    private static final long SPARE_BYTES = 1 << 20;

    private final Dataset pictures;
    private final LatentCodec codec;
    private final EncodeConfig config;
    private final LatentsHeader header;
    private final Map<String, String> settings;

    /**
     * @param pictures RGB, of a size that {@code codec} takes; stays the caller's
     * @param codec is moved to the device and dtype of {@code config}; stays the caller's
     * @throws IllegalArgumentException if the pictures do not fit the codec, or have no end
     */
    public LatentEncoder(Dataset pictures, LatentCodec codec, EncodeConfig config) {
        requireFits(pictures, codec);
        try (TensorScope scope = new TensorScope()) {
            codec.to(Backend.device(config.device()), config.precision().weights());
        }
        this.pictures = pictures;
        this.codec = codec;
        this.config = config;
        header = header(pictures, codec);
        settings = Map.of(
                "batchSize", Integer.toString(config.batchSize()),
                "shardSize", Integer.toString(config.shardSize()),
                "precision", config.precision() == Precision.BF16 ? "bf16" : "fp32",
                "skipBroken", Boolean.toString(config.skipBroken()),
                "numPictures", Long.toString(pictures.size()),
                "labels", labelDigest(pictures));
    }

    private static void requireFits(Dataset pictures, LatentCodec codec) {
        if (pictures.size() == Dataset.ENDLESS)
            throw new IllegalArgumentException(
                    "these data have no end, and cannot all be encoded: " + pictures.describe());
        int multiple = codec.downsampling();
        if (pictures.channels() != 3 || pictures.height() % multiple != 0 || pictures.width() % multiple != 0)
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "the pictures are %d×%d×%d (channels, height, width); the autoencoder takes 3 channels, and multiples of %d",
                    pictures.channels(),
                    pictures.height(),
                    pictures.width(),
                    multiple));
    }

    /**
     * @throws IllegalArgumentException if {@code latents} were made by another encoder or are scaled in another way, saying what differs
     */
    public static void requireMadeBy(LatentCodec codec, LatentsHeader latents) {
        LatentSpace.of(latents.encoderDigest(), latents.scale(), latents.shift(), latents.probe())
                .requireThatOf(codec, "the latents were made by", ", or encode the pictures again");
        if (codec.channels() != latents.channels()
                || latents.height() * codec.downsampling() != latents.imageHeight()
                || latents.width() * codec.downsampling() != latents.imageWidth())
            throw new IllegalArgumentException(String.format(
                    Locale.ROOT,
                    "the latents are %d×%d×%d for pictures of %d×%d, which is not what this autoencoder makes of them",
                    latents.channels(),
                    latents.height(),
                    latents.width(),
                    latents.imageHeight(),
                    latents.imageWidth()));
    }

    private static LatentsHeader header(Dataset pictures, LatentCodec codec) {
        boolean hasVariance;
        int side = 4 * codec.downsampling();
        try (TensorScope scope = new TensorScope()) {
            hasVariance = codec.encode(Tensors.of(new float[3 * side * side], 1, 3, side, side))
                    .hasVariance();
        }
        return new LatentsHeader(
                codec.encoderDigest(),
                codec.scaling().scale(),
                codec.scaling().shift(),
                pictures.height(),
                pictures.width(),
                codec.channels(),
                pictures.height() / codec.downsampling(),
                pictures.width() / codec.downsampling(),
                hasVariance,
                pictures.classNames(),
                codec.probe());
    }

    private static String labelDigest(Dataset pictures) {
        MessageDigest digest = Sha256.digest();
        ByteBuffer number = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (long item = 0; item < pictures.size(); item++)
            digest.update(number.putInt(0, pictures.label(item)).array());
        return HexFormat.of().formatHex(digest.digest());
    }

    @Override
    public long numItems() {
        return pictures.size();
    }

    @Override
    public int shardSize() {
        return config.shardSize();
    }

    @Override
    public String fileName(int number) {
        return String.format(Locale.ROOT, "latents-%05d.safetensors", number);
    }

    @Override
    public String indexName() {
        return LatentCache.INDEX;
    }

    @Override
    public long maxBytes(Shard shard) {
        long itemBytes = (long) Float.BYTES * header.channels() * header.height() * header.width();
        return shard.size() * (EncodedShard.tensors(header).size() * itemBytes + 2 * Long.BYTES) + SPARE_BYTES;
    }

    /** What the bytes of a shard depend on, beside the header and the pictures. */
    private Map<String, String> description(Shard shard) {
        Map<String, String> description = new TreeMap<>(settings);
        description.put("first", Long.toString(shard.first()));
        return description;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if the file is of another codec, other pictures or another configuration
     */
    @Override
    public OptionalLong finished(Shard shard) throws IOException {
        if (!Files.exists(shard.file())) return OptionalLong.empty();
        Optional<Checksums> checksums = LatentCache.checksums(shard.file());
        boolean isWhole = checksums.isEmpty()
                || checksums.get().damage(shard.file(), 1, 0).isEmpty();
        LatentShard found;
        try {
            found = LatentShard.open(shard.file());
        } catch (FormatException e) {
            return OptionalLong.empty(); // damaged: written again
        }
        if (!isWhole && found.header().equals(header)) {
            found.close();
            return OptionalLong.empty();
        }
        try (found) {
            shard.requireSame("encoder", header.encoderDigest(), found.header().encoderDigest());
            shard.requireSame("header", header, found.header());
            description(shard)
                    .forEach((name, value) ->
                            shard.requireSame(name, value, found.job().get(name)));
            if (found.size() > 0) {
                long first = found.numbers(LatentShard.ITEMS)[0];
                shard.requireSame(
                        "first picture",
                        EncodedShard.digest(pixels(first)),
                        found.job().get(EncodedShard.FIRST_PICTURE));
            }
            return OptionalLong.of(found.broken().size());
        }
    }

    private float[] pixels(long item) throws IOException {
        float[] pixels = new float[3 * pictures.height() * pictures.width()];
        pictures.pixels(item, pixels, 0);
        return pixels;
    }

    /**
     * {@inheritDoc}
     *
     * @throws FormatException if a picture is broken and is not to be skipped
     * @throws IllegalStateException if the codec gives numbers that are not finite
     */
    @Override
    public long write(Shard shard, Progress progress) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            EncodedShard encoded = new EncodedShard(pictures, codec, header, config, shard);
            encoded.fill(progress);
            encoded.write(description(shard));
            Checksums.of(shard.file()).keep(shard.file());
            return encoded.numBroken();
        }
    }

    /**
     * {@inheritDoc}
     *
     * @throws FormatException if not one picture is whole
     */
    @Override
    public void writeIndex(Path folder, List<Shard> shards) throws IOException {
        List<Path> files = shards.stream().map(Shard::file).toList();
        Optional<LinearRgb> colours;
        try (LatentCache cache = LatentCache.ofShards(folder, header, files)) {
            colours = fitted(cache);
        }
        LatentCache.writeIndex(folder, header, files, colours.map(LinearRgb::coefficients));
    }

    /** Least squares over pictures from the whole data set; none if these are too few, or too much alike. */
    private Optional<LinearRgb> fitted(LatentCache cache) throws IOException {
        LinearRgb.Fit fit = new LinearRgb.Fit(header.channels());
        long count = Math.min(FITTED_PICTURES, cache.size());
        float[] latents = new float[header.channels() * header.height() * header.width()];
        for (long i = 0; i < count; i++) {
            long item = i * cache.size() / count;
            cache.pixels(item, latents, 0);
            try (TensorScope scope = new TensorScope()) {
                fit.add(
                        Tensors.of(latents, 1, header.channels(), header.height(), header.width()),
                        Tensors.of(pixels(cache.source(item)), 1, 3, pictures.height(), pictures.width()));
            }
        }
        try {
            return Optional.of(fit.solve());
        } catch (IllegalStateException e) {
            return Optional.empty();
        }
    }
}
