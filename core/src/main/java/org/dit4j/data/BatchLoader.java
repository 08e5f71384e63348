package org.dit4j.data;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.FutureTask;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.Tensors;

/**
 * Reads ahead: threads fill the next few batches while the device works on this one. Which samples a batch holds, and every byte of it,
 * depend on the configuration alone, never on the number of threads. For one consumer thread.
 */
public final class BatchLoader implements AutoCloseable {
    static {
        Backend.configure();
    }

    private static final int BATCHES_AHEAD = 3;

    private final Dataset dataset;
    private final LoaderConfig config;
    private final EpochOrder order;
    private final int imageSize;
    private final Readers readers;
    private final ArrayDeque<HostBatch> ahead = new ArrayDeque<>();
    private long nextSample;

    /** Begins to read at once. The data set stays the caller's to close, after this. */
    public BatchLoader(Dataset dataset, LoaderConfig config) {
        this.dataset = dataset;
        this.config = config;
        order = EpochOrder.of(dataset, config.seed());
        imageSize = Math.multiplyExact(dataset.channels(), Math.multiplyExact(dataset.height(), dataset.width()));
        nextSample = Math.addExact(config.firstSample(), (long) config.rank() * config.batchSize());
        readers = new Readers(config.numWorkers(), "dit4j-loader");
        for (int i = 0; i < BATCHES_AHEAD; i++) ahead.add(new HostBatch().startReading());
    }

    /**
     * The next batch, as soon as it is read. Its tensor is made on this thread and belongs to the scope that is open here, or to the caller
     * where there is none.
     *
     * @throws IOException if an item cannot be read, or, as {@link InterruptedIOException}, if this thread is interrupted while it waits
     * @throws IllegalStateException if the loader is closed
     */
    public Batch next() throws IOException {
        if (readers.isClosed()) throw new IllegalStateException("this loader is closed");
        HostBatch batch = ahead.element();
        batch.await();
        ahead.remove();
        Tensor images =
                Tensors.of(batch.pixels, config.batchSize(), dataset.channels(), dataset.height(), dataset.width());
        Batch result = new Batch(images, batch.labels.clone(), batch.firstSample);
        ahead.add(batch.startReading()); // its arrays serve again
        return result;
    }

    /** Stops the threads and waits for the items that they are reading. */
    @Override
    public void close() {
        readers.close();
    }

    /** A batch in Java's memory, read in pieces so that several threads work on one batch and the first is there soon. */
    private final class HostBatch {
        final float[] pixels = new float[Math.multiplyExact(imageSize, config.batchSize())];
        final long[] labels = new long[config.batchSize()];
        final List<FutureTask<Void>> pieces = new ArrayList<>();
        long firstSample;

        HostBatch startReading() {
            firstSample = nextSample;
            nextSample = Math.addExact(nextSample, (long) config.batchSize() * config.numRanks());
            pieces.clear();
            int rows = config.batchSize(), count = Math.max(1, config.numWorkers());
            int perPiece = (rows + count - 1) / count;
            for (int row = 0; row < rows; row += perPiece) pieces.add(piece(row, Math.min(rows, row + perPiece)));
            readers.start(pieces);
            return this;
        }

        private FutureTask<Void> piece(int from, int to) {
            return new FutureTask<>(() -> {
                for (int row = from; row < to && !readers.isClosed(); row++) read(row);
                return null;
            });
        }

        private void read(int row) throws IOException {
            long sample = firstSample + row, item = order.index(sample);
            labels[row] = dataset.label(item);
            boolean flip = config.flip() && Noise.below(2, config.seed(), Purpose.FLIP, sample) == 1;
            dataset.sample(config.seed(), sample, item, flip, pixels, row * imageSize);
        }

        void await() throws IOException {
            for (FutureTask<Void> piece : pieces)
                try {
                    readers.await(piece);
                } catch (InterruptedIOException e) {
                    throw e;
                } catch (IOException e) {
                    throw new IOException(
                            e.getMessage(), e); // as often as it is asked for, of the consumer's own stack
                }
        }
    }
}
