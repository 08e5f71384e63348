package org.dit4j.train;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.dit4j.data.Dataset;
import org.dit4j.io.FormatException;

/** Reads a data set in its own order, on several threads. For one consumer thread. */
final class ItemReader implements AutoCloseable {
    /**
     * An item, or what is wrong with it.
     *
     * @param pixels null if the item is broken
     * @param problem null if it is not
     */
    record Item(long index, float[] pixels, String problem) {}

    private final Dataset dataset;
    private final boolean skipBroken;
    /** Null where the consumer reads itself. */
    private final ExecutorService workers;

    private volatile boolean closed;

    ItemReader(Dataset dataset, int numWorkers, boolean skipBroken) {
        this.dataset = dataset;
        this.skipBroken = skipBroken;
        workers = numWorkers == 0 ? null : Executors.newFixedThreadPool(numWorkers, ItemReader::worker);
    }

    private static Thread worker(Runnable task) {
        Thread thread = new Thread(task, "dit4j-encode-reader");
        thread.setDaemon(true);
        return thread;
    }

    /** Begins to read the items from … to − 1, for {@link #await}. */
    List<FutureTask<Item>> start(long from, long to) {
        List<FutureTask<Item>> items = new ArrayList<>();
        for (long index = from; index < to; index++) {
            long wanted = index;
            items.add(new FutureTask<>(() -> read(wanted)));
        }
        if (workers != null) items.forEach(workers::execute);
        return items;
    }

    private Item read(long index) throws IOException {
        if (closed) return null;
        float[] pixels = new float[dataset.channels() * dataset.height() * dataset.width()];
        try {
            dataset.pixels(index, pixels, 0);
            return new Item(index, pixels, null);
        } catch (FormatException e) {
            if (!skipBroken) throw e;
            return new Item(index, null, e.getMessage());
        }
    }

    /**
     * The items, in order.
     *
     * @throws IOException if one cannot be read, and is not skipped
     */
    List<Item> await(List<FutureTask<Item>> started) throws IOException {
        List<Item> items = new ArrayList<>();
        for (FutureTask<Item> task : started) {
            if (workers == null) task.run();
            try {
                items.add(task.get());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted while waiting for pictures");
            } catch (ExecutionException e) {
                if (e.getCause() instanceof IOException problem) throw problem;
                if (e.getCause() instanceof Error error) throw error;
                throw new IllegalStateException("a reading thread failed: " + e.getCause(), e.getCause());
            }
        }
        return items;
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
}
