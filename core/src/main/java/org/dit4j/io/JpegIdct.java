package org.dit4j.io;

import java.util.Arrays;

/**
 * The inverse DCT of libjpeg's {@code JDCT_ISLOW}, by Loeffler, Ligtenberg and Moschytz (1989), with 13 bits of fraction: every decoder that
 * calls itself "slow integer" has these numbers and these roundings.
 */
final class JpegIdct {
    private static final int FRACTION_BITS = 13, PASS1_BITS = 2;
    private static final int PASS1_SHIFT = FRACTION_BITS - PASS1_BITS, PASS2_SHIFT = FRACTION_BITS + PASS1_BITS + 3;
    /** round(x · 2^13) */
    private static final int F_0_298 = 2446,
            F_0_390 = 3196,
            F_0_541 = 4433,
            F_0_765 = 6270,
            F_0_899 = 7373,
            F_1_175 = 9633,
            F_1_501 = 12299,
            F_1_847 = 15137,
            F_1_961 = 16069,
            F_2_053 = 16819,
            F_2_562 = 20995,
            F_3_072 = 25172;

    /** A number of 10 bits, as the transform gives it → the level, clamped. */
    private static final byte[] LEVELS = new byte[1024];

    static {
        for (int x = -512; x < 512; x++) LEVELS[x & 1023] = (byte) Math.max(0, Math.min(255, x + 128));
    }

    private final int[] columns = new int[64];

    /**
     * Writes 8 by 8 samples.
     *
     * @param block 64 coefficients in rows, from {@code from} on
     * @param quant their 64 steps, in rows
     * @param at the place of the first sample in {@code plane}
     */
    void transform(short[] block, int from, int[] quant, byte[] plane, int at, int stride) {
        int[] w = columns;
        for (int x = 0; x < 8; x++) {
            int i = from + x;
            if ((block[i + 8]
                            | block[i + 16]
                            | block[i + 24]
                            | block[i + 32]
                            | block[i + 40]
                            | block[i + 48]
                            | block[i + 56])
                    == 0) {
                int dc = block[i] * quant[x] << PASS1_BITS;
                w[x] = w[x + 8] = w[x + 16] = w[x + 24] = w[x + 32] = w[x + 40] = w[x + 48] = w[x + 56] = dc;
                continue;
            }
            column(block, i, quant, x);
        }
        for (int y = 0, to = at; y < 64; y += 8, to += stride) row(y, plane, to);
    }

    /** As {@link #transform}, of a block that has no coefficient but this one. */
    void flat(int dc, byte[] plane, int at, int stride) {
        byte level = level((dc << PASS1_BITS) + (1 << PASS1_BITS + 2) >> PASS1_BITS + 3);
        for (int y = 0, to = at; y < 8; y++, to += stride) Arrays.fill(plane, to, to + 8, level);
    }

    private void column(short[] block, int i, int[] quant, int x) {
        int[] w = columns;
        int z2 = block[i + 16] * quant[x + 16], z3 = block[i + 48] * quant[x + 48];
        int z1 = (z2 + z3) * F_0_541;
        int t2 = z1 - z3 * F_1_847, t3 = z1 + z2 * F_0_765;
        int even = block[i] * quant[x], odd = block[i + 32] * quant[x + 32];
        int t0 = even + odd << FRACTION_BITS, t1 = even - odd << FRACTION_BITS;
        int round = 1 << PASS1_SHIFT - 1;
        int t10 = t0 + t3 + round, t13 = t0 - t3 + round, t11 = t1 + t2 + round, t12 = t1 - t2 + round;

        t0 = block[i + 56] * quant[x + 56];
        t1 = block[i + 40] * quant[x + 40];
        t2 = block[i + 24] * quant[x + 24];
        t3 = block[i + 8] * quant[x + 8];
        z1 = -(t0 + t3) * F_0_899;
        z2 = -(t1 + t2) * F_2_562;
        z3 = t0 + t2;
        int z4 = t1 + t3, z5 = (z3 + z4) * F_1_175;
        z3 = z5 - z3 * F_1_961;
        z4 = z5 - z4 * F_0_390;
        t0 = t0 * F_0_298 + z1 + z3;
        t1 = t1 * F_2_053 + z2 + z4;
        t2 = t2 * F_3_072 + z2 + z3;
        t3 = t3 * F_1_501 + z1 + z4;

        w[x] = t10 + t3 >> PASS1_SHIFT;
        w[x + 56] = t10 - t3 >> PASS1_SHIFT;
        w[x + 8] = t11 + t2 >> PASS1_SHIFT;
        w[x + 48] = t11 - t2 >> PASS1_SHIFT;
        w[x + 16] = t12 + t1 >> PASS1_SHIFT;
        w[x + 40] = t12 - t1 >> PASS1_SHIFT;
        w[x + 24] = t13 + t0 >> PASS1_SHIFT;
        w[x + 32] = t13 - t0 >> PASS1_SHIFT;
    }

    private void row(int y, byte[] plane, int to) {
        int[] w = columns;
        int z2 = w[y + 2], z3 = w[y + 6];
        int z1 = (z2 + z3) * F_0_541;
        int t2 = z1 - z3 * F_1_847, t3 = z1 + z2 * F_0_765;
        int t0 = w[y] + w[y + 4] << FRACTION_BITS, t1 = w[y] - w[y + 4] << FRACTION_BITS;
        int round = 1 << PASS2_SHIFT - 1;
        int t10 = t0 + t3 + round, t13 = t0 - t3 + round, t11 = t1 + t2 + round, t12 = t1 - t2 + round;

        t0 = w[y + 7];
        t1 = w[y + 5];
        t2 = w[y + 3];
        t3 = w[y + 1];
        z1 = -(t0 + t3) * F_0_899;
        z2 = -(t1 + t2) * F_2_562;
        z3 = t0 + t2;
        int z4 = t1 + t3, z5 = (z3 + z4) * F_1_175;
        z3 = z5 - z3 * F_1_961;
        z4 = z5 - z4 * F_0_390;
        t0 = t0 * F_0_298 + z1 + z3;
        t1 = t1 * F_2_053 + z2 + z4;
        t2 = t2 * F_3_072 + z2 + z3;
        t3 = t3 * F_1_501 + z1 + z4;

        plane[to] = level(t10 + t3 >> PASS2_SHIFT);
        plane[to + 7] = level(t10 - t3 >> PASS2_SHIFT);
        plane[to + 1] = level(t11 + t2 >> PASS2_SHIFT);
        plane[to + 6] = level(t11 - t2 >> PASS2_SHIFT);
        plane[to + 2] = level(t12 + t1 >> PASS2_SHIFT);
        plane[to + 5] = level(t12 - t1 >> PASS2_SHIFT);
        plane[to + 3] = level(t13 + t0 >> PASS2_SHIFT);
        plane[to + 4] = level(t13 - t0 >> PASS2_SHIFT);
    }

    private static byte level(int x) {
        return LEVELS[x & 1023];
    }
}
