package org.dit4j.data;

import java.awt.image.BufferedImage;
import org.dit4j.io.Images;

/** Pictures as a network takes them. */
final class Pixels {
    private Pixels() {}

    /** Writes (C, H, W) from {@code offset} on; C is 3, or 1 for the grey that Pillow makes of the picture. */
    static void write(BufferedImage picture, int channels, float[] out, int offset) {
        byte[] rgb = Images.toRgbBytes(picture);
        int plane = picture.getHeight() * picture.getWidth();
        for (int i = 0; i < plane; i++) {
            int red = rgb[3 * i] & 255, green = rgb[3 * i + 1] & 255, blue = rgb[3 * i + 2] & 255;
            if (channels == 1) {
                out[offset + i] = scaled(red * 19595 + green * 38470 + blue * 7471 + 0x8000 >> 16); // Pillow's weights
                continue;
            }
            out[offset + i] = scaled(red);
            out[offset + plane + i] = scaled(green);
            out[offset + 2 * plane + i] = scaled(blue);
        }
    }

    private static float scaled(int level) {
        return level / 127.5f - 1;
    }

    /** The level 0 … 255 that a number of {@link #write} stands for. */
    static int level(float scaled) {
        return Math.round((scaled + 1) * 127.5f);
    }
}
