package org.dit4j.io;

import java.util.Arrays;

/** One colour of a JPEG: how it is sampled, its coefficients where they come in several scans, and its samples. */
final class JpegComponent {
    final int id, across, down, tableIndex;
    /** What it has of samples, and of blocks that hold them. */
    final int width, height, blocksWide, blocksHigh;
    /** Blocks that there is room for: those of whole MCUs. */
    final int roomWide, roomHigh;
    /** Steps of the coefficients, in rows; null until its first scan. */
    int[] quant;

    int predicted;
    /** 64 for each block that there is room for, in rows; null where blocks become samples at once. */
    short[] coefficients;
    /** Row by row, {@link #stride} bytes each. */
    byte[] samples;

    /** By coefficient, in the order of the zigzag: how many of its low bits are still to come, −1 for all. */
    final int[] bitsLeft = new int[64];

    /**
     * @param across its share of {@code maxAcross} samples side by side, {@code down} of {@code maxDown} one below another
     */
    JpegComponent(int id, int across, int down, int tableIndex, int maxAcross, int maxDown, int width, int height) {
        this.id = id;
        this.across = across;
        this.down = down;
        this.tableIndex = tableIndex;
        this.width = ceil(width * across, maxAcross);
        this.height = ceil(height * down, maxDown);
        blocksWide = ceil(this.width, 8);
        blocksHigh = ceil(this.height, 8);
        roomWide = ceil(width, 8 * maxAcross) * across;
        roomHigh = ceil(height, 8 * maxDown) * down;
        Arrays.fill(bitsLeft, -1);
    }

    private static int ceil(int number, int by) {
        return (number + by - 1) / by;
    }

    int stride() {
        return 8 * roomWide;
    }

    long numSamples() {
        return 64L * roomWide * roomHigh;
    }
}
