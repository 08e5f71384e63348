package org.dit4j.jobs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.eval.FeatureNetwork;
import org.dit4j.eval.FeatureSet;
import org.dit4j.eval.FeatureSpace;
import org.dit4j.eval.PictureSource;
import org.dit4j.eval.Tap;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The job that makes a {@link FeatureSet} of pictures. Every batch has the same number of rows, filled up with the last picture, so that
 * the features of a picture do not depend on the size of the shards or where the job was stopped.
 */
public final class FeatureExtraction implements ShardJob {
    private static final int SHARD_SIZE = 1024;
    private static final long SPARE_BYTES = 1 << 16;

    private final PictureSource pictures;
    private final FeatureNetwork network;
    private final int rows;
    private final FeatureSet.Origin origin;
    private final Map<Tap, Long> widths;

    /**
     * @param pictures stay the caller's
     * @param network stays the caller's
     * @param rows pictures that go through the network at once; the last bits depend on it
     * @throws IllegalArgumentException if rows is not 1 to 1024
     */
    public FeatureExtraction(PictureSource pictures, FeatureNetwork network, int rows) throws IOException {
        if (rows < 1 || rows > SHARD_SIZE)
            throw new IllegalArgumentException("batch size " + rows + " is outside 1 … " + SHARD_SIZE);
        this.pictures = pictures;
        this.network = network;
        this.rows = rows;
        origin = new FeatureSet.Origin(network.space(), pictures.digest(), pictures.describe(), rows, pictures.size());
        widths = new EnumMap<>(Tap.class);
        try (TensorScope scope = new TensorScope()) {
            network.features(pictures.read(0, 1)).forEach((tap, features) -> widths.put(tap, features.size(1)));
        }
    }

    @Override
    public long numItems() {
        return pictures.size();
    }

    /** Whole batches. */
    @Override
    public int shardSize() {
        return SHARD_SIZE / rows * rows;
    }

    @Override
    public String fileName(int number) {
        return String.format(Locale.ROOT, "features-%05d.safetensors", number);
    }

    @Override
    public String indexName() {
        return FeatureSet.INDEX;
    }

    @Override
    public long maxBytes(Shard shard) {
        long width = widths.values().stream().mapToLong(Long::longValue).sum();
        return shard.size() * width * Float.BYTES + SPARE_BYTES;
    }

    private Map<String, String> description(Shard shard) {
        FeatureSpace space = origin.space();
        Map<String, String> description = new LinkedHashMap<>();
        description.put("network", space.network());
        description.put("preprocessing", space.preprocessing());
        description.put("weights", space.weights());
        description.put("precision", space.precision());
        description.put("pictures", origin.source());
        description.put("rows", Integer.toString(rows));
        description.put("first", Long.toString(shard.first()));
        description.put("count", Long.toString(shard.size()));
        return description;
    }

    @Override
    public OptionalLong finished(Shard shard) throws IOException {
        if (!Files.exists(shard.file())) return OptionalLong.empty();
        Map<String, String> found;
        try {
            found = Safetensors.header(shard.file()).metadata();
        } catch (FormatException e) {
            return OptionalLong.empty(); // damaged: written again
        }
        description(shard).forEach((name, value) -> shard.requireSame(name, value, found.get(name)));
        return OptionalLong.of(0);
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalStateException if the network gives numbers that are not finite
     */
    @Override
    public long write(Shard shard, Progress progress) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> all = new LinkedHashMap<>();
            widths.forEach((tap, width) -> all.put(tap.key(), Tensors.empty(ScalarType.Float, shard.size(), width)));
            for (long from = shard.first(); from < shard.end(); from += rows) {
                int count = (int) Math.min(rows, shard.end() - from);
                try (TensorScope batch = new TensorScope()) {
                    Map<Tap, Tensor> features = network.features(filled(pictures.read(from, count)));
                    for (Map.Entry<Tap, Tensor> entry : features.entrySet())
                        all.get(entry.getKey().key())
                                .narrow(0, from - shard.first(), count)
                                .copy_(entry.getValue().narrow(0, 0, count));
                }
                progress.advanced(from + count - shard.first(), 0);
            }
            for (Map.Entry<String, Tensor> entry : all.entrySet())
                if (!entry.getValue().isfinite().all().item_bool())
                    throw new IllegalStateException(
                            "the network " + origin.space().network()
                                    + " gives features that are no numbers; check its weights, or take fp32");
            Safetensors.write(shard.file(), all, description(shard));
            return 0;
        }
    }

    private Tensor filled(Tensor batch) {
        long missing = rows - batch.size(0);
        if (missing == 0) return batch;
        Tensor last =
                batch.narrow(0, batch.size(0) - 1, 1).expand(missing, batch.size(1), batch.size(2), batch.size(3));
        return Tensors.cat(0, batch, last);
    }

    @Override
    public void writeIndex(Path folder, List<Shard> shards) throws IOException {
        List<String> files = shards.stream()
                .map(shard -> shard.file().getFileName().toString())
                .toList();
        FeatureSet.writeIndex(folder, origin, files);
    }
}
