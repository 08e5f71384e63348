package org.dit4j.io;

/** VP8's arithmetic decoder of bits (RFC 6386, section 7). */
final class WebpBits {
    private final byte[] file;
    private final int end;
    private int at, range = 255, count;
    private long value;
    /** Whether more was asked for than there is. */
    boolean exhausted;

    WebpBits(byte[] file, int begin, int end) {
        this.file = file;
        this.end = end;
        at = begin;
    }

    private void fill() {
        while (count <= 48 && at < end) {
            value = value << 8 | file[at++] & 255;
            count += 8;
        }
        if (count >= 8) return;
        exhausted = true;
        value <<= 8;
        count += 8;
    }

    /** A bit that is 0 with probability {@code probability} / 256. */
    int bit(int probability) {
        if (count < 8) fill();
        int split = 1 + ((range - 1) * probability >> 8);
        long border = (long) split << count - 8;
        int bit = 0;
        if (value >= border) {
            value -= border;
            range -= split;
            bit = 1;
        } else range = split;
        int shift = Integer.numberOfLeadingZeros(range) - 24;
        range <<= shift;
        count -= shift;
        return bit;
    }

    boolean flag() {
        return bit(128) == 1;
    }

    int number(int size) {
        int number = 0;
        for (int i = 0; i < size; i++) number = number << 1 | bit(128);
        return number;
    }

    /** A number and its sign, where a flag says that there is one; else 0. */
    int optional(int size) {
        return flag() ? signed(size) : 0;
    }

    int signed(int size) {
        int number = number(size);
        return flag() ? -number : number;
    }
}
