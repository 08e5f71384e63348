package org.dit4j.io;

import java.util.concurrent.Semaphore;

/**
 * What a picture file may ask for. Its pixels and what decoding takes of memory are known before any is decoded; all that decode at once
 * share half of Java's heap, and wait for each other.
 *
 * @param maxPixels of one picture
 */
public record PictureLimits(long maxPixels) {
    /** Pillow's limit against decompression bombs. */
    public static final long PILLOW_MAX_PIXELS = 89_478_485;

    private static final long UNIT = 1 << 20;
    private static final int UNITS =
            (int) Math.min(1 << 20, Math.max(16, Runtime.getRuntime().maxMemory() / UNIT / 2));
    private static final Semaphore FREE = new Semaphore(UNITS, true);

    /** @throws IllegalArgumentException if the limit is below one pixel, or more than an array holds */
    public PictureLimits {
        if (maxPixels < 1 || maxPixels > 500_000_000)
            throw new IllegalArgumentException("maxPixels " + maxPixels + " is outside 1 … 500000000");
    }

    /** Pillow's. */
    public static PictureLimits pillow() {
        return new PictureLimits(PILLOW_MAX_PIXELS);
    }

    /** @throws FormatException if there are no pixels, or more than the limit */
    void check(String name, long width, long height) throws FormatException {
        if (width < 1 || height < 1) throw new FormatException(name, "its size is " + width + "x" + height);
        if (width > Integer.MAX_VALUE / height || width * height > maxPixels)
            throw new FormatException(
                    name, width + "x" + height + " pixels are above the limit of " + maxPixels + " (--max-pixels)");
    }

    /** Memory that is spoken for until it is closed. */
    static final class Room implements AutoCloseable {
        private final int units;

        private Room(int units) {
            this.units = units;
        }

        @Override
        public void close() {
            FREE.release(units);
        }
    }

    /**
     * Waits until this much is free.
     *
     * @throws FormatException if it is never
     */
    Room room(String name, long bytes) throws FormatException {
        checkRoom(name, bytes);
        int units = (int) (bytes / UNIT) + 1;
        FREE.acquireUninterruptibly(units);
        return new Room(units);
    }

    static void checkRoom(String name, long bytes) throws FormatException {
        if (bytes / UNIT + 1 > UNITS)
            throw new FormatException(
                    name,
                    "takes " + (bytes / UNIT + 1) + " MiB to decode, above the limit of " + UNITS
                            + ", half of Java's heap; make it smaller, or give more: DIT_JAVA_OPTS=-Xmx8g dit ...");
    }
}
