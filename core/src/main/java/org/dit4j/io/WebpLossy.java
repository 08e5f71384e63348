package org.dit4j.io;

import java.util.Arrays;

/** WebP's lossy pictures: a key frame of VP8 (RFC 6386), upsampled and converted to RGB as libwebp does by default. */
final class WebpLossy {
    private static final int[] BANDS = {0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0};
    private static final int[] ZIGZAG = {0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15};
    private static final int[][] LARGE = {
        {173, 148, 140},
        {176, 155, 140, 135},
        {180, 157, 141, 134, 130},
        {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}
    };
    /** The tree of the modes of 4 by 4 blocks: places in it, or a mode, negative. */
    private static final int[] MODES = {0, 1, -1, 2, -2, 3, 4, 6, -3, 5, -4, -5, -6, 7, -7, 8, -8, -9};

    private static final int PER_TYPE = 8 * 3 * 11, PER_BAND = 3 * 11;

    private final String name;
    private final byte[] file;
    private final int end, width, height, across, down;
    private final WebpBits header;
    private WebpBits[] parts;
    private final int[] coefficients = WebpTables.COEFFICIENTS.clone();
    private final WebpPlane luma, cb, cr;
    private boolean segmented, mapped, absolute, simple, hasDeltas;
    private final int[] segmentSteps = new int[4], segmentLevels = new int[4], segmentOdds = {255, 255, 255};
    private int filterLevel, sharpness, skipOdds;
    private final int[] deltas = new int[8];
    /** By segment: DC and AC steps of luma, of luma's means, of chroma. */
    private final int[][] steps = new int[4][6];

    // along the row of macroblocks above, and to the left: modes of 4 by 4 blocks, and whether they have coefficients
    private final int[] modesAbove, modesLeft = new int[4];
    private final boolean[] above, left = new boolean[9];
    /** By macroblock: filter level, and whether its inside is filtered. */
    private final byte[] levels;

    private final boolean[] inside;
    private final int[] modes = new int[16], edge = new int[13];
    private final int[] residual = new int[400];

    WebpLossy(String name, byte[] file, int begin, int end, int width, int height) throws FormatException {
        this.name = name;
        this.file = file;
        this.end = end;
        this.width = width;
        this.height = height;
        across = (width + 15) / 16;
        down = (height + 15) / 16;
        int first = (file[begin] & 255 | (file[begin + 1] & 255) << 8 | (file[begin + 2] & 255) << 16) >> 5;
        if (first > end - begin - 10) throw cutShort();
        header = new WebpBits(file, begin + 10, begin + 10 + first);
        luma = new WebpPlane(16 * across, 16 * down);
        cb = new WebpPlane(8 * across, 8 * down);
        cr = new WebpPlane(8 * across, 8 * down);
        modesAbove = new int[4 * across];
        above = new boolean[9 * across];
        levels = new byte[across * down];
        inside = new boolean[across * down];
        readHeader(begin + 10 + first);
    }

    private FormatException cutShort() {
        return new FormatException(name, "the picture is cut short: the WebP ends early");
    }

    private void readHeader(int afterwards) throws FormatException {
        header.number(2); // colour space, and whether levels need clamping
        segmented = header.flag();
        if (segmented) readSegments();
        simple = header.flag();
        filterLevel = header.number(6);
        sharpness = header.number(3);
        hasDeltas = header.flag();
        if (hasDeltas && header.flag()) for (int i = 0; i < 8; i++) if (header.flag()) deltas[i] = header.signed(6);
        readParts(afterwards, 1 << header.number(2));
        readSteps();
        header.flag(); // whether later frames go on with these odds
        for (int i = 0; i < coefficients.length; i++)
            if (header.bit(WebpTables.CHANGES[i]) == 1) coefficients[i] = header.number(8);
        skipOdds = header.flag() ? header.number(8) : -1;
        if (header.exhausted) throw cutShort();
    }

    private void readSegments() {
        mapped = header.flag();
        if (header.flag()) {
            absolute = header.flag();
            for (int i = 0; i < 4; i++) segmentSteps[i] = header.optional(7);
            for (int i = 0; i < 4; i++) segmentLevels[i] = header.optional(6);
        }
        if (mapped) for (int i = 0; i < 3; i++) segmentOdds[i] = header.flag() ? header.number(8) : 255;
    }

    private void readParts(int afterwards, int count) throws FormatException {
        int sizes = afterwards, begin = afterwards + 3 * (count - 1);
        if (begin > end) throw cutShort();
        parts = new WebpBits[count];
        for (int i = 0; i < count; i++, sizes += 3) {
            int size = i == count - 1
                    ? end - begin
                    : file[sizes] & 255 | (file[sizes + 1] & 255) << 8 | (file[sizes + 2] & 255) << 16;
            int stop = Math.min(end, begin + size);
            parts[i] = new WebpBits(file, begin, stop);
            begin = stop;
        }
    }

    private void readSteps() {
        int base = header.number(7);
        int lumaDc = header.optional(4), meanDc = header.optional(4), meanAc = header.optional(4);
        int chromaDc = header.optional(4), chromaAc = header.optional(4);
        for (int i = 0; i < 4; i++) {
            int q = !segmented ? base : segmentSteps[i] + (absolute ? 0 : base);
            steps[i][0] = WebpTables.DC_STEPS[limit(q + lumaDc, 127)];
            steps[i][1] = WebpTables.AC_STEPS[limit(q, 127)];
            steps[i][2] = 2 * WebpTables.DC_STEPS[limit(q + meanDc, 127)];
            steps[i][3] = Math.max(8, WebpTables.AC_STEPS[limit(q + meanAc, 127)] * 101_581 >> 16);
            steps[i][4] = WebpTables.DC_STEPS[limit(q + chromaDc, 117)];
            steps[i][5] = WebpTables.AC_STEPS[limit(q + chromaAc, 127)];
        }
    }

    private static int limit(int x, int high) {
        return Math.max(0, Math.min(high, x));
    }

    int[] decode() throws FormatException {
        for (int y = 0; y < down; y++) {
            Arrays.fill(modesLeft, 0);
            Arrays.fill(left, false);
            for (int x = 0; x < across; x++) macroblock(x, y, parts[y & parts.length - 1]);
            if (header.exhausted || parts[y & parts.length - 1].exhausted) throw cutShort();
        }
        if (filterLevel > 0) for (int i = 0; i < levels.length; i++) filter(i % across, i / across);
        return new WebpColors(luma, cb, cr, width, height).toRgb();
    }

    private void macroblock(int x, int y, WebpBits bits) {
        int segment = !mapped
                ? 0
                : header.bit(segmentOdds[0]) == 0 ? header.bit(segmentOdds[1]) : 2 + header.bit(segmentOdds[2]);
        boolean skipped = skipOdds >= 0 && header.bit(skipOdds) == 1;
        boolean small = header.bit(145) == 0;
        int mode = WebpPrediction.DC;
        if (small) readModes(x);
        else {
            mode = header.bit(156) == 1
                    ? (header.bit(128) == 1 ? WebpPrediction.TRUE_MOTION : WebpPrediction.HORIZONTAL)
                    : (header.bit(163) == 1 ? WebpPrediction.VERTICAL : WebpPrediction.DC);
            Arrays.fill(modesAbove, 4 * x, 4 * x + 4, mode);
            Arrays.fill(modesLeft, mode);
        }
        int chroma = header.bit(142) == 0
                ? WebpPrediction.DC
                : header.bit(114) == 0
                        ? WebpPrediction.VERTICAL
                        : header.bit(183) == 1 ? WebpPrediction.TRUE_MOTION : WebpPrediction.HORIZONTAL;
        Arrays.fill(residual, 0);
        boolean any = false;
        if (skipped) forget(9 * x, small);
        else any = readResidual(9 * x, small, steps[segment], bits);
        reconstruct(x, y, small, mode, chroma);
        int i = y * across + x;
        levels[i] = (byte) level(segment, small);
        inside[i] = small || any;
    }

    private void readModes(int x) {
        for (int y = 0; y < 4; y++) {
            for (int i = 0; i < 4; i++) {
                int odds = 90 * modesAbove[4 * x + i] + 9 * modesLeft[y];
                int at = MODES[header.bit(WebpTables.BLOCK_MODES[odds])];
                while (at > 0) at = MODES[2 * at + header.bit(WebpTables.BLOCK_MODES[odds + at])];
                modesAbove[4 * x + i] = modesLeft[y] = modes[4 * y + i] = -at;
            }
        }
    }

    private void forget(int at, boolean small) {
        for (int i = 0; i < 8; i++) above[at + i] = left[i] = false;
        if (!small) above[at + 8] = left[8] = false;
    }

    /** Whether there is any. */
    private boolean readResidual(int at, boolean small, int[] step, WebpBits bits) {
        boolean any = false;
        int first = 0, type = 3;
        if (!small) {
            int place = 384, context = (above[at + 8] ? 1 : 0) + (left[8] ? 1 : 0);
            int last = block(bits, 1, context, step[2], step[3], 0, place);
            above[at + 8] = left[8] = last > 0;
            means(place);
            first = 1;
            type = 0;
        }
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 4; x++) any |= block(bits, type, at + x, y, step[0], step[1], first, 16 * (4 * y + x));
        for (int plane = 0; plane < 2; plane++)
            for (int y = 0; y < 2; y++)
                for (int x = 0; x < 2; x++)
                    any |= block(
                            bits,
                            2,
                            at + 4 + 2 * plane + x,
                            4 + 2 * plane + y,
                            step[4],
                            step[5],
                            0,
                            256 + 16 * (4 * plane + 2 * y + x));
        return any;
    }

    private boolean block(WebpBits bits, int type, int up, int beside, int dc, int ac, int first, int place) {
        int context = (above[up] ? 1 : 0) + (left[beside] ? 1 : 0);
        int last = block(bits, type, context, dc, ac, first, place);
        above[up] = left[beside] = last > first;
        return last > 1 || residual[place] != 0;
    }

    /** Reads the coefficients of a block; the place after its last one. */
    private int block(WebpBits bits, int type, int context, int dc, int ac, int first, int place) {
        int[] odds = coefficients;
        int p = type * PER_TYPE + BANDS[first] * PER_BAND + 11 * context;
        for (int n = first; n < 16; n++) {
            if (bits.bit(odds[p]) == 0) return n;
            while (bits.bit(odds[p + 1]) == 0) {
                if (++n == 16) return 16;
                p = type * PER_TYPE + BANDS[n] * PER_BAND;
            }
            int next = type * PER_TYPE + BANDS[n + 1] * PER_BAND, value = 1;
            if (bits.bit(odds[p + 2]) == 0) p = next + 11;
            else {
                value = large(bits, p);
                p = next + 22;
            }
            residual[place + ZIGZAG[n]] = (bits.flag() ? -value : value) * (n > 0 ? ac : dc);
        }
        return 16;
    }

    private int large(WebpBits bits, int p) {
        int[] odds = coefficients;
        if (bits.bit(odds[p + 3]) == 0) return bits.bit(odds[p + 4]) == 0 ? 2 : 3 + bits.bit(odds[p + 5]);
        if (bits.bit(odds[p + 6]) == 0) {
            if (bits.bit(odds[p + 7]) == 0) return 5 + bits.bit(159);
            int two = 2 * bits.bit(165);
            return 7 + two + bits.bit(145);
        }
        int high = bits.bit(odds[p + 8]), category = 2 * high + bits.bit(odds[p + 9 + high]), value = 0;
        for (int probability : LARGE[category]) value = 2 * value + bits.bit(probability);
        return value + 3 + (8 << category);
    }

    /** The means of the 16 luma blocks, from their own transform. */
    private void means(int from) {
        int[] w = new int[16];
        for (int i = 0; i < 4; i++) {
            int a0 = residual[from + i] + residual[from + 12 + i], a1 = residual[from + 4 + i] + residual[from + 8 + i];
            int a2 = residual[from + 4 + i] - residual[from + 8 + i], a3 = residual[from + i] - residual[from + 12 + i];
            w[i] = a0 + a1;
            w[8 + i] = a0 - a1;
            w[4 + i] = a3 + a2;
            w[12 + i] = a3 - a2;
        }
        for (int i = 0; i < 4; i++) {
            int dc = w[4 * i] + 3;
            int a0 = dc + w[4 * i + 3],
                    a1 = w[4 * i + 1] + w[4 * i + 2],
                    a2 = w[4 * i + 1] - w[4 * i + 2],
                    a3 = dc - w[4 * i + 3];
            residual[64 * i] = a0 + a1 >> 3;
            residual[64 * i + 16] = a3 + a2 >> 3;
            residual[64 * i + 32] = a0 - a1 >> 3;
            residual[64 * i + 48] = a3 - a2 >> 3;
        }
    }

    private void reconstruct(int x, int y, boolean small, int mode, int chroma) {
        if (y > 0 && x == 0)
            for (WebpPlane plane : new WebpPlane[] {luma, cb, cr}) corner(plane, y, plane == luma ? 16 : 8);
        int at = luma.at(16 * x, 16 * y);
        if (small) {
            for (int i = 0; i < 16; i++) {
                int to = at + i / 4 * 4 * luma.stride + i % 4 * 4;
                around(to, at, i, x, y);
                WebpPrediction.small(luma, to, modes[i], edge);
                transform(luma, to, 16 * i);
            }
        } else {
            WebpPrediction.whole(luma, at, 16, mode, y > 0, x > 0);
            for (int i = 0; i < 16; i++) transform(luma, at + i / 4 * 4 * luma.stride + i % 4 * 4, 16 * i);
        }
        for (int p = 0; p < 2; p++) {
            WebpPlane plane = p == 0 ? cb : cr;
            int begin = plane.at(8 * x, 8 * y);
            WebpPrediction.whole(plane, begin, 8, chroma, y > 0, x > 0);
            for (int i = 0; i < 4; i++)
                transform(plane, begin + i / 2 * 4 * plane.stride + i % 2 * 4, 256 + 64 * p + 16 * i);
        }
    }

    /** Left of the first column the level is 129 but in the row above the first, where it is 127. */
    private static void corner(WebpPlane plane, int y, int size) {
        plane.levels[plane.at(-1, size * y - 1)] = (byte) 129;
    }

    /** The levels around a 4 by 4 block; those above to the right are of the macroblocks above for all at the right side. */
    private void around(int to, int begin, int i, int x, int y) {
        int stride = luma.stride;
        for (int k = 0; k < 4; k++) edge[3 - k] = luma.get(to + k * stride - 1);
        for (int k = 0; k < 5; k++) edge[4 + k] = luma.get(to - stride - 1 + k);
        if (i % 4 < 3) for (int k = 0; k < 4; k++) edge[9 + k] = luma.get(to - stride + 4 + k);
        else if (y > 0 && x == across - 1) Arrays.fill(edge, 9, 13, luma.get(begin - stride + 15));
        else for (int k = 0; k < 4; k++) edge[9 + k] = luma.get(begin - stride + 16 + k);
    }

    private void transform(WebpPlane plane, int to, int from) {
        int[] in = residual;
        boolean any = false;
        for (int i = 0; i < 16; i++) any |= in[from + i] != 0;
        if (!any) return;
        int[] w = new int[16];
        for (int i = 0; i < 4; i++) {
            int a = in[from + i] + in[from + 8 + i], b = in[from + i] - in[from + 8 + i];
            int c = sine(in[from + 4 + i]) - cosine(in[from + 12 + i]),
                    d = cosine(in[from + 4 + i]) + sine(in[from + 12 + i]);
            w[4 * i] = a + d;
            w[4 * i + 1] = b + c;
            w[4 * i + 2] = b - c;
            w[4 * i + 3] = a - d;
        }
        for (int i = 0, at = to; i < 4; i++, at += plane.stride) {
            int dc = w[i] + 4, a = dc + w[8 + i], b = dc - w[8 + i];
            int c = sine(w[4 + i]) - cosine(w[12 + i]), d = cosine(w[4 + i]) + sine(w[12 + i]);
            plane.add(at, a + d >> 3);
            plane.add(at + 1, b + c >> 3);
            plane.add(at + 2, b - c >> 3);
            plane.add(at + 3, a - d >> 3);
        }
    }

    private static int cosine(int x) {
        return (x * 20_091 >> 16) + x;
    }

    private static int sine(int x) {
        return x * 35_468 >> 16;
    }

    private int level(int segment, boolean small) {
        int level = !segmented ? filterLevel : segmentLevels[segment] + (absolute ? 0 : filterLevel);
        if (hasDeltas) level += deltas[0] + (small ? deltas[4] : 0);
        return limit(level, 63);
    }

    private void filter(int x, int y) {
        int level = levels[y * across + x], interior = level;
        if (level == 0) return;
        if (sharpness > 0) interior = Math.min(9 - sharpness, interior >> (sharpness > 4 ? 2 : 1));
        interior = Math.max(1, interior);
        int limit = 2 * level + interior, variance = level >= 40 ? 2 : level >= 15 ? 1 : 0;
        boolean within = inside[y * across + x];
        WebpFilter filter = new WebpFilter(luma);
        int at = luma.at(16 * x, 16 * y), stride = luma.stride;
        if (simple) {
            if (x > 0) filter.simple(at, 1, stride, limit + 4);
            for (int k = 4; within && k < 16; k += 4) filter.simple(at + k, 1, stride, limit);
            if (y > 0) filter.simple(at, stride, 1, limit + 4);
            for (int k = 4; within && k < 16; k += 4) filter.simple(at + k * stride, stride, 1, limit);
            return;
        }
        filterPlane(filter, at, stride, 16, x, y, limit, interior, variance, within);
        for (WebpPlane plane : new WebpPlane[] {cb, cr})
            filterPlane(
                    new WebpFilter(plane),
                    plane.at(8 * x, 8 * y),
                    plane.stride,
                    8,
                    x,
                    y,
                    limit,
                    interior,
                    variance,
                    within);
    }

    private static void filterPlane(
            WebpFilter filter,
            int at,
            int stride,
            int size,
            int x,
            int y,
            int limit,
            int interior,
            int variance,
            boolean within) {
        if (x > 0) filter.edge(at, 1, stride, size, limit + 4, interior, variance, false);
        for (int k = 4; within && k < size; k += 4)
            filter.edge(at + k, 1, stride, size, limit, interior, variance, true);
        if (y > 0) filter.edge(at, stride, 1, size, limit + 4, interior, variance, false);
        for (int k = 4; within && k < size; k += 4)
            filter.edge(at + k * stride, stride, 1, size, limit, interior, variance, true);
    }
}
