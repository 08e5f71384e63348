package org.dit4j.torch;

import org.bytedeco.pytorch.Tensor;

/**
 * Random numbers as a function of (seed, purpose, index), so that no item depends on batch, worker or order: the counter-based generator
 * Philox4x32-10 of Salmon et al., <i>Parallel random numbers: as easy as 1, 2, 3</i> (SC 2011).
 *
 * <p>Normal numbers are made by the Box-Muller transform from additions, multiplications, divisions and square roots of doubles only,
 * which IEEE 754 fixes to the last bit: a device kernel that contracts nothing computes the same floats.
 */
public final class Noise {
    /** What a number is drawn for; numbers of different purposes are independent. */
    public enum Purpose {
        /** The noise added to a training image. */
        TRAINING_NOISE,
        TIMESTEP,
        LABEL_DROPOUT,
        FLIP,
        /** Sampling from an autoencoder's posterior. */
        POSTERIOR,
        DATA_ORDER,
        /** The noise that sampling starts from. */
        SAMPLE_START,
        /** The noise added in a sampling step; the step is the sub-stream. */
        SAMPLE_STEP,
        GLYPH,
        INITIALISATION,
        /** The class of a picture of a set. */
        SAMPLE_LABEL
    }

    private static final int ROUNDS = 10;
    private static final long MULTIPLIER_0 = 0xD2511F53L, MULTIPLIER_1 = 0xCD9E8D57L;
    private static final int WEYL_0 = 0x9E3779B9, WEYL_1 = 0xBB67AE85;
    private static final double TWO_PI = 6.283185307179586;
    private static final double LN_2 = 0.6931471805599453;

    private Noise() {}

    /** Four words of 32 random bits: Philox of the counter (block, purpose and sub-stream, index) under the key {@code seed}. */
    static void philox(long seed, int purpose, long index, int block, int[] out) {
        int c0 = block, c1 = purpose, c2 = (int) index, c3 = (int) (index >>> 32);
        int k0 = (int) seed, k1 = (int) (seed >>> 32);
        for (int round = 0; round < ROUNDS; round++) {
            long p0 = MULTIPLIER_0 * (c0 & 0xFFFFFFFFL), p1 = MULTIPLIER_1 * (c2 & 0xFFFFFFFFL);
            int n0 = (int) (p1 >>> 32) ^ c1 ^ k0, n2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c1 = (int) p1;
            c3 = (int) p0;
            c0 = n0;
            c2 = n2;
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
    }

    /** The generator's second word, for who makes the same numbers elsewhere. */
    public static int stream(Purpose purpose, int sub) {
        if (sub < 0 || sub >= 1 << 24)
            throw new IllegalArgumentException("sub-stream " + sub + " is outside 0 … 16777215");
        return purpose.ordinal() << 24 | sub;
    }

    /** A whole number in [0, bound), every one as likely as the others to within 2⁻³² · bound. */
    public static int below(int bound, long seed, Purpose purpose, long index) {
        if (bound < 1) throw new IllegalArgumentException("bound is " + bound + "; at least 1");
        int[] words = new int[4];
        philox(seed, stream(purpose, 0), index, 0, words);
        return (int) ((words[0] & 0xFFFFFFFFL) * bound >>> 32);
    }

    /** A number in [0, 1), a multiple of 2⁻⁵³. */
    public static double uniform(long seed, Purpose purpose, int sub, long index) {
        int[] words = new int[4];
        philox(seed, stream(purpose, sub), index, 0, words);
        return unit(words[0], words[1]);
    }

    private static double unit(int high, int low) {
        return ((high & 0xFFFFFFFFL) << 21 | (low & 0xFFFFFFFFL) >>> 11) * 0x1p-53;
    }

    /** Fills {@code out[from … from + count)} with independent normal numbers of mean 0 and variance 1. */
    public static void normal(long seed, Purpose purpose, int sub, long index, float[] out, int from, int count) {
        int stream = stream(purpose, sub);
        int[] words = new int[4];
        for (int i = 0, block = 0; i < count; i += 4, block++) {
            philox(seed, stream, index, block, words);
            for (int pair = 0; pair < 4 && i + pair < count; pair += 2) {
                // in (0, 1], so that the logarithm is finite
                double u = ((words[pair] & 0xFFFFFFFFL) + 1) * 0x1p-32;
                double turn = (words[pair + 1] & 0xFFFFFFFFL) * 0x1p-32;
                double radius = Math.sqrt(-2 * ln(u));
                out[from + i + pair] = (float) (radius * cosTurn(turn));
                if (i + pair + 1 < count) out[from + i + pair + 1] = (float) (radius * cosTurn(turn - 0.25));
            }
        }
    }

    /**
     * (indices.length, shape…) float32 on the CPU; row i depends on {@code indices[i]} alone.
     *
     * @param sub the sub-stream, for example the sampling step
     */
    public static Tensor normal(long seed, Purpose purpose, int sub, long[] indices, long... shape) {
        int row = 1;
        for (long size : shape) row = Math.multiplyExact(row, Math.toIntExact(size));
        float[] values = new float[Math.multiplyExact(row, indices.length)];
        for (int i = 0; i < indices.length; i++) normal(seed, purpose, sub, indices[i], values, i * row, row);
        long[] batchShape = new long[shape.length + 1];
        batchShape[0] = indices.length;
        System.arraycopy(shape, 0, batchShape, 1, shape.length);
        return Tensors.of(values, batchShape);
    }

    /** Natural logarithm of a normal double, to 1e-15: 2 artanh((m − 1) / (m + 1)) of the mantissa m in [√½, √2) as a power series. */
    private static double ln(double x) {
        int exponent = Math.getExponent(x);
        double m = Double.longBitsToDouble((Double.doubleToRawLongBits(x) & 0x000FFFFFFFFFFFFFL) | 0x3FF0000000000000L);
        if (m > 1.4142135623730951) {
            m *= 0.5;
            exponent++;
        }
        double z = (m - 1) / (m + 1), w = z * z;
        double series = 1.0 / 19;
        for (int k = 17; k >= 1; k -= 2) series = series * w + 1.0 / k;
        return 2 * z * series + exponent * LN_2;
    }

    /** cos(2π · turn) for turn in [−1, 1], to 1e-14, by the series around the nearest quarter turn. */
    private static double cosTurn(double turn) {
        double t = Math.abs(turn);
        if (t > 0.5) t = 1 - t; // now in [0, ½]
        boolean negative = t > 0.25;
        if (negative) t = 0.5 - t; // now in [0, ¼]
        double value = t > 0.125 ? sinSeries((0.25 - t) * TWO_PI) : cosSeries(t * TWO_PI);
        return negative ? -value : value;
    }

    private static double sinSeries(double x) {
        double w = x * x, term = 1;
        for (int k = 14; k >= 2; k -= 2) term = 1 - w * term / (k * (k + 1));
        return x * term;
    }

    private static double cosSeries(double x) {
        double w = x * x, term = 1;
        for (int k = 15; k >= 1; k -= 2) term = 1 - w * term / (k * (k + 1));
        return term;
    }
}
