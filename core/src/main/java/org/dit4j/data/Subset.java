package org.dit4j.data;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * Some items of a data set: those that are held out of training, or the others. Which are held out depends on the data set's size and a
 * seed alone. The data set stays its owner's to close, but for what {@link Datasets#validation} opens.
 */
public final class Subset implements Dataset {
    /** Where an endless data set's held-out items begin: no training gets there. */
    private static final long FAR = 1L << 62;

    private final Dataset all;
    /** Of a finite data set; sorted in {@link #others}. */
    private final long[] heldOut;

    private final boolean others;
    private final String description;

    private final boolean ownsAll;

    private Subset(Dataset all, long[] heldOut, boolean others, String description) {
        this(all, heldOut, others, description, false);
    }

    private Subset(Dataset all, long[] heldOut, boolean others, String description, boolean ownsAll) {
        this.ownsAll = ownsAll;
        this.all = all;
        this.heldOut = heldOut;
        this.others = others;
        this.description = description;
    }

    /**
     * {@code count} items at random, in random order; of an endless data set {@code count} consecutive ones, so far on that training does
     * not visit them.
     *
     * @throws IllegalArgumentException if {@code count} is below 1, or there are not as many
     */
    public static Subset heldOut(Dataset all, int count, long seed) {
        if (count < 1 || count > all.size())
            throw new IllegalArgumentException("cannot hold out " + count + " items of " + all.size()
                    + "; at least 1, and not more than there are");
        String description = count + " held out of " + all.describe();
        return new Subset(all, chosen(all, count, seed), false, description);
    }

    /**
     * All but the items that {@link #heldOut} gives for the same count and seed, in the data set's order; an endless data set itself.
     *
     * @throws IllegalArgumentException if {@code count} is below 1, or none would be left
     */
    public static Dataset others(Dataset all, int count, long seed) {
        if (count < 1 || count >= all.size())
            throw new IllegalArgumentException("cannot hold out " + count + " of " + all.size()
                    + " items and train on the others; at least 1, and fewer than there are");
        if (all.size() == ENDLESS) return all;
        long[] sorted = chosen(all, count, seed);
        Arrays.sort(sorted);
        return new Subset(all, sorted, true, all.describe() + "; " + count + " held out by seed " + seed);
    }

    /** The same items; closing them closes the whole data set. */
    Subset closingAll() {
        return new Subset(all, heldOut, others, description, true);
    }

    private static long[] chosen(Dataset all, int count, long seed) {
        long[] chosen = new long[count];
        // another seed than the training's, or the order of training would begin as the choice does
        EpochOrder order = EpochOrder.of(all, ~seed);
        Arrays.setAll(chosen, i -> all.size() == ENDLESS ? FAR + i : order.index(i));
        return chosen;
    }

    /** The number that an item has in the whole data set. */
    public long index(long item) {
        Objects.checkIndex(item, size());
        if (!others) return heldOut[(int) item];
        // the smallest index that has item + 1 others up to it: first how many held-out ones stand before it
        int low = 0, high = heldOut.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (heldOut[middle] - middle <= item) low = middle + 1;
            else high = middle;
        }
        return item + low;
    }

    @Override
    public long size() {
        return others ? all.size() - heldOut.length : heldOut.length;
    }

    @Override
    public int channels() {
        return all.channels();
    }

    @Override
    public int height() {
        return all.height();
    }

    @Override
    public int width() {
        return all.width();
    }

    @Override
    public List<String> classNames() {
        return all.classNames();
    }

    @Override
    public Optional<LatentsHeader> latents() {
        return all.latents();
    }

    @Override
    public Optional<List<Double>> linearRgb() {
        return all.linearRgb();
    }

    @Override
    public List<String> brokenPictures() {
        return all.brokenPictures();
    }

    @Override
    public void check() throws IOException {
        if (others) all.check();
        else all.check(heldOut);
    }

    @Override
    public int label(long item) {
        return all.label(index(item));
    }

    @Override
    public void pixels(long item, float[] out, int offset) throws IOException {
        all.pixels(index(item), out, offset);
    }

    @Override
    public void sample(long seed, long sample, long item, boolean flip, float[] out, int offset) throws IOException {
        all.sample(seed, sample, index(item), flip, out, offset);
    }

    @Override
    public String describe() {
        return description;
    }

    /** That of the whole data set, and which part of it this is. */
    @Override
    public Fingerprint fingerprint() throws IOException {
        Fingerprint whole = all.fingerprint();
        return new Fingerprint(of(whole.digest()), of(whole.stamp()));
    }

    @Override
    public String stamp() throws IOException {
        return of(all.stamp());
    }

    private String of(String whole) {
        FingerprintInput input = new FingerprintInput(others ? "others" : "held out", this).add(whole);
        for (long index : heldOut) input.add(index);
        return input.hex();
    }

    @Override
    public void close() throws IOException {
        if (ownsAll) all.close();
    }
}
