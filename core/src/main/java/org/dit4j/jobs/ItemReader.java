package org.dit4j.jobs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.FutureTask;
import org.dit4j.data.Dataset;
import org.dit4j.data.Readers;
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
    private final Readers readers;

    ItemReader(Dataset dataset, int numWorkers, boolean skipBroken) {
        this.dataset = dataset;
        this.skipBroken = skipBroken;
        readers = new Readers(numWorkers, "dit4j-encode-reader");
    }

    /** Begins to read the items from … to − 1, for {@link #await}. */
    List<FutureTask<Item>> start(long from, long to) {
        List<FutureTask<Item>> items = new ArrayList<>();
        for (long index = from; index < to; index++) {
            long wanted = index;
            items.add(new FutureTask<>(() -> read(wanted)));
        }
        readers.start(items);
        return items;
    }

    private Item read(long index) throws IOException {
        if (readers.isClosed()) return null;
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
        for (FutureTask<Item> task : started) items.add(readers.await(task));
        return items;
    }

    /** Stops the threads and waits for the items that they are reading. */
    @Override
    public void close() {
        readers.close();
    }
}
