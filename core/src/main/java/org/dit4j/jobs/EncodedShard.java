package org.dit4j.jobs;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.FutureTask;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.data.Dataset;
import org.dit4j.data.LatentShard;
import org.dit4j.data.LatentsHeader;
import org.dit4j.io.Sha256;
import org.dit4j.jobs.ItemReader.Item;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentDistribution;

/** The latents of one shard, while they are made; within the caller's {@link TensorScope}. */
final class EncodedShard {
    static {
        Backend.configure();
    }

    /** What the metadata call {@link #digest} of the first picture. */
    static final String FIRST_PICTURE = "firstPicture";

    private final Dataset pictures;
    private final LatentCodec codec;
    private final LatentsHeader header;
    private final EncodeConfig config;
    private final Shard shard;
    private final Map<String, Tensor> latents = new LinkedHashMap<>();
    private final List<Long> items = new ArrayList<>();
    private final List<String> broken = new ArrayList<>();
    /** Pixels of the first whole picture, by which a later start knows the data set again. */
    private float[] firstPicture;

    EncodedShard(Dataset pictures, LatentCodec codec, LatentsHeader header, EncodeConfig config, Shard shard) {
        this.pictures = pictures;
        this.codec = codec;
        this.header = header;
        this.config = config;
        this.shard = shard;
        for (String name : tensors(header))
            latents.put(name, LatentShard.latents(header, Math.toIntExact(shard.size())));
    }

    /** The tensors of a shard that hold latents, in the order in which they are written. */
    static List<String> tensors(LatentsHeader header) {
        return header.hasVariance()
                ? List.of(
                        LatentShard.MEAN,
                        LatentShard.FLIPPED_MEAN,
                        LatentShard.LOG_VARIANCE,
                        LatentShard.FLIPPED_LOG_VARIANCE)
                : List.of(LatentShard.MEAN, LatentShard.FLIPPED_MEAN);
    }

    /** Of a picture. */
    static String digest(float[] pixels) {
        ByteBuffer bytes = ByteBuffer.allocate(pixels.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(pixels);
        return Sha256.hex(bytes.array());
    }

    /** The next batch is read while this one is encoded. */
    void fill(Progress progress) throws IOException {
        try (ItemReader reader = new ItemReader(pictures, config.numWorkers(), config.skipBroken())) {
            List<FutureTask<Item>> next = reader.start(shard.first(), end(shard.first()));
            for (long at = shard.first(); at < shard.end(); at = end(at)) {
                List<Item> batch = reader.await(next);
                next = reader.start(end(at), end(end(at)));
                add(batch);
                progress.advanced(end(at) - shard.first(), broken.size());
            }
        }
    }

    /** Of the batch that begins there. */
    private long end(long batch) {
        return Math.min(batch + config.batchSize(), shard.end());
    }

    private void add(List<Item> batch) {
        int row = items.size(), numPixels = 3 * pictures.height() * pictures.width(), count = 0;
        float[] pixels = new float[Math.multiplyExact(config.batchSize(), numPixels)];
        for (Item item : batch) {
            if (item.problem() != null) {
                broken.add(item.problem());
                continue;
            }
            if (firstPicture == null) firstPicture = item.pixels();
            System.arraycopy(item.pixels(), 0, pixels, count++ * numPixels, numPixels);
            items.add(item.index());
        }
        if (count == 0) return;
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor images = Tensors.of(pixels, config.batchSize(), 3, pictures.height(), pictures.width());
            put(codec.encode(images), row, count, LatentShard.MEAN, LatentShard.LOG_VARIANCE);
            put(codec.encode(images.flip(3)), row, count, LatentShard.FLIPPED_MEAN, LatentShard.FLIPPED_LOG_VARIANCE);
        }
    }

    private void put(LatentDistribution distribution, int row, int count, String mean, String logVariance) {
        put(distribution.mean(), row, count, mean);
        if (header.hasVariance()) put(distribution.logVariance(), row, count, logVariance);
    }

    private void put(Tensor encoded, int row, int count, String name) {
        Tensor wanted = encoded.narrow(0, 0, count);
        if (!wanted.isfinite().all().item_bool())
            throw new IllegalStateException("the autoencoder gives latents that are not finite for one of the pictures "
                    + items.get(row) + " … " + items.get(row + count - 1)
                    + " of the data set; encode in fp32, and check the autoencoder's file");
        latents.get(name).narrow(0, row, count).copy_(wanted);
    }

    /** What {@link #fill} left out. */
    int numBroken() {
        return broken.size();
    }

    /** @param job what the bytes depend on beside the header and the pictures */
    void write(Map<String, String> job) throws IOException {
        long n = items.size();
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        latents.forEach((name, tensor) -> tensors.put(name, tensor.narrow(0, 0, n)));
        tensors.put(
                LatentShard.LABELS,
                Tensors.of(items.stream().mapToLong(pictures::label).toArray(), n));
        tensors.put(
                LatentShard.ITEMS,
                Tensors.of(items.stream().mapToLong(item -> item).toArray(), n));
        Map<String, String> description = new LinkedHashMap<>(job);
        description.put(FIRST_PICTURE, firstPicture == null ? "" : digest(firstPicture));
        LatentShard.write(shard.file(), header, description, broken, tensors);
    }
}
