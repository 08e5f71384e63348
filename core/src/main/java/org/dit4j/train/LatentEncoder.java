package org.dit4j.train;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.FutureTask;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.data.Dataset;
import org.dit4j.data.LatentCache;
import org.dit4j.data.LatentShard;
import org.dit4j.data.LatentsHeader;
import org.dit4j.io.FormatException;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.train.ItemReader.Item;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentDistribution;
import org.dit4j.vae.LatentScaling;
import org.dit4j.vae.LatentSpace;
import org.dit4j.vae.LinearRgb;

/**
 * Makes a {@link LatentCache} of a data set: every picture and its mirror image go through the autoencoder once. A job that was stopped
 * goes on when it is started again: shards that are there and whole stay. Every batch has the same shape, filled up where pictures are
 * missing, so that the latents of a picture do not depend on its neighbours, the size of the shards, or where the job was stopped.
 */
public final class LatentEncoder {
    static {
        Backend.configure();
    }

    /** How many pictures the projection of latents to colours is fitted to. */
    private static final int FITTED_PICTURES = 256;

    private static final String LOCK = "encode.lock";
    private static final long SPARE_BYTES = 1 << 20;

    /** Hears how far a job is. It ends the job by throwing a {@link java.util.concurrent.CancellationException}. */
    @FunctionalInterface
    public interface Listener {
        /** Hears nothing. */
        Listener NONE = (done, total, numBroken) -> {};

        /**
         * After each batch.
         *
         * @param done pictures read, the broken ones and those of an earlier start included
         * @param total pictures of the data set
         * @param numBroken of {@code done}, those that were left out
         */
        void encoded(long done, long total, long numBroken);
    }

    private final Dataset pictures;
    private final LatentCodec codec;
    private final Path folder;
    private final EncodeConfig config;
    private final Listener listener;
    private final LatentsHeader header;
    private final Map<String, String> job;
    private long done, numBroken;

    private LatentEncoder(Dataset pictures, LatentCodec codec, Path folder, EncodeConfig config, Listener listener) {
        this.pictures = pictures;
        this.codec = codec;
        this.folder = folder;
        this.config = config;
        this.listener = listener;
        header = header();
        job = Map.of(
                "batchSize", Integer.toString(config.batchSize()),
                "shardSize", Integer.toString(config.shardSize()),
                "precision", config.bf16() ? "bf16" : "fp32",
                "skipBroken", Boolean.toString(config.skipBroken()),
                "numPictures", Long.toString(pictures.size()),
                "labels", labelDigest());
    }

    /**
     * Encodes a data set into a folder, which is made where there is none.
     *
     * @param pictures RGB, of a size that {@code codec} takes; stays the caller's
     * @param codec is moved to the device and dtype of {@code config}; stays the caller's
     * @throws IllegalArgumentException if the pictures do not fit the codec, or the folder holds latents of another codec, other pictures or
     *     another configuration
     * @throws FormatException if a picture is broken and is not to be skipped, or none is whole
     * @throws IOException if there is not room enough for the next shard
     * @throws IllegalStateException if another job writes into the folder, or the codec gives numbers that are not finite
     */
    public static void encode(Dataset pictures, LatentCodec codec, Path folder, EncodeConfig config, Listener listener)
            throws IOException {
        requireFits(pictures, codec);
        try (TensorScope scope = new TensorScope()) {
            codec.to(Backend.device(config.device()), config.bf16() ? ScalarType.BFloat16 : ScalarType.Float);
        }
        new LatentEncoder(pictures, codec, folder, config, listener).run();
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

    /** Which latents a file holds. */
    static LatentSpace space(LatentsHeader latents) {
        return new LatentSpace(latents.encoderDigest(), new LatentScaling(latents.scale(), latents.shift()));
    }

    /**
     * @throws IllegalArgumentException if {@code latents} were made by another encoder or are scaled in another way, saying what differs
     */
    public static void requireMadeBy(LatentCodec codec, LatentsHeader latents) {
        space(latents).requireThatOf(codec, "the latents were made by", ", or encode the pictures again");
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

    private LatentsHeader header() {
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
                pictures.classNames());
    }

    private String labelDigest() {
        MessageDigest digest = Sha256.digest();
        ByteBuffer number = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (long item = 0; item < pictures.size(); item++)
            digest.update(number.putInt(0, pictures.label(item)).array());
        return HexFormat.of().formatHex(digest.digest());
    }

    private void run() throws IOException {
        Files.createDirectories(folder);
        Path lockFile = folder.resolve(LOCK);
        try (FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = lock(channel)) {
            removeLeftovers();
            List<Path> shards = encodeShards();
            LatentCache.writeIndex(folder, header, shards, Optional.empty());
            LatentCache.writeIndex(folder, header, shards, fitted().map(LinearRgb::coefficients));
            Files.delete(lockFile);
        }
    }

    private FileLock lock(FileChannel channel) throws IOException {
        try {
            FileLock lock = channel.tryLock();
            if (lock != null) return lock;
        } catch (OverlappingFileLockException e) {
            // another thread of this program
        }
        throw new IllegalStateException(folder + ": another job is writing latents here; wait for it, or stop it");
    }

    /** Parts of files that a killed job left behind. */
    private void removeLeftovers() throws IOException {
        try (DirectoryStream<Path> leftovers = Files.newDirectoryStream(folder, "latents*.tmp-*")) {
            for (Path leftover : leftovers) Files.delete(leftover);
        }
    }

    private List<Path> encodeShards() throws IOException {
        List<Path> files = new ArrayList<>();
        long numItems = 0;
        try (ItemReader reader = new ItemReader(pictures, config.numWorkers(), config.skipBroken())) {
            for (long from = 0; from < pictures.size(); from += config.shardSize()) {
                Path file = folder.resolve(String.format(Locale.ROOT, "latents-%05d.safetensors", files.size()));
                long to = Math.min(from + config.shardSize(), pictures.size());
                if (!isFinished(file, from, to)) new Shard(file, from, to).encode(reader);
                try (LatentShard shard = LatentShard.open(file)) {
                    numItems += shard.size();
                }
                files.add(file);
            }
        }
        if (numItems == 0) throw new FormatException(folder, "not one of the pictures can be read");
        return files;
    }

    /** Whether an earlier start of this very job has written the shard of the pictures from … to − 1. */
    private boolean isFinished(Path file, long from, long to) throws IOException {
        if (!Files.exists(file)) return false;
        LatentShard shard;
        try {
            shard = LatentShard.open(file);
        } catch (FormatException e) {
            return false; // damaged: written again
        }
        try (shard) {
            requireSame("encoder", header.encoderDigest(), shard.header().encoderDigest());
            requireSame("header", header, shard.header());
            job(from)
                    .forEach((name, value) ->
                            requireSame(name, value, shard.job().get(name)));
            if (shard.size() > 0) {
                long first = shard.numbers(LatentShard.ITEMS)[0];
                requireSame("first picture", shard.job().get("firstPicture"), digest(pixels(first)));
            }
            done = to;
            numBroken += shard.broken().size();
            listener.encoded(done, pictures.size(), numBroken);
            return true;
        }
    }

    private void requireSame(String what, Object here, Object there) {
        if (!Objects.equals(here, there))
            throw new IllegalArgumentException(folder + " holds latents of another job, whose " + what + " is " + there
                    + "; here it is " + here + ". Choose another folder, or remove that one");
    }

    private Map<String, String> job(long from) {
        Map<String, String> all = new TreeMap<>(job);
        all.put("first", Long.toString(from));
        return all;
    }

    private float[] pixels(long item) throws IOException {
        float[] pixels = new float[3 * pictures.height() * pictures.width()];
        pictures.pixels(item, pixels, 0);
        return pixels;
    }

    private static String digest(float[] pixels) {
        ByteBuffer bytes = ByteBuffer.allocate(pixels.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(pixels);
        return Sha256.hex(bytes.array());
    }

    /** The latents of one file, while they are made. */
    private final class Shard {
        final Path file;
        final long from, to;
        final List<Long> items = new ArrayList<>();
        final List<String> broken = new ArrayList<>();
        String firstPicture = "";

        Shard(Path file, long from, long to) {
            this.file = file;
            this.from = from;
            this.to = to;
        }

        void encode(ItemReader reader) throws IOException {
            int capacity = (int) (to - from);
            int kinds = header.hasVariance() ? 4 : 2;
            long itemBytes = (long) Float.BYTES * header.channels() * header.height() * header.width();
            requireSpace(folder, capacity * (kinds * itemBytes + 2 * Long.BYTES) + SPARE_BYTES);
            try (TensorScope scope = new TensorScope()) {
                Map<String, Tensor> latents = new LinkedHashMap<>();
                latents.put(LatentShard.MEAN, LatentShard.latents(header, capacity));
                latents.put(LatentShard.FLIPPED_MEAN, LatentShard.latents(header, capacity));
                if (header.hasVariance()) {
                    latents.put(LatentShard.LOG_VARIANCE, LatentShard.latents(header, capacity));
                    latents.put(LatentShard.FLIPPED_LOG_VARIANCE, LatentShard.latents(header, capacity));
                }
                fill(reader, latents);
                write(latents);
            }
        }

        /** The next batch is read while this one is encoded. */
        private void fill(ItemReader reader, Map<String, Tensor> latents) throws IOException {
            List<FutureTask<Item>> next = reader.start(from, Math.min(from + config.batchSize(), to));
            for (long at = from; at < to; at += config.batchSize()) {
                List<Item> batch = reader.await(next);
                long end = Math.min(at + config.batchSize(), to);
                next = reader.start(end, Math.min(end + config.batchSize(), to));
                add(batch, latents);
                done = end;
                listener.encoded(done, pictures.size(), numBroken);
            }
        }

        private void add(List<Item> batch, Map<String, Tensor> latents) {
            int row = items.size(), numPixels = 3 * pictures.height() * pictures.width(), count = 0;
            float[] pixels = new float[Math.multiplyExact(config.batchSize(), numPixels)];
            for (Item item : batch) {
                if (item.problem() != null) {
                    broken.add(item.problem());
                    numBroken++;
                    continue;
                }
                if (items.isEmpty()) firstPicture = digest(item.pixels());
                System.arraycopy(item.pixels(), 0, pixels, count++ * numPixels, numPixels);
                items.add(item.index());
            }
            if (count == 0) return;
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                Tensor images = Tensors.of(pixels, config.batchSize(), 3, pictures.height(), pictures.width());
                put(
                        codec.encode(images),
                        row,
                        count,
                        latents.get(LatentShard.MEAN),
                        latents.get(LatentShard.LOG_VARIANCE));
                put(
                        codec.encode(images.flip(3)),
                        row,
                        count,
                        latents.get(LatentShard.FLIPPED_MEAN),
                        latents.get(LatentShard.FLIPPED_LOG_VARIANCE));
            }
        }

        private void put(LatentDistribution distribution, int row, int count, Tensor mean, Tensor logVariance) {
            put(distribution.mean(), row, count, mean);
            if (logVariance != null) put(distribution.logVariance(), row, count, logVariance);
        }

        private void put(Tensor encoded, int row, int count, Tensor into) {
            Tensor wanted = encoded.narrow(0, 0, count);
            if (!wanted.isfinite().all().item_bool())
                throw new IllegalStateException(
                        "the autoencoder gives latents that are not finite for one of the pictures "
                                + items.get(row) + " … " + items.get(row + count - 1)
                                + " of the data set; encode in fp32, and check the autoencoder's file");
            into.narrow(0, row, count).copy_(wanted);
        }

        private void write(Map<String, Tensor> latents) throws IOException {
            long n = items.size();
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            latents.forEach((name, tensor) -> tensors.put(name, tensor.narrow(0, 0, n)));
            long[] labels = items.stream().mapToLong(pictures::label).toArray();
            tensors.put(LatentShard.LABELS, Tensors.of(labels, n));
            tensors.put(
                    LatentShard.ITEMS,
                    Tensors.of(items.stream().mapToLong(item -> item).toArray(), n));
            Map<String, String> description = job(from);
            description.put("firstPicture", firstPicture);
            LatentShard.write(file, header, description, broken, tensors);
        }
    }

    /** @throws IOException if a disk has less room than this */
    static void requireSpace(Path folder, long bytes) throws IOException {
        long free = Files.getFileStore(folder).getUsableSpace();
        if (free < bytes)
            throw new IOException(String.format(
                    Locale.ROOT,
                    "%s: the next shard needs %,d MB, the disk has %,d MB free; make room and start again, finished shards stay",
                    folder,
                    bytes / 1_000_000,
                    free / 1_000_000));
    }

    /** Least squares over pictures from the whole data set; none if these are too few, or too much alike. */
    private Optional<LinearRgb> fitted() throws IOException {
        try (LatentCache cache = LatentCache.open(folder)) {
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
}
