package org.dit4j.io;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** The markers of a JPEG before its first scan, checked, and made unambiguous for ImageIO. */
final class JpegFile {
    private static final int SOI = 0xd8, SOS = 0xda, EOI = 0xd9, APP0 = 0xe0, APP14 = 0xee, APP15 = 0xef, COM = 0xfe;
    private static final byte[] JFIF = {
        (byte) 0xff, (byte) APP0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0
    };
    private static final byte[] ADOBE_RGB = {
        (byte) 0xff, (byte) APP14, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0
    };

    private final String name;
    private final byte[] file;
    private boolean jfif, adobe, adobeRgb, rgbNames, frame;

    private JpegFile(String name, byte[] file) {
        this.name = name;
        this.file = file;
    }

    static boolean isJpeg(byte[] bytes) {
        return bytes.length >= 3 && (bytes[0] & 255) == 0xff && (bytes[1] & 255) == SOI && (bytes[2] & 255) == 0xff;
    }

    /**
     * The same picture without profiles, thumbnails and comments, and with one marker that says whether it is YCbCr or RGB: libjpeg takes a
     * file without such a marker for YCbCr unless its components are called R, G, B, while ImageIO guesses from the subsampling.
     *
     * @throws FormatException if it is damaged, too large, or not 8-bit grey or colour
     */
    static byte[] checked(String name, byte[] bytes) throws FormatException {
        return new JpegFile(name, bytes).checked();
    }

    private byte[] checked() throws FormatException {
        ByteArrayOutputStream kept = new ByteArrayOutputStream(file.length + 32);
        int at = 2;
        while (true) {
            at = skipFill(at);
            int marker = file[at + 1] & 255;
            int length = unsigned(at + 2);
            if (length < 2 || at + 2 + length > file.length) throw cutShort(at);
            if (marker == SOS) break;
            if (marker >= APP0 && marker <= APP15 || marker == COM) readApplication(marker, at + 4, at + 2 + length);
            else {
                if (isFrame(marker)) readFrame(marker, at + 4, at + 2 + length);
                kept.write(file, at, length + 2);
            }
            at += 2 + length;
        }
        if (!frame) throw new FormatException(name, "the JPEG has no frame header before its first scan");
        ByteArrayOutputStream result = new ByteArrayOutputStream(file.length + 32);
        result.write(file, 0, 2);
        result.writeBytes(isRgb() ? ADOBE_RGB : JFIF);
        result.writeBytes(kept.toByteArray());
        result.write(file, at, file.length - at);
        return result.toByteArray();
    }

    private boolean isRgb() {
        if (jfif) return false;
        return adobe ? adobeRgb : rgbNames;
    }

    private int skipFill(int from) throws FormatException {
        int at = from;
        if (at + 4 > file.length) throw cutShort(at);
        if ((file[at] & 255) != 0xff) throw new FormatException(name, "the JPEG is damaged: no marker at byte " + at);
        while ((file[at + 1] & 255) == 0xff) if (++at + 4 > file.length) throw cutShort(at);
        int marker = file[at + 1] & 255;
        if (marker < 0xc0 || marker >= 0xd0 && marker <= EOI)
            throw new FormatException(name, "the JPEG is damaged: unexpected marker at byte " + at);
        return at;
    }

    private static boolean isFrame(int marker) {
        return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    }

    private void readApplication(int marker, int begin, int end) {
        if (marker == APP0 && startsWith("JFIF\0", begin, end)) jfif = true;
        if (marker == APP14 && end - begin >= 12 && startsWith("Adobe", begin, end)) {
            adobe = true;
            adobeRgb = file[begin + 11] == 0;
        }
    }

    private boolean startsWith(String text, int begin, int end) {
        return end - begin >= text.length()
                && new String(file, begin, text.length(), StandardCharsets.ISO_8859_1).equals(text);
    }

    private void readFrame(int marker, int begin, int end) throws FormatException {
        if (frame) throw new FormatException(name, "the JPEG has two frame headers");
        frame = true;
        if (marker != 0xc0 && marker != 0xc1 && marker != 0xc2)
            throw new FormatException(name, "a lossless or arithmetic-coded JPEG; convert it to baseline or PNG first");
        if (end - begin < 6) throw cutShort(begin);
        int precision = file[begin] & 255, components = file[begin + 5] & 255;
        if (precision != 8)
            throw new FormatException(name, "a JPEG of " + precision + " bits per sample; only 8 are read");
        if (components == 4)
            throw new FormatException(
                    name, "a CMYK or YCCK JPEG; its colours depend on a print profile," + " convert it to RGB first");
        if (components != 1 && components != 3)
            throw new FormatException(name, "a JPEG of " + components + " components; 1 or 3 are read");
        if (end - begin < 6 + 3 * components) throw cutShort(begin);
        Images.checkSize(name, unsigned(begin + 3), unsigned(begin + 1));
        rgbNames = components == 3 && file[begin + 6] == 'R' && file[begin + 9] == 'G' && file[begin + 12] == 'B';
    }

    private int unsigned(int at) {
        return (file[at] & 255) << 8 | file[at + 1] & 255;
    }

    private FormatException cutShort(int at) {
        return new FormatException(name, "the JPEG is cut short at byte " + at);
    }
}
