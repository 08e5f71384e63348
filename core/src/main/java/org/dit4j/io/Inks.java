package org.dit4j.io;

/** Pillow's conversion of CMYK: each ink takes its light away, as if no profile existed. */
final class Inks {
    private Inks() {}

    /** Inks of 0 (none) to 255 (full). */
    static int toRgb(int cyan, int magenta, int yellow, int black) {
        int white = 255 - black;
        return level(white - part(cyan, white)) << 16
                | level(white - part(magenta, white)) << 8
                | level(white - part(yellow, white));
    }

    /** a · b / 255, rounded. */
    private static int part(int a, int b) {
        int product = a * b + 128;
        return (product >> 8) + product >> 8;
    }

    private static int level(int x) {
        return Math.max(0, Math.min(255, x));
    }
}
