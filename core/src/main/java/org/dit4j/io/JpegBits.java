package org.dit4j.io;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** The bits between two markers of a JPEG. Past their end it reads zeros, and counts them. */
final class JpegBits {
    /** Place in the zigzag → place in rows. */
    static final int[] ROWS = {
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14,
        21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60,
        61, 54, 47, 55, 62, 63
    };

    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
    private static final long LOW_BITS = 0x0101010101010101L, HIGH_BITS = 0x8080808080808080L;

    private final String name;
    private final byte[] file;
    private int at;
    private long bits;
    private int count;
    /** Zeros that were added after the end. */
    private long padding;

    private boolean ended;

    JpegBits(String name, byte[] file, int at) {
        this.name = name;
        this.file = file;
        this.at = at;
    }

    /** Where the next marker is, or bytes that belong to nothing before it. */
    int position() {
        return at;
    }

    /** The next marker from {@code from} on: bytes before it that are none are passed over, as libjpeg does. */
    static int nextMarker(String name, byte[] file, int from) throws FormatException {
        int at = from;
        while (at + 1 < file.length) {
            int next = file[at + 1] & 255;
            if ((file[at] & 255) == 0xff && next != 0 && next != 0xff) return at;
            at++;
        }
        throw new FormatException(name, "the JPEG is cut short at byte " + file.length);
    }

    /** Forgets the bits that are left of the last byte, and goes on at {@code position}. */
    void restart(int position) {
        at = position;
        bits = 0;
        count = 0;
        padding = 0;
        ended = false;
    }

    /** @throws FormatException if more bits were taken than there are */
    void requireInside() throws FormatException {
        if (padding > count)
            throw new FormatException(
                    name, "the picture is damaged or cut short: the JPEG's data end early, at byte " + at);
    }

    private void fill() {
        // most data have no 0xff, which is followed by a zero or is a marker
        if (count <= 32 && at + 8 <= file.length) {
            long next = (long) LONG.get(file, at), inverse = ~next;
            if ((inverse - LOW_BITS & next & HIGH_BITS) == 0) {
                bits = bits << 32 | next >>> 32;
                count += 32;
                at += 4;
                return;
            }
        }
        while (count <= 48) {
            int value = 0;
            if (!ended) value = nextByte();
            if (ended) padding += 8;
            bits = bits << 8 | value;
            count += 8;
        }
    }

    private int nextByte() {
        if (at >= file.length) {
            ended = true;
            return 0;
        }
        int value = file[at] & 255;
        if (value != 0xff) {
            at++;
            return value;
        }
        int next = at + 1;
        while (next < file.length && (file[next] & 255) == 0xff) next++;
        if (next >= file.length || file[next] != 0) {
            ended = true;
            return 0;
        }
        at = next + 1;
        return value;
    }

    /** The next symbol. */
    int symbol(JpegHuffman table) throws FormatException {
        if (count < 16) fill();
        int found = table.look[(int) (bits >>> count - JpegHuffman.LOOK) & (1 << JpegHuffman.LOOK) - 1];
        if (found != 0) {
            count -= found >> 8;
            return found & 255;
        }
        return longSymbol(table);
    }

    private int longSymbol(JpegHuffman table) throws FormatException {
        int next = (int) (bits >>> count - 16) & 0xffff, length = JpegHuffman.LOOK + 1;
        while (next >= table.limit[length]) length++;
        if (length > 16)
            throw new FormatException(name, "the picture is damaged: no such code in the JPEG, at byte " + at);
        count -= length;
        return table.symbols[(next >> 16 - length) + table.offset[length]] & 255;
    }

    /**
     * Reads the AC coefficients of a block of a sequential JPEG into {@code block}, in rows, from {@code at} on.
     *
     * @return the place of the last one in the zigzag; 0 if there is none
     */
    int coefficients(JpegHuffman table, short[] block, int at) throws FormatException {
        int last = 0, left = count; // copies: what follows is most of the time that a picture takes
        long next = bits;
        int[] numbers = table.number;
        for (int k = 1; k < 64; k++) {
            if (left < 32) { // a code and its number are 31 bits at most
                bits = next;
                count = left;
                fill();
                next = bits;
                left = count;
            }
            int number = numbers[(int) (next >>> left - JpegHuffman.LOOK) & (1 << JpegHuffman.LOOK) - 1];
            if (number != 0) {
                left -= number & 255;
                k += number >> 8 & 255;
                if (k > 63) throw beyond();
                block[at + ROWS[k]] = (short) (number >> 16);
                last = k;
                continue;
            }
            count = left;
            int symbol = symbol(table), size = symbol & 15;
            k += symbol >> 4;
            if (size == 0) {
                left = count;
                if (symbol != 0xf0) break;
                continue;
            }
            if (k > 63) throw beyond();
            block[at + ROWS[k]] = (short) signed(size);
            left = count;
            last = k;
        }
        bits = next;
        count = left;
        return last;
    }

    FormatException beyond() {
        return new FormatException(name, "the picture is damaged: the JPEG has a coefficient beyond its block");
    }

    /** The next {@code size} bits, 0 … 16. */
    int take(int size) {
        if (count < size) fill();
        count -= size;
        return (int) (bits >>> count) & (1 << size) - 1;
    }

    /** A number of {@code size} bits, 1 … 15: those that begin with 0 are negative. */
    int signed(int size) {
        int value = take(size);
        return value < 1 << size - 1 ? value - (1 << size) + 1 : value;
    }
}
