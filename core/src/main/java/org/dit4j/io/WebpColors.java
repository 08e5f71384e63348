package org.dit4j.io;

/** From the planes of a lossy WebP to RGB: libwebp's "fancy" upsampling and its numbers of ITU-R 601. */
final class WebpColors {
    private final WebpPlane luma, cb, cr;
    private final int width, height;

    WebpColors(WebpPlane luma, WebpPlane cb, WebpPlane cr, int width, int height) {
        this.luma = luma;
        this.cb = cb;
        this.cr = cr;
        this.width = width;
        this.height = height;
    }

    int[] toRgb() {
        int[] rgb = new int[width * height], u = new int[width + 2], v = new int[width + 2];
        int last = (height + 1) / 2 - 1;
        for (int y = 0; y < height; y++) {
            int row = y / 2, other = Math.max(0, Math.min(last, (y & 1) == 0 ? row - 1 : row + 1));
            line(cb, row, other, u);
            line(cr, row, other, v);
            int at = luma.at(0, y);
            for (int x = 0; x < width; x++) rgb[y * width + x] = rgb(luma.get(at + x), u[x], v[x]);
        }
        return rgb;
    }

    /** Twice as wide, each level 9, 3, 3 and 1 sixteenths of the four nearest. */
    private void line(WebpPlane plane, int row, int other, int[] to) {
        int near = plane.at(0, row), far = plane.at(0, other), pairs = (width - 1) / 2;
        to[0] = 3 * plane.get(near) + plane.get(far) + 2 >> 2;
        for (int x = 1; x <= pairs; x++) {
            int a = plane.get(near + x - 1),
                    b = plane.get(near + x),
                    c = plane.get(far + x - 1),
                    d = plane.get(far + x);
            int sum = a + b + c + d + 8;
            to[2 * x - 1] = (sum + 2 * (b + c) >> 3) + a >> 1;
            to[2 * x] = (sum + 2 * (a + d) >> 3) + b >> 1;
        }
        if (width % 2 == 0) to[width - 1] = 3 * plane.get(near + pairs) + plane.get(far + pairs) + 2 >> 2;
    }

    private static int rgb(int y, int u, int v) {
        int light = y * 19_077 >> 8;
        int red = light + (v * 26_149 >> 8) - 14_234;
        int green = light - (u * 6_419 >> 8) - (v * 13_320 >> 8) + 8_708;
        int blue = light + (u * 33_050 >> 8) - 17_685;
        return level(red) << 16 | level(green) << 8 | level(blue);
    }

    private static int level(int x) {
        return Math.max(0, Math.min(255, x >> 6));
    }
}
