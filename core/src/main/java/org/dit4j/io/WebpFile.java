package org.dit4j.io;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The chunks of a WebP, lossy or lossless; of an animation its first picture. Alpha is passed over, as {@code convert("RGB")} drops it. The
 * decoders below are own ones, because the known one in Java is up to 100 levels from libwebp's, which Pillow has.
 */
final class WebpFile {
    private final String name;
    private final ByteBuffer file;
    private int canvasWidth, canvasHeight, left, top, orientation = 1;
    /** Where the coded picture is. */
    private int begin = -1, end;

    private boolean lossless;

    private WebpFile(String name, byte[] bytes, boolean whole) throws FormatException {
        this.name = name;
        file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        chunks(12, (int) Math.min(bytes.length, 8 + (file.getInt(4) & 0xffffffffL)), whole);
        if (begin < 0) throw new FormatException(name, "the WebP is cut short, or has no picture");
    }

    static boolean isWebp(byte[] file) {
        return file.length >= 20
                && text(file, 0).equals("RIFF")
                && text(file, 8).equals("WEBP");
    }

    private static String text(byte[] file, int at) {
        return new String(file, at, 4, StandardCharsets.ISO_8859_1);
    }

    static PictureHeader header(String name, byte[] file) throws FormatException {
        WebpFile webp = new WebpFile(name, file, false);
        return new PictureHeader(webp.width(), webp.height(), webp.orientation, webp.bytesToDecode());
    }

    static Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        WebpFile webp = new WebpFile(name, file, true);
        limits.check(name, webp.width(), webp.height());
        limits.check(name, webp.size()[0], webp.size()[1]);
        try (PictureLimits.Room room = limits.room(name, webp.bytesToDecode())) {
            return webp.decode();
        } catch (IndexOutOfBoundsException e) {
            throw new FormatException(name, "the picture is damaged or cut short: the WebP makes no sense", e);
        }
    }

    private void chunks(int from, int until, boolean whole) throws FormatException {
        for (int at = from; at + 8 <= until && (whole || begin < 0); ) {
            String type = text(file.array(), at);
            long length = file.getInt(at + 4) & 0xffffffffL;
            if (length > until - at - 8 && whole)
                throw new FormatException(name, "the WebP is cut short in its chunk " + type);
            int last = (int) Math.min(until, at + 8 + length);
            switch (type) {
                case "VP8X" -> {
                    if (last - at < 18) throw new FormatException(name, "the WebP is cut short");
                    canvasWidth = 1 + little24(at + 12);
                    canvasHeight = 1 + little24(at + 15);
                }
                case "ANMF" -> {
                    if (begin >= 0) break; // only the first picture
                    if (last - at < 32) throw new FormatException(name, "the WebP is cut short");
                    left = 2 * little24(at + 8);
                    top = 2 * little24(at + 11);
                    chunks(at + 24, last, whole);
                }
                case "VP8 ", "VP8L" -> {
                    if (begin >= 0) break;
                    if (last - at < 18) throw new FormatException(name, "the WebP is cut short");
                    lossless = type.equals("VP8L");
                    begin = at + 8;
                    end = last;
                }
                case "EXIF" -> {
                    int tiff = last - at > 14 && text(file.array(), at + 8).equals("Exif") ? at + 14 : at + 8;
                    orientation = Exif.orientation(file.array(), tiff, last);
                }
                default -> {}
            }
            at = (int) Math.min(Integer.MAX_VALUE, at + 8 + length + (length & 1));
            if (at < 0) return;
        }
    }

    private int little24(int at) {
        return file.getInt(at - 1) >>> 8;
    }

    /** Width and height of the coded picture. */
    private int[] size() throws FormatException {
        if (lossless) {
            int bits = file.getInt(begin + 1);
            if (file.get(begin) != 0x2f || bits >>> 29 != 0)
                throw new FormatException(name, "the WebP is damaged: no lossless picture");
            return new int[] {1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)};
        }
        if ((file.get(begin) & 1) != 0 || little24(begin + 3) != 0x2a019d)
            throw new FormatException(name, "the WebP is damaged: no key frame");
        return new int[] {file.getShort(begin + 6) & 0x3fff, file.getShort(begin + 8) & 0x3fff};
    }

    private int width() throws FormatException {
        return canvasWidth > 0 ? canvasWidth : size()[0];
    }

    private int height() throws FormatException {
        return canvasHeight > 0 ? canvasHeight : size()[1];
    }

    private long bytesToDecode() throws FormatException {
        return 12L * size()[0] * size()[1] + 4L * width() * height() + file.capacity();
    }

    private Picture decode() throws FormatException {
        int[] size = size();
        int wide = size[0], high = size[1], width = width(), height = height();
        if (left + wide > width || top + high > height || wide == 0 || high == 0)
            throw new FormatException(name, "the WebP is damaged: its picture reaches out of its canvas");
        int[] pixels = lossless
                ? new WebpLossless(name, file.array(), begin + 5, end).decode(wide, high)
                : new WebpLossy(name, file.array(), begin, end, wide, high).decode();
        for (int i = 0; i < pixels.length; i++) pixels[i] &= 0xffffff;
        if (wide == width && high == height) return new Picture(width, height, pixels, orientation);
        int[] canvas = new int[width * height];
        for (int y = 0; y < high; y++) System.arraycopy(pixels, y * wide, canvas, (top + y) * width + left, wide);
        return new Picture(width, height, canvas, orientation);
    }
}
