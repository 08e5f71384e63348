package org.dit4j.jobs;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.FutureTask;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.data.Dataset;
import org.dit4j.eval.PictureSource;
import org.dit4j.io.Images;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** A data set's pictures for a feature network: read on several threads, one batch ahead. Closing it leaves the data set open. */
public final class DatasetPictures implements PictureSource {
    private final Dataset pictures;
    private final long size;
    private final ItemReader reader;
    private long aheadFrom = -1;
    private List<FutureTask<ItemReader.Item>> ahead = List.of();

    /**
     * The first {@code size} pictures of a data set.
     *
     * @param numWorkers threads; 0 reads on the thread that asks
     * @throws IllegalArgumentException if these are no pictures, or not so many
     */
    public DatasetPictures(Dataset pictures, long size, int numWorkers) {
        if (pictures.latents().isPresent() || pictures.channels() != 1 && pictures.channels() != 3)
            throw new IllegalArgumentException(pictures.describe()
                    + ": no pictures; latents are decoded by the autoencoder that made them (--vae)");
        if (size < 1 || size > pictures.size() || size == Dataset.ENDLESS)
            throw new IllegalArgumentException(size + " pictures of " + pictures.describe());
        this.pictures = pictures;
        this.size = size;
        reader = new ItemReader(pictures, numWorkers, false);
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public Tensor read(long from, int count) throws IOException {
        List<FutureTask<ItemReader.Item>> tasks =
                aheadFrom == from && ahead.size() == count ? ahead : reader.start(from, from + count);
        aheadFrom = from + count;
        ahead = aheadFrom < size ? reader.start(aheadFrom, Math.min(size, aheadFrom + count)) : List.of();
        List<ItemReader.Item> items = reader.await(tasks);
        int length = pictures.channels() * pictures.height() * pictures.width();
        float[] pixels = new float[Math.multiplyExact(count, length)];
        for (int i = 0; i < count; i++) System.arraycopy(items.get(i).pixels(), 0, pixels, i * length, length);
        return TensorScope.local(() -> Images.toLevels(
                        Tensors.of(pixels, count, pictures.channels(), pictures.height(), pictures.width()))
                .contiguous());
    }

    @Override
    public String digest() throws IOException {
        return pictures.fingerprint().digest();
    }

    @Override
    public String describe() {
        return pictures.describe();
    }

    @Override
    public void close() {
        reader.close();
    }
}
