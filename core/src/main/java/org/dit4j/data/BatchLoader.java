package org.dit4j.data;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
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
    /** Null where the consumer reads itself. */
    private final ExecutorService workers;

    private final ArrayDeque<HostBatch> ahead = new ArrayDeque<>();
    private long nextSample;
    private volatile boolean closed;

    /** Begins to read at once. The data set stays the caller's to close, after this. */
    public BatchLoader(Dataset dataset, LoaderConfig config) {
        this.dataset = dataset;
        this.config = config;
        order = EpochOrder.of(dataset, config.seed());
        imageSize = Math.multiplyExact(dataset.channels(), Math.multiplyExact(dataset.height(), dataset.width()));
        nextSample = Math.addExact(config.firstSample(), (long) config.rank() * config.batchSize());
        workers = config.numWorkers() == 0
                ? null
                : Executors.newFixedThreadPool(config.numWorkers(), BatchLoader::worker);
        for (int i = 0; i < BATCHES_AHEAD; i++) ahead.add(new HostBatch().startReading());
    }

    private static Thread worker(Runnable task) {
        Thread thread = new Thread(task, "dit4j-loader");
        thread.setDaemon(true); // a program that forgets to close a loader still ends
        return thread;
    }

    /**
     * The next batch, as soon as it is read. Its tensor is made on this thread and belongs to the scope that is open here, or to the caller
     * where there is none.
     *
     * @throws IOException if an item cannot be read, or, as {@link InterruptedIOException}, if this thread is interrupted while it waits
     * @throws IllegalStateException if the loader is closed
     */
    public Batch next() throws IOException {
        if (closed) throw new IllegalStateException("this loader is closed");
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
        closed = true;
        if (workers == null) return;
        // No interrupts: they would close the channel of a zip file under its other readers.
        workers.shutdown();
        try {
            workers.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
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
            int rows = config.batchSize(), readers = Math.max(1, config.numWorkers());
            int perPiece = (rows + readers - 1) / readers;
            for (int row = 0; row < rows; row += perPiece) pieces.add(piece(row, Math.min(rows, row + perPiece)));
            if (workers != null) pieces.forEach(workers::execute);
            return this;
        }

        private FutureTask<Void> piece(int from, int to) {
            return new FutureTask<>(() -> {
                for (int row = from; row < to && !closed; row++) read(row);
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
            for (FutureTask<Void> piece : pieces) {
                if (workers == null) piece.run();
                try {
                    piece.get();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new InterruptedIOException("interrupted while waiting for a batch");
                } catch (ExecutionException e) {
                    throw rethrown(e.getCause());
                }
            }
        }
    }

    /** What a worker threw, as the consumer's exception of the same kind, with the worker's as its cause. */
    private static IOException rethrown(Throwable thrown) {
        if (thrown instanceof Error error) throw error;
        if (thrown instanceof IOException) return new IOException(thrown.getMessage(), thrown);
        throw new IllegalStateException("a loader thread failed: " + thrown, thrown);
    }
}
