package org.dit4j.io;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The one thing of EXIF data that says how a picture is to be seen. */
final class Exif {
    private static final int ORIENTATION = 0x112, SHORT = 3;

    private Exif() {}

    /** The orientation, 1 … 8, of a TIFF header and its first folder; 1, as it is, where they say nothing or make no sense. */
    static int orientation(byte[] file, int begin, int end) {
        if (end - begin < 14) return 1;
        ByteBuffer tiff = ByteBuffer.wrap(file, begin, end - begin).slice();
        if (tiff.get(0) == 'I' && tiff.get(1) == 'I') tiff.order(ByteOrder.LITTLE_ENDIAN);
        else if (tiff.get(0) != 'M' || tiff.get(1) != 'M') return 1;
        long folder = tiff.getInt(4) & 0xffffffffL;
        if (tiff.getShort(2) != 42 || folder + 2 > tiff.limit()) return 1;
        int count = tiff.getShort((int) folder) & 0xffff;
        for (int i = 0; i < count; i++) {
            long at = folder + 2 + 12L * i;
            if (at + 12 > tiff.limit()) return 1;
            if ((tiff.getShort((int) at) & 0xffff) != ORIENTATION) continue;
            int value = tiff.getShort((int) at + 2) == SHORT ? tiff.getShort((int) at + 8) & 0xffff : 1;
            return value >= 1 && value <= 8 ? value : 1;
        }
        return 1;
    }
}
