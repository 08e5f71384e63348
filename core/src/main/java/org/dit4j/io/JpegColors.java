package org.dit4j.io;

/**
 * From the samples of a JPEG's components to RGB: libjpeg's "fancy" upsampling, whose weights are 3/4 and 1/4, its tables for YCbCr, and
 * Pillow's way from CMYK.
 */
final class JpegColors {
    /** What the components mean. */
    enum Space {
        GREY,
        RGB,
        YCBCR,
        CMYK,
        YCCK
    }

    private static final int[] RED_OF_CR = new int[256],
            BLUE_OF_CB = new int[256],
            GREEN_OF_CR = new int[256],
            GREEN_OF_CB = new int[256];
    /** A number of −512 to 511, of which 10 bits are taken → the level, clamped. */
    private static final int[] LEVELS = new int[1024];

    static {
        for (int x = -512; x < 512; x++) LEVELS[x & 1023] = Math.max(0, Math.min(255, x));
        for (int i = 0; i < 256; i++) {
            int x = i - 128;
            RED_OF_CR[i] = 91881 * x + 32768 >> 16; // 1.40200
            BLUE_OF_CB[i] = 116130 * x + 32768 >> 16; // 1.77200
            GREEN_OF_CR[i] = -46802 * x; // 0.71414
            GREEN_OF_CB[i] = -22554 * x + 32768; // 0.34414
        }
    }

    private final JpegComponent[] components;
    private final int maxAcross, maxDown, width;
    private final byte[][] lines;
    private final int[] sums;

    JpegColors(JpegComponent[] components, int maxAcross, int maxDown, int width) {
        this.components = components;
        this.maxAcross = maxAcross;
        this.maxDown = maxDown;
        this.width = width;
        // upsampling writes whole groups
        lines = new byte[components.length][width + 8];
        sums = new int[width + 8];
    }

    /** @param inverted whether the four inks of CMYK are stored as 255 − ink, as Adobe does; Pillow takes every file for such a one */
    int[] toRgb(Space space, int height, boolean inverted) {
        int[] rgb = new int[width * height];
        for (int y = 0; y < height; y++) {
            for (int i = 0; i < components.length; i++) line(components[i], y, lines[i]);
            int at = y * width;
            switch (space) {
                case GREY -> grey(rgb, at);
                case RGB -> rgb(rgb, at);
                case YCBCR -> yCbCr(rgb, at);
                case CMYK, YCCK -> cmyk(space == Space.YCCK, inverted, rgb, at);
            }
        }
        return rgb;
    }

    private void grey(int[] rgb, int at) {
        byte[] grey = lines[0];
        for (int x = 0; x < width; x++) rgb[at + x] = (grey[x] & 255) * 0x010101;
    }

    private void rgb(int[] rgb, int at) {
        byte[] red = lines[0], green = lines[1], blue = lines[2];
        for (int x = 0; x < width; x++) rgb[at + x] = (red[x] & 255) << 16 | (green[x] & 255) << 8 | blue[x] & 255;
    }

    private void yCbCr(int[] rgb, int at) {
        byte[] luma = lines[0], cb = lines[1], cr = lines[2];
        for (int x = 0; x < width; x++) rgb[at + x] = rgb(luma[x] & 255, cb[x] & 255, cr[x] & 255);
    }

    private static int rgb(int y, int cb, int cr) {
        int green = y + (GREEN_OF_CB[cb] + GREEN_OF_CR[cr] >> 16);
        return LEVELS[y + RED_OF_CR[cr] & 1023] << 16 | LEVELS[green & 1023] << 8 | LEVELS[y + BLUE_OF_CB[cb] & 1023];
    }

    private void cmyk(boolean ycck, boolean inverted, int[] rgb, int at) {
        int flip = inverted ? 255 : 0;
        for (int x = 0; x < width; x++) {
            int inks = ycck
                    ? ~rgb(lines[0][x] & 255, lines[1][x] & 255, lines[2][x] & 255)
                    : (lines[0][x] & 255) << 16 | (lines[1][x] & 255) << 8 | lines[2][x] & 255;
            rgb[at + x] = Inks.toRgb(
                    inks >> 16 & 255 ^ flip, inks >> 8 & 255 ^ flip, inks & 255 ^ flip, lines[3][x] & 255 ^ flip);
        }
    }

    /** A line of the picture's width, of a component that may have fewer samples. */
    private void line(JpegComponent component, int y, byte[] to) {
        int across = maxAcross / component.across, down = maxDown / component.down;
        int row = y / down;
        boolean fancy = component.width > 2 && across == 2;
        if (across == 1 && down == 1 || !fancy && !(across == 1 && down == 2)) {
            copy(component, row, across, to);
            return;
        }
        if (down > 2) {
            copy(component, row, across, to);
            return;
        }
        if (down == 1) {
            twiceAsWide(component, row, to);
            return;
        }
        int neighbour = Math.max(0, Math.min(component.height - 1, y % 2 == 0 ? row - 1 : row + 1));
        byte[] samples = component.samples;
        int near = row * component.stride(), far = neighbour * component.stride();
        if (across == 1) {
            int bias = y % 2 == 0 ? 1 : 2;
            for (int x = 0; x < component.width; x++)
                to[x] = (byte) ((samples[near + x] & 255) * 3 + (samples[far + x] & 255) + bias >> 2);
            return;
        }
        for (int x = 0; x < component.width; x++) sums[x] = (samples[near + x] & 255) * 3 + (samples[far + x] & 255);
        int last = component.width - 1;
        to[0] = (byte) (sums[0] * 4 + 8 >> 4);
        to[1] = (byte) (sums[0] * 3 + sums[1] + 7 >> 4);
        for (int x = 1; x < last; x++) {
            int sum = sums[x] * 3;
            to[2 * x] = (byte) (sum + sums[x - 1] + 8 >> 4);
            to[2 * x + 1] = (byte) (sum + sums[x + 1] + 7 >> 4);
        }
        to[2 * last] = (byte) (sums[last] * 3 + sums[last - 1] + 8 >> 4);
        to[2 * last + 1] = (byte) (sums[last] * 4 + 7 >> 4);
    }

    /** Repeats each sample. */
    private void copy(JpegComponent component, int row, int across, byte[] to) {
        int from = row * component.stride();
        if (across == 1) {
            System.arraycopy(component.samples, from, to, 0, component.width);
            return;
        }
        for (int x = 0; x < width; x++) to[x] = component.samples[from + x / across];
    }

    private static void twiceAsWide(JpegComponent component, int row, byte[] to) {
        byte[] samples = component.samples;
        int from = row * component.stride(), last = component.width - 1;
        int previous = samples[from] & 255, here = previous, next = samples[from + 1] & 255;
        to[0] = (byte) here;
        to[1] = (byte) (here * 3 + next + 2 >> 2);
        for (int x = 1; x < last; x++) {
            previous = here;
            here = next;
            next = samples[from + x + 1] & 255;
            to[2 * x] = (byte) (here * 3 + previous + 1 >> 2);
            to[2 * x + 1] = (byte) (here * 3 + next + 2 >> 2);
        }
        to[2 * last] = (byte) (next * 3 + here + 1 >> 2);
        to[2 * last + 1] = (byte) next;
    }
}
