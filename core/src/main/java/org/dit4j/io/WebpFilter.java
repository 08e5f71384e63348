package org.dit4j.io;

/** VP8's smoothing of the edges of blocks (RFC 6386, section 15). */
final class WebpFilter {
    private final WebpPlane plane;
    private final byte[] p;

    WebpFilter(WebpPlane plane) {
        this.plane = plane;
        p = plane.levels;
    }

    /**
     * An edge of {@code size} levels.
     *
     * @param across from one level to the next across the edge; {@code along}, along it
     * @param inner whether it is one between the 4 by 4 blocks of a macroblock
     */
    void edge(int at, int across, int along, int size, int limit, int interior, int variance, boolean inner) {
        int twice = 2 * limit + 1;
        for (int i = 0, q = at; i < size; i++, q += along) {
            if (!needed(q, across, twice, interior)) continue;
            if (isVaried(q, across, variance)) two(q, across);
            else if (inner) four(q, across);
            else six(q, across);
        }
    }

    /** As {@link #edge}, of the simple filter. */
    void simple(int at, int across, int along, int limit) {
        int twice = 2 * limit + 1;
        for (int i = 0, q = at; i < 16; i++, q += along) if (isStep(q, across, twice)) two(q, across);
    }

    private int get(int at) {
        return p[at] & 255;
    }

    private boolean isStep(int q, int s, int limit) {
        return 4 * Math.abs(get(q - s) - get(q)) + Math.abs(get(q - 2 * s) - get(q + s)) <= limit;
    }

    private boolean needed(int q, int s, int limit, int interior) {
        return isStep(q, s, limit)
                && Math.abs(get(q - 4 * s) - get(q - 3 * s)) <= interior
                && Math.abs(get(q - 3 * s) - get(q - 2 * s)) <= interior
                && Math.abs(get(q - 2 * s) - get(q - s)) <= interior
                && Math.abs(get(q + 3 * s) - get(q + 2 * s)) <= interior
                && Math.abs(get(q + 2 * s) - get(q + s)) <= interior
                && Math.abs(get(q + s) - get(q)) <= interior;
    }

    private boolean isVaried(int q, int s, int limit) {
        return Math.abs(get(q - 2 * s) - get(q - s)) > limit || Math.abs(get(q + s) - get(q)) > limit;
    }

    private static int clamp(int x, int low, int high) {
        return Math.max(low, Math.min(high, x));
    }

    private void two(int q, int s) {
        int a = 3 * (get(q) - get(q - s)) + clamp(get(q - 2 * s) - get(q + s), -128, 127);
        plane.add(q - s, clamp(a + 3 >> 3, -16, 15));
        plane.add(q, -clamp(a + 4 >> 3, -16, 15));
    }

    private void four(int q, int s) {
        int a = 3 * (get(q) - get(q - s)), first = clamp(a + 4 >> 3, -16, 15), third = first + 1 >> 1;
        plane.add(q - 2 * s, third);
        plane.add(q - s, clamp(a + 3 >> 3, -16, 15));
        plane.add(q, -first);
        plane.add(q + s, -third);
    }

    private void six(int q, int s) {
        int a = clamp(3 * (get(q) - get(q - s)) + clamp(get(q - 2 * s) - get(q + s), -128, 127), -128, 127);
        int first = 27 * a + 63 >> 7, second = 18 * a + 63 >> 7, third = 9 * a + 63 >> 7;
        plane.add(q - 3 * s, third);
        plane.add(q - 2 * s, second);
        plane.add(q - s, first);
        plane.add(q, -first);
        plane.add(q + s, -second);
        plane.add(q + 2 * s, -third);
    }
}
