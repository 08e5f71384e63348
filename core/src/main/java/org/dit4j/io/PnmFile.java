package org.dit4j.io;

/** The portable anymap: P1 to P6, text and raw, of up to 16 bits, as Pillow's {@code convert("RGB")}. */
final class PnmFile {
    private final String name;
    private final byte[] file;
    private final int kind, width, height, max;
    private int at = 2;

    private PnmFile(String name, byte[] file) throws FormatException {
        this.name = name;
        this.file = file;
        kind = file[1] - '0';
        width = number();
        height = number();
        max = isBits() ? 1 : number();
        if (width < 1 || height < 1) throw new FormatException(name, "its size is " + width + "x" + height);
        if (max < 1 || max > 65_535) throw damaged("a highest level of " + max);
        if (kind >= 4) at++; // one space
    }

    static boolean isPnm(byte[] file) {
        return file.length > 3 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6' && isSpace(file[2]);
    }

    static PictureHeader header(String name, byte[] file) throws FormatException {
        PnmFile pnm = new PnmFile(name, file);
        return new PictureHeader(pnm.width, pnm.height, 1, 4L * pnm.width * pnm.height + file.length);
    }

    static Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        PnmFile pnm = new PnmFile(name, file);
        limits.check(name, pnm.width, pnm.height);
        try (PictureLimits.Room room = limits.room(name, 4L * pnm.width * pnm.height + file.length)) {
            return new Picture(pnm.width, pnm.height, pnm.decode(), 1);
        }
    }

    private boolean isBits() {
        return kind == 1 || kind == 4;
    }

    private boolean isColour() {
        return kind == 3 || kind == 6;
    }

    private int[] decode() throws FormatException {
        int bands = isColour() ? 3 : 1, size = max > 255 ? 2 : 1;
        long least = kind == 4 ? (width + 7L) / 8 * height : (long) width * height * bands * (kind > 4 ? size : 1);
        if (file.length - at < least)
            throw new FormatException(name, "the picture is cut short at byte " + file.length);
        int[] rgb = new int[width * height];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int pixel;
                if (isBits()) pixel = bit(x, y) ? 0 : 0xffffff;
                else if (bands == 1) pixel = level(sample(), true) * 0x010101;
                else pixel = level(sample(), false) << 16 | level(sample(), false) << 8 | level(sample(), false);
                rgb[y * width + x] = pixel;
            }
        }
        return rgb;
    }

    private boolean bit(int x, int y) throws FormatException {
        if (kind == 4) return (file[at + y * ((width + 7) / 8) + x / 8] >> 7 - x % 8 & 1) == 1;
        skipSpace();
        if (at >= file.length) throw new FormatException(name, "the picture is cut short at byte " + at);
        byte digit = file[at++];
        if (digit != '0' && digit != '1') throw damaged("a bit that is neither 0 nor 1");
        return digit == '1';
    }

    private int sample() throws FormatException {
        int value = kind < 4 ? number() : max > 255 ? (file[at++] & 255) << 8 | file[at++] & 255 : file[at++] & 255;
        if (kind < 4 && value > max) throw damaged("a level of " + value + ", above " + max);
        return value;
    }

    /** As Pillow: scaled; but grey above 8 bits is scaled to 16, and then clipped to 8. */
    private int level(int value, boolean grey) {
        if (max == 255) return value;
        if (grey && max > 255)
            return Math.min(255, max == 65_535 ? value : (int) Math.rint(value / (double) max * 65_535));
        return Math.min(255, (int) Math.rint(value / (double) max * 255));
    }

    private static boolean isSpace(byte b) {
        return b == ' ' || b >= 9 && b <= 13;
    }

    private void skipSpace() {
        while (at < file.length && (isSpace(file[at]) || file[at] == '#'))
            if (file[at++] == '#') while (at < file.length && file[at] != '\n' && file[at] != '\r') at++;
    }

    private int number() throws FormatException {
        skipSpace();
        int begin = at, value = 0;
        while (at < file.length && file[at] >= '0' && file[at] <= '9' && at - begin < 9)
            value = value * 10 + file[at++] - '0';
        if (at == begin || at < file.length && !isSpace(file[at]) && file[at] != '#')
            throw at < file.length
                    ? damaged("no number at byte " + begin)
                    : new FormatException(name, "the picture is cut short at byte " + at);
        return value;
    }

    private FormatException damaged(String how) {
        return new FormatException(name, "the picture is damaged: the PNM has " + how);
    }
}
