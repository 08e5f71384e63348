package org.dit4j.io;

import java.util.ArrayList;
import java.util.List;

/** WebP's lossless pictures, by their specification: prefix codes, copies, a cache of colours, and up to four transforms. */
final class WebpLossless {
    private static final int PREDICT = 0, CROSS_COLOUR = 1, SUBTRACT_GREEN = 2, PALETTE = 3;
    private static final int NUM_LENGTHS = 24, NUM_DISTANCES = 40;
    private static final int[] ORDER = {17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    private final String name;
    private final byte[] file;
    private final int end;
    private int at, count;
    private long bits;

    private record Transform(int type, int bits, int width, int[] data) {}

    WebpLossless(String name, byte[] file, int begin, int end) {
        this.name = name;
        this.file = file;
        this.end = end;
        at = begin;
    }

    /** ARGB. */
    int[] decode(int width, int height) throws FormatException {
        List<Transform> transforms = new ArrayList<>();
        int wide = width;
        int seen = 0;
        while (take(1) == 1) {
            int type = take(2);
            if ((seen & 1 << type) != 0) throw damaged("a transform twice");
            seen |= 1 << type;
            switch (type) {
                case PREDICT, CROSS_COLOUR -> {
                    int size = take(3) + 2;
                    transforms.add(
                            new Transform(type, size, wide, pixels(parts(wide, size), parts(height, size), false)));
                }
                case PALETTE -> {
                    int colours = take(8) + 1;
                    int[] palette = pixels(colours, 1, false);
                    for (int i = 1; i < colours; i++) palette[i] = add(palette[i], palette[i - 1]);
                    int size = colours <= 2 ? 3 : colours <= 4 ? 2 : colours <= 16 ? 1 : 0;
                    transforms.add(new Transform(type, size, wide, palette));
                    wide = parts(wide, size);
                }
                default -> transforms.add(new Transform(type, 0, wide, null));
            }
        }
        int[] argb = pixels(wide, height, true);
        for (int i = transforms.size() - 1; i >= 0; i--) argb = undo(transforms.get(i), argb, height);
        return argb;
    }

    private static int parts(int size, int bits) {
        return size + (1 << bits) - 1 >> bits;
    }

    private FormatException damaged(String how) {
        return new FormatException(name, "the picture is damaged: the WebP has " + how);
    }

    private int take(int size) throws FormatException {
        while (count < size) {
            if (at >= end) throw new FormatException(name, "the picture is cut short: the WebP ends early");
            bits |= (file[at++] & 255L) << count;
            count += 8;
        }
        int value = (int) (bits & (1L << size) - 1);
        bits >>>= size;
        count -= size;
        return value;
    }

    /** A prefix code; one of a single symbol takes no bits. */
    private static final class Code {
        final int[] firsts = new int[17], counts = new int[17], places = new int[17];
        int[] symbols;
        int only = -1;
    }

    private Code code(int[] lengths) throws FormatException {
        Code code = new Code();
        int used = 0, last = 0;
        for (int symbol = 0; symbol < lengths.length; symbol++) {
            if (lengths[symbol] == 0) continue;
            code.counts[lengths[symbol]]++;
            used++;
            last = symbol;
        }
        if (used == 1) {
            code.only = last;
            return code;
        }
        int first = 0, place = 0;
        for (int length = 1; length <= 15; length++) {
            code.firsts[length] = first;
            code.places[length] = place;
            first += code.counts[length];
            place += code.counts[length];
            if (first > 1 << length) throw damaged("more codes than bits for them");
            first <<= 1;
        }
        if (first != 1 << 16) throw damaged("an incomplete code");
        code.symbols = new int[used];
        int[] next = code.places.clone();
        for (int symbol = 0; symbol < lengths.length; symbol++)
            if (lengths[symbol] > 0) code.symbols[next[lengths[symbol]]++] = symbol;
        return code;
    }

    private int symbol(Code code) throws FormatException {
        if (code.only >= 0) return code.only;
        int value = 0;
        for (int length = 1; length <= 15; length++) {
            if (count == 0) {
                if (at >= end) throw new FormatException(name, "the picture is cut short: the WebP ends early");
                bits = file[at++] & 255L;
                count = 8;
            }
            value = value << 1 | (int) (bits & 1);
            bits >>>= 1;
            count--;
            int in = value - code.firsts[length];
            if (in >= 0 && in < code.counts[length]) return code.symbols[code.places[length] + in];
        }
        throw damaged("no such code");
    }

    private Code readCode(int numSymbols) throws FormatException {
        int[] lengths = new int[numSymbols];
        if (take(1) == 1) { // one symbol or two
            int more = take(1), first = take(take(1) == 1 ? 8 : 1);
            if (first >= numSymbols) throw damaged("a symbol of " + first);
            lengths[first] = 1;
            if (more == 1) {
                int second = take(8);
                if (second >= numSymbols) throw damaged("a symbol of " + second);
                lengths[second] = 1;
            }
            return code(lengths);
        }
        int[] ofLengths = new int[19];
        int given = take(4) + 4;
        for (int i = 0; i < given; i++) ofLengths[ORDER[i]] = take(3);
        Code code = code(ofLengths);
        int left = numSymbols;
        if (take(1) == 1) {
            left = 2 + take(2 + 2 * take(3));
            if (left > numSymbols) throw damaged("too many codes");
        }
        int before = 8;
        for (int i = 0; i < numSymbols && left-- > 0; ) {
            int length = symbol(code);
            if (length < 16) {
                lengths[i++] = length;
                if (length != 0) before = length;
                continue;
            }
            int repeat = length == 16 ? 3 + take(2) : length == 17 ? 3 + take(3) : 11 + take(7);
            if (i + repeat > numSymbols) throw damaged("too many codes");
            for (int k = 0; k < repeat; k++) lengths[i++] = length == 16 ? before : 0;
        }
        return code(lengths);
    }

    private int[] pixels(int width, int height, boolean main) throws FormatException {
        int cacheBits = take(1) == 1 ? take(4) : 0;
        if (cacheBits > 11) throw damaged("a cache of 2^" + cacheBits + " colours");
        int[] cache = new int[cacheBits == 0 ? 0 : 1 << cacheBits];
        int groupBits = 0, numGroups = 1;
        int[] groupOf = null;
        if (main && take(1) == 1) {
            groupBits = take(3) + 2;
            groupOf = pixels(parts(width, groupBits), parts(height, groupBits), false);
            for (int i = 0; i < groupOf.length; i++) {
                groupOf[i] = groupOf[i] >> 8 & 0xffff;
                numGroups = Math.max(numGroups, groupOf[i] + 1);
            }
            // a group takes at least 10 bits of the file
            if (numGroups > (end - at) + 8) throw damaged("more codes than it has bytes");
        }
        Code[][] groups = new Code[numGroups][5];
        for (Code[] group : groups) {
            group[0] = readCode(256 + NUM_LENGTHS + cache.length);
            for (int i = 1; i < 4; i++) group[i] = readCode(256);
            group[4] = readCode(NUM_DISTANCES);
        }
        int[] argb = new int[width * height];
        int cached = 0;
        for (int to = 0; to < argb.length; ) {
            Code[] group = groups[
                    groupOf == null
                            ? 0
                            : groupOf[(to / width >> groupBits) * parts(width, groupBits) + (to % width >> groupBits)]];
            int green = symbol(group[0]);
            if (green < 256) {
                int red = symbol(group[1]), blue = symbol(group[2]), alpha = symbol(group[3]);
                argb[to++] = alpha << 24 | red << 16 | green << 8 | blue;
            } else if (green < 256 + NUM_LENGTHS) {
                int length = number(green - 256), distance = distance(number(symbol(group[4])), width);
                if (distance > to || length > argb.length - to) throw damaged("a copy from outside");
                for (int i = 0; i < length; i++, to++) argb[to] = argb[to - distance];
            } else {
                int index = green - 256 - NUM_LENGTHS;
                for (; cached < to; cached++) cache[hash(argb[cached], cacheBits)] = argb[cached];
                argb[to++] = cache[index];
            }
            if (cache.length > 0) for (; cached < to; cached++) cache[hash(argb[cached], cacheBits)] = argb[cached];
        }
        return argb;
    }

    private static int hash(int argb, int bits) {
        return argb * 0x1e35a7bd >>> 32 - bits;
    }

    private int number(int symbol) throws FormatException {
        if (symbol < 4) return symbol + 1;
        int extra = symbol - 2 >> 1;
        return (2 + (symbol & 1) << extra) + take(extra) + 1;
    }

    private static int distance(int code, int width) {
        if (code > 120) return code - 120;
        int near = WebpTables.NEAR[code - 1];
        return Math.max(1, (near >> 4) * width + 8 - (near & 15));
    }

    private int[] undo(Transform transform, int[] argb, int height) throws FormatException {
        int width = transform.width;
        switch (transform.type) {
            case SUBTRACT_GREEN -> {
                for (int i = 0; i < argb.length; i++) {
                    int green = argb[i] >> 8 & 255;
                    argb[i] = argb[i] & 0xff00ff00 | (argb[i] & 0xff00ff) + (green << 16 | green) & 0xff00ff;
                }
                return argb;
            }
            case CROSS_COLOUR -> {
                int across = parts(width, transform.bits);
                for (int i = 0; i < argb.length; i++)
                    argb[i] = uncross(
                            argb[i],
                            transform.data[(i / width >> transform.bits) * across + (i % width >> transform.bits)]);
                return argb;
            }
            case PALETTE -> {
                int[] result = new int[width * height];
                int perPixel = 8 >> transform.bits,
                        packed = parts(width, transform.bits),
                        mask = (1 << transform.bits) - 1;
                for (int y = 0; y < height; y++)
                    for (int x = 0; x < width; x++) {
                        int green = argb[y * packed + (x >> transform.bits)] >> 8 & 255;
                        int index = green >> (x & mask) * perPixel & (1 << perPixel) - 1;
                        result[y * width + x] = index < transform.data.length ? transform.data[index] : 0;
                    }
                return result;
            }
            default -> {
                unpredict(transform, argb, width, height);
                return argb;
            }
        }
    }

    private static int uncross(int argb, int factors) {
        byte green = (byte) (argb >> 8);
        int red = argb >> 16 & 255, blue = argb & 255;
        red = red + ((byte) factors * green >> 5) & 255;
        blue = blue + ((byte) (factors >> 8) * green >> 5) + ((byte) (factors >> 16) * (byte) red >> 5) & 255;
        return argb & 0xff00ff00 | red << 16 | blue;
    }

    private static void unpredict(Transform transform, int[] argb, int width, int height) {
        int across = parts(width, transform.bits);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int i = y * width + x, predicted;
                if (y == 0) predicted = x == 0 ? 0xff000000 : argb[i - 1];
                else if (x == 0) predicted = argb[i - width];
                else {
                    int mode = transform.data[(y >> transform.bits) * across + (x >> transform.bits)] >> 8 & 15;
                    // above to the right of the last column is the first of this row
                    predicted = predict(mode, argb[i - 1], argb[i - width], argb[i - width + 1], argb[i - width - 1]);
                }
                argb[i] = add(argb[i], predicted);
            }
        }
    }

    private static int predict(int mode, int left, int up, int upRight, int upLeft) {
        return switch (mode) {
            case 1 -> left;
            case 2 -> up;
            case 3 -> upRight;
            case 4 -> upLeft;
            case 5 -> average(average(left, upRight), up);
            case 6 -> average(left, upLeft);
            case 7 -> average(left, up);
            case 8 -> average(upLeft, up);
            case 9 -> average(up, upRight);
            case 10 -> average(average(left, upLeft), average(up, upRight));
            case 11 -> select(left, up, upLeft);
            case 12 -> clampedSum(left, up, upLeft);
            case 13 -> clampedHalf(average(left, up), upLeft);
            default -> 0xff000000;
        };
    }

    private static int add(int a, int b) {
        return (a & 0xff00ff00) + (b & 0xff00ff00) & 0xff00ff00 | (a & 0xff00ff) + (b & 0xff00ff) & 0xff00ff;
    }

    private static int average(int a, int b) {
        return (((a ^ b) & 0xfefefefe) >>> 1) + (a & b);
    }

    private static int select(int left, int up, int upLeft) {
        int toLeft = 0, toUp = 0;
        for (int shift = 0; shift < 32; shift += 8) {
            int l = left >>> shift & 255, u = up >>> shift & 255, c = upLeft >>> shift & 255;
            toLeft += Math.abs(u - c);
            toUp += Math.abs(l - c);
        }
        return toLeft < toUp ? left : up;
    }

    private static int clampedSum(int left, int up, int upLeft) {
        int result = 0;
        for (int shift = 0; shift < 32; shift += 8)
            result |= level((left >>> shift & 255) + (up >>> shift & 255) - (upLeft >>> shift & 255)) << shift;
        return result;
    }

    private static int clampedHalf(int average, int upLeft) {
        int result = 0;
        for (int shift = 0; shift < 32; shift += 8) {
            int a = average >>> shift & 255, c = upLeft >>> shift & 255;
            result |= level(a + (a - c) / 2) << shift;
        }
        return result;
    }

    private static int level(int x) {
        return Math.max(0, Math.min(255, x));
    }
}
