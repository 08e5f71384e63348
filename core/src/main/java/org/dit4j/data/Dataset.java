package org.dit4j.data;

import java.io.IOException;
import java.util.List;

/**
 * Pictures with class labels, by number. Labels and pixels are pure functions of the index, and every method may be called from several
 * threads at once.
 */
public interface Dataset extends AutoCloseable {
    /** The {@link #size} of a data set that has an item for every index from 0 on. */
    long ENDLESS = Long.MAX_VALUE;

    /** How many items there are, or {@link #ENDLESS}. */
    long size();

    /** 1 (grey) or 3 (red, green, blue). */
    int channels();

    int height();

    int width();

    /** One name per class; a label is an index into this list. */
    List<String> classNames();

    /**
     * The class of an item.
     *
     * @throws IndexOutOfBoundsException if {@code index} is outside 0 … size − 1
     */
    int label(long index);

    /**
     * Writes an item as (C, H, W) into {@code out} from {@code offset} on: a byte x becomes x / 127.5 − 1, in [−1, 1].
     *
     * @throws IOException if the item cannot be read; the message names the file and what to do
     * @throws IndexOutOfBoundsException if {@code index} is outside 0 … size − 1, or {@code out} has no room
     */
    void pixels(long index, float[] out, int offset) throws IOException;

    /** What this is, on one line, for logs. */
    String describe();

    /** Closes the files that stay open between reads, where there are any. */
    @Override
    default void close() throws IOException {}
}
