package org.dit4j.data;

import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * Pictures, or their latents, with class labels, by number. Labels and pixels are pure functions of the index, and every method may be called
 * from several threads at once.
 */
public interface Dataset extends AutoCloseable {
    /** The {@link #size} of a data set that has an item for every index from 0 on. */
    long ENDLESS = Long.MAX_VALUE;

    /** How many items there are, or {@link #ENDLESS}. */
    long size();

    /** 1 (grey), 3 (red, green, blue), or those of the latents. */
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
     * Writes an item as (C, H, W) into {@code out} from {@code offset} on: a byte x becomes x / 127.5 − 1, in [−1, 1]; of latents it is the
     * mean, scaled.
     *
     * @throws IOException if the item cannot be read; the message names the file and what to do
     * @throws IndexOutOfBoundsException if {@code index} is outside 0 … size − 1, or {@code out} has no room
     */
    void pixels(long index, float[] out, int offset) throws IOException;

    /**
     * Writes what training sees of an item when it is the sample numbered {@code sample}: a function of the arguments alone. Here the
     * pixels; a data set whose items are distributions draws from them.
     *
     * @param seed of the run
     * @param flip whether the sample is mirrored left to right
     * @throws IOException as {@link #pixels}
     * @throws IndexOutOfBoundsException as {@link #pixels}
     */
    default void sample(long seed, long sample, long index, boolean flip, float[] out, int offset) throws IOException {
        pixels(index, out, offset);
        if (flip) mirror(out, offset);
    }

    private void mirror(float[] out, int offset) {
        int width = width(), end = offset + channels() * height() * width;
        for (int line = offset; line < end; line += width) {
            for (int left = line, right = line + width - 1; left < right; left++, right--) {
                float value = out[left];
                out[left] = out[right];
                out[right] = value;
            }
        }
    }

    /** What the items are, if they are latents and not pictures. */
    default Optional<LatentsHeader> latents() {
        return Optional.empty();
    }

    /** The coefficients of a projection of these latents to colours, 3 rows of one per channel and a constant, if there is one. */
    default Optional<List<Double>> linearRgb() {
        return Optional.empty();
    }

    /** What is wrong with each picture that could not be read and was left out so far; empty where broken ones are errors. */
    default List<String> brokenPictures() {
        return List.of();
    }

    /**
     * Looks at all items as far as that is quickly done, and finds what would otherwise end a run after hours: of picture files it reads the
     * headers.
     *
     * @throws IOException with all problems, a line for each; where broken items are skipped, they are noted instead
     */
    default void check() throws IOException {}

    /** As {@link #check()}, of some items; here of all. */
    default void check(long[] items) throws IOException {
        check();
    }

    /** What this is, on one line, for logs; the same in every locale. */
    String describe();

    /**
     * What tells these data apart from others, for the identity of runs. Its digest depends on all that changes what a network is trained on
     * (names of classes, image size, channels, each item's name, class, length and content), and on nothing else: not on where the data
     * are, on files that are no items, on the order in which a folder lists them, on time stamps or the locale.
     *
     * <p>The data sets of this package read of each file no more than the first and last 4 KiB; of zip files they take what the directory
     * says, of tar files what the headers say, where a content is known by its name, length and time alone. It is done once and kept.
     *
     * <p>Here, for data sets of others, it is of {@link #describe}, {@link #size}, the shape and {@link #classNames}: a data set of which
     * these do not change with its content has a fingerprint of its own.
     *
     * @throws IOException if a file cannot be read
     */
    default Fingerprint fingerprint() throws IOException {
        return new Fingerprint(
                new FingerprintInput("other", this).add(describe()).hex(), stamp());
    }

    /** The recorded fingerprint if its stamp is still that of these data, which reads no content; else a new one. */
    default Fingerprint fingerprint(Optional<Fingerprint> recorded) throws IOException {
        return recorded.isPresent() && recorded.get().stamp().equals(stamp()) ? recorded.get() : fingerprint();
    }

    /**
     * A text that is equal if nobody has touched the data, so that the {@link Fingerprint} that was recorded with it still holds. It reads no
     * content: of files it takes names, lengths and time stamps. Data that are equal but lie elsewhere have another one. Here it depends on
     * what {@link #fingerprint} depends on.
     *
     * @throws IOException if a file is not there any more
     */
    default String stamp() throws IOException {
        return new FingerprintInput("other", this).add(describe()).hex();
    }

    /** Closes the files that stay open between reads, where there are any. */
    @Override
    default void close() throws IOException {}
}
