package org.dit4j.io;

import java.util.Arrays;

/** What a block of a lossy WebP looks like by its neighbours (RFC 6386, section 12). */
final class WebpPrediction {
    /** Of whole blocks, and of 4 by 4 ones, which have all of them. */
    static final int DC = 0, TRUE_MOTION = 1, VERTICAL = 2, HORIZONTAL = 3;

    private static final int RIGHT_DOWN = 4, VERTICAL_RIGHT = 5, LEFT_DOWN = 6, VERTICAL_LEFT = 7, HORIZONTAL_DOWN = 8;

    private WebpPrediction() {}

    /** A block of 16 or 8 by as many. */
    static void whole(WebpPlane plane, int at, int size, int mode, boolean hasTop, boolean hasLeft) {
        int stride = plane.stride;
        byte[] levels = plane.levels;
        switch (mode) {
            case DC -> {
                int sum = 0, known = 0;
                for (int i = 0; i < size; i++) {
                    if (hasTop) sum += plane.get(at - stride + i);
                    if (hasLeft) sum += plane.get(at + i * stride - 1);
                }
                if (hasTop) known += size;
                if (hasLeft) known += size;
                int level = known == 0 ? 128 : (sum + known / 2) / known;
                for (int y = 0; y < size; y++)
                    Arrays.fill(levels, at + y * stride, at + y * stride + size, (byte) level);
            }
            case TRUE_MOTION -> trueMotion(plane, at, size);
            case VERTICAL -> {
                for (int y = 0; y < size; y++) System.arraycopy(levels, at - stride, levels, at + y * stride, size);
            }
            default -> {
                for (int y = 0; y < size; y++)
                    Arrays.fill(levels, at + y * stride, at + y * stride + size, levels[at + y * stride - 1]);
            }
        }
    }

    private static void trueMotion(WebpPlane plane, int at, int size) {
        int stride = plane.stride, corner = plane.get(at - stride - 1);
        for (int y = 0; y < size; y++) {
            int base = plane.get(at + y * stride - 1) - corner;
            for (int x = 0; x < size; x++)
                plane.levels[at + y * stride + x] = (byte) WebpPlane.clamp(base + plane.get(at - stride + x));
        }
    }

    /**
     * A block of 4 by 4.
     *
     * @param e the 13 levels around it: from the lowest to the left up to the corner (4), and on to the right above
     */
    static void small(WebpPlane plane, int at, int mode, int[] e) {
        int[] to = new int[16];
        switch (mode) {
            case DC -> {
                int sum = 4;
                for (int i = 0; i < 4; i++) sum += e[i] + e[5 + i];
                Arrays.fill(to, sum >> 3);
            }
            case TRUE_MOTION -> {
                trueMotion(plane, at, 4);
                return;
            }
            case VERTICAL -> {
                for (int i = 0; i < 16; i++) to[i] = of3(e, 4 + i % 4);
            }
            case HORIZONTAL -> {
                for (int i = 0; i < 16; i++) {
                    int left = 3 - i / 4;
                    to[i] = left == 0 ? e[1] + 3 * e[0] + 2 >> 2 : of3(e, left - 1);
                }
            }
            case RIGHT_DOWN -> {
                for (int i = 0; i < 16; i++) to[i] = of3(e, 3 + i % 4 - i / 4);
            }
            case LEFT_DOWN -> {
                for (int i = 0; i < 16; i++) {
                    int sum = i % 4 + i / 4;
                    to[i] = sum == 6 ? e[11] + 3 * e[12] + 2 >> 2 : of3(e, 5 + sum);
                }
            }
            case VERTICAL_RIGHT -> {
                for (int x = 0; x < 4; x++) {
                    to[x] = of2(e, 4 + x);
                    to[4 + x] = of3(e, 3 + x);
                }
                to[8] = of3(e, 2);
                to[12] = of3(e, 1);
                for (int x = 1; x < 4; x++) {
                    to[8 + x] = to[x - 1];
                    to[12 + x] = to[3 + x];
                }
            }
            case VERTICAL_LEFT -> {
                for (int x = 0; x < 4; x++) {
                    to[x] = of2(e, 5 + x);
                    to[4 + x] = of3(e, 5 + x);
                    to[8 + x] = of2(e, 6 + x);
                    to[12 + x] = of3(e, 6 + x);
                }
                to[11] = of3(e, 9); // as the format has it, not as the pattern would
                to[15] = of3(e, 10);
            }
            case HORIZONTAL_DOWN -> {
                for (int y = 0; y < 4; y++) {
                    to[4 * y] = of2(e, 3 - y);
                    to[4 * y + 1] = of3(e, 3 - y);
                }
                to[2] = of3(e, 4);
                to[3] = of3(e, 5);
                for (int y = 1; y < 4; y++) {
                    to[4 * y + 2] = to[4 * y - 4];
                    to[4 * y + 3] = to[4 * y - 3];
                }
            }
            default -> { // horizontal up
                int last = e[0];
                int[] steps = {
                    of2(e, 2),
                    of3(e, 1),
                    of2(e, 1),
                    of3(e, 0),
                    of2(e, 0),
                    e[1] + 3 * e[0] + 2 >> 2,
                    last,
                    last,
                    last,
                    last
                };
                for (int i = 0; i < 16; i++) to[i] = steps[i % 4 + 2 * (i / 4)];
            }
        }
        for (int i = 0; i < 16; i++) plane.levels[at + i / 4 * plane.stride + i % 4] = (byte) to[i];
    }

    private static int of2(int[] e, int i) {
        return e[i] + e[i + 1] + 1 >> 1;
    }

    /** The weighted mean of three, {@code i} being the first. */
    private static int of3(int[] e, int i) {
        return e[i] + 2 * e[i + 1] + e[i + 2] + 2 >> 2;
    }
}
