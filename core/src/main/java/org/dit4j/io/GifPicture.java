package org.dit4j.io;

import java.util.Arrays;

/** The first picture of a GIF, as Pillow's {@code convert("RGB")}: on its canvas, without transparency. */
final class GifPicture {
    private final String name;
    private final byte[] file;
    private final int width, height, background;
    private int at = 13;
    private int[] global;

    private GifPicture(String name, byte[] file) throws FormatException {
        this.name = name;
        this.file = file;
        if (file.length < 13) throw cutShort();
        width = little(6);
        height = little(8);
        background = file[11] & 255;
        if (width < 1 || height < 1) throw new FormatException(name, "its size is " + width + "x" + height);
    }

    static boolean isGif(byte[] file) {
        return file.length > 6
                && file[0] == 'G'
                && file[1] == 'I'
                && file[2] == 'F'
                && file[3] == '8'
                && (file[4] == '7' || file[4] == '9')
                && file[5] == 'a';
    }

    static PictureHeader header(String name, byte[] file) throws FormatException {
        GifPicture gif = new GifPicture(name, file);
        return new PictureHeader(gif.width, gif.height, 1, gif.bytesToDecode());
    }

    static Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        GifPicture gif = new GifPicture(name, file);
        limits.check(name, gif.width, gif.height);
        try (PictureLimits.Room room = limits.room(name, gif.bytesToDecode())) {
            return new Picture(gif.width, gif.height, gif.decode(limits), 1);
        }
    }

    private long bytesToDecode() {
        return 5L * width * height + file.length;
    }

    private int[] decode(PictureLimits limits) throws FormatException {
        if (file[10] < 0) global = palette(file[10] & 7);
        while (true) {
            require(1);
            int block = file[at++] & 255;
            if (block == ',') return picture();
            if (block == '!') {
                at++;
                skipBlocks();
            } else if (block == ';') throw new FormatException(name, "the GIF has no picture");
            else
                throw new FormatException(
                        name, "the GIF is damaged: a block of type " + block + " at byte " + (at - 1));
        }
    }

    private int[] picture() throws FormatException {
        require(9);
        int left = little(at), top = little(at + 2), wide = little(at + 4), high = little(at + 6), flags = file[at + 8];
        at += 9;
        int[] colors = (flags & 0x80) != 0 ? palette(flags & 7) : global;
        if (colors == null) { // Pillow's are grey then
            colors = new int[256];
            for (int i = 0; i < 256; i++) colors[i] = i * 0x010101;
        }
        if (wide < 1 || high < 1 || left + wide > width || top + high > height)
            throw new FormatException(
                    name, "the GIF is damaged: its picture reaches out of its " + width + "x" + height);
        byte[] indices = new Lzw(name, file, at).decode(wide * high);
        int[] rgb = new int[width * height];
        Arrays.fill(rgb, left + top == 0 && wide == width && high == height ? 0 : colors[background]);
        boolean interlaced = (flags & 0x40) != 0;
        int row = 0, step = interlaced ? 8 : 1, pass = 0;
        for (int i = 0; i < high; i++) {
            for (int x = 0; x < wide; x++) rgb[(top + row) * width + left + x] = colors[indices[i * wide + x] & 255];
            row += step;
            while (row >= high && pass < 3 && interlaced) {
                row = 4 >> pass;
                step = 8 >> pass;
                pass++;
            }
        }
        return rgb;
    }

    private int[] palette(int bits) throws FormatException {
        int count = 2 << bits;
        require(3 * count);
        int[] colors = new int[256];
        for (int i = 0; i < count; i++, at += 3)
            colors[i] = (file[at] & 255) << 16 | (file[at + 1] & 255) << 8 | file[at + 2] & 255;
        return colors;
    }

    private void skipBlocks() throws FormatException {
        while (true) {
            require(1);
            int length = file[at++] & 255;
            if (length == 0) return;
            at += length;
        }
    }

    private int little(int from) {
        return file[from] & 255 | (file[from + 1] & 255) << 8;
    }

    private void require(int bytes) throws FormatException {
        if (at < 0 || bytes > file.length - at) throw cutShort();
    }

    private FormatException cutShort() {
        return new FormatException(name, "the GIF is cut short at byte " + file.length);
    }

    /** GIF's codes: growing, lowest bits first, in blocks of up to 255 bytes. */
    private static final class Lzw {
        private final String name;
        private final byte[] file;
        private final int least;
        private int at, blockEnd, bits, count;

        Lzw(String name, byte[] file, int at) throws FormatException {
            this.name = name;
            this.file = file;
            this.at = at + 1;
            blockEnd = at + 1;
            if (at >= file.length) throw new FormatException(name, "the GIF is cut short at byte " + at);
            least = file[at] & 255;
            if (least > 11) throw new FormatException(name, "the GIF is damaged: codes of " + least + " bits");
        }

        byte[] decode(int size) throws FormatException {
            byte[] out = new byte[size];
            int clear = 1 << least, next = clear + 2, width = least + 1, previous = -1, to = 0;
            // by code: where in the output its string was last written, and its length
            int[] places = new int[4097], lengths = new int[4097];
            while (to < size) {
                int code = code(width);
                if (code == clear) {
                    next = clear + 2;
                    width = least + 1;
                    previous = -1;
                    continue;
                }
                if (code == clear + 1)
                    throw new FormatException(name, "the picture is cut short: the GIF has too few pixels");
                boolean known = code < clear || code < next;
                if (!known && (code != next || previous < 0))
                    throw new FormatException(name, "the picture is damaged: code " + code + " of the GIF");
                int begin = to;
                if (code < clear) out[to++] = (byte) code;
                else {
                    // the newest string is that before with one more: it is read as it is written
                    int from = places[code == next ? 4096 : code],
                            length = code == next ? lengths[4096] + 1 : lengths[code];
                    for (int i = 0; i < length && to < size; i++) out[to++] = out[from + i];
                }
                if (previous >= 0 && next < 4096) {
                    places[next] = places[4096];
                    lengths[next] = lengths[4096] + 1;
                    next++;
                    if (next == 1 << width && width < 12) width++;
                }
                places[4096] = begin;
                lengths[4096] = to - begin;
                previous = code;
            }
            return out;
        }

        private int code(int width) throws FormatException {
            while (count < width) {
                if (at == blockEnd) {
                    if (at >= file.length || file[at] == 0)
                        throw new FormatException(name, "the picture is cut short: the GIF has too few pixels");
                    blockEnd = at + 1 + (file[at] & 255);
                    at++;
                }
                if (at >= file.length) throw new FormatException(name, "the GIF is cut short at byte " + at);
                bits |= (file[at++] & 255) << count;
                count += 8;
            }
            int code = bits & (1 << width) - 1;
            bits >>>= width;
            count -= width;
            return code;
        }
    }
}
