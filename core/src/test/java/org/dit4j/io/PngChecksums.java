package org.dit4j.io;

import java.nio.ByteBuffer;
import java.util.zip.CRC32;

/** Makes the checksums of a damaged PNG right, so that the damage gets to what reads the chunks. */
final class PngChecksums {
    private PngChecksums() {}

    static byte[] repaired(byte[] file) {
        ByteBuffer png = ByteBuffer.wrap(file.clone());
        for (int at = 8; at + 12 <= file.length; ) {
            int length = png.getInt(at);
            if (length < 0 || length > file.length - at - 12) break;
            CRC32 crc = new CRC32();
            crc.update(file, at + 4, length + 4);
            png.putInt(at + 8 + length, (int) crc.getValue());
            at += 12 + length;
        }
        return png.array();
    }
}
