package org.dit4j.io;

import javax.imageio.plugins.jpeg.JPEGHuffmanTable;

/** A Huffman table of a JPEG: codes of up to 16 bits, those of up to 10 by one look. */
final class JpegHuffman {
    static final int LOOK = 10;
    /** By the next bits: length of the code · 256 + symbol, or 0 if the code is longer. */
    final short[] look = new short[1 << LOOK];
    /**
     * Where the next bits hold a code and the number that it announces: number · 65536 + zeros before it · 256 + length of both, else 0. Of
     * AC tables.
     */
    final int[] number = new int[1 << LOOK];
    /** By length: one above the highest code, shifted to 16 bits; the last is above all. */
    final int[] limit = new int[18];
    /** By length: what to add to a code to have its symbol's place. */
    final int[] offset = new int[17];

    final byte[] symbols;

    /**
     * @param counts of codes by length, 1 … 16 at 0 … 15
     * @throws IllegalArgumentException if there are more codes than bits for them
     */
    JpegHuffman(int[] counts, byte[] symbols) {
        this.symbols = symbols;
        int code = 0, place = 0;
        for (int length = 1; length <= 16; length++) {
            int count = counts[length - 1];
            if (code + count > 1 << length) throw new IllegalArgumentException("more codes than bits for them");
            offset[length] = place - code;
            for (int i = 0; i < count; i++, code++, place++) {
                if (length > LOOK) continue;
                int first = code << LOOK - length;
                for (int j = first; j < first + (1 << LOOK - length); j++)
                    look[j] = (short) (length << 8 | symbols[place] & 255);
            }
            limit[length] = code << 16 - length;
            code <<= 1;
        }
        limit[17] = Integer.MAX_VALUE;
        for (int next = 0; next < look.length; next++) {
            int size = look[next] & 15, length = (look[next] >> 8) + size;
            if (look[next] == 0 || size == 0 || length > LOOK) continue;
            int value = next >> LOOK - length & (1 << size) - 1;
            if (value < 1 << size - 1) value -= (1 << size) - 1;
            number[next] = value << 16 | (look[next] >> 4 & 15) << 8 | length;
        }
    }

    /** Tables of the standard's annex K, for files that have none, as Motion JPEG's frames: 0 luminance, 1 chrominance. */
    static JpegHuffman standard(boolean dc, int index) {
        JPEGHuffmanTable table = dc
                ? (index == 0 ? JPEGHuffmanTable.StdDCLuminance : JPEGHuffmanTable.StdDCChrominance)
                : (index == 0 ? JPEGHuffmanTable.StdACLuminance : JPEGHuffmanTable.StdACChrominance);
        int[] counts = new int[16];
        for (int i = 0; i < table.getLengths().length; i++) counts[i] = table.getLengths()[i];
        byte[] symbols = new byte[table.getValues().length];
        for (int i = 0; i < symbols.length; i++) symbols[i] = (byte) table.getValues()[i];
        return new JpegHuffman(counts, symbols);
    }

    /** Whether all symbols are lengths of DC differences. */
    boolean isDc() {
        for (byte symbol : symbols) if ((symbol & 255) > 15) return false;
        return true;
    }
}
