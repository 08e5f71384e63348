package org.dit4j.io;

/** The levels of luma or of a chroma of a lossy WebP, in whole macroblocks, with a border that prediction reads. */
final class WebpPlane {
    /** Of the border: one above, one to the left, and to the right what the last blocks look at. */
    final int stride;

    final int origin;
    final byte[] levels;

    WebpPlane(int width, int height) {
        stride = width + 8;
        origin = stride + 4;
        levels = new byte[(height + 1) * stride + 8];
        for (int i = 0; i < stride; i++) levels[i] = 127;
        for (int y = 0; y < height; y++) levels[origin + y * stride - 1] = (byte) 129;
    }

    int at(int x, int y) {
        return origin + y * stride + x;
    }

    int get(int at) {
        return levels[at] & 255;
    }

    void add(int at, int difference) {
        levels[at] = (byte) clamp((levels[at] & 255) + difference);
    }

    static int clamp(int x) {
        return (x & ~255) == 0 ? x : x < 0 ? 0 : 255;
    }
}
