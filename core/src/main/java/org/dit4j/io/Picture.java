package org.dit4j.io;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferInt;

/** Decoded pixels: packed RGB, row by row, and EXIF's orientation. Not a record: it holds an array. */
final class Picture {
    final int width, height;
    final int[] rgb;
    /** 1 … 8. */
    final int orientation;

    Picture(int width, int height, int[] rgb, int orientation) {
        this.width = width;
        this.height = height;
        this.rgb = rgb;
        this.orientation = orientation;
    }

    /** The packed RGB pixels, row by row: the picture's own array if it is TYPE_INT_RGB, else a copy. */
    static int[] pixels(BufferedImage image) {
        if (image.getType() == BufferedImage.TYPE_INT_RGB
                && image.getRaster().getParent() == null
                && image.getRaster().getDataBuffer() instanceof DataBufferInt data
                && data.getSize() == image.getWidth() * image.getHeight()) return data.getData();
        int[] argb = image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
        for (int i = 0; i < argb.length; i++) argb[i] &= 0xffffff;
        return argb;
    }

    /** Upright: turned and mirrored as the orientation says, as Pillow's {@code ImageOps.exif_transpose}. */
    Picture upright() {
        if (orientation == 1) return this;
        boolean swapped = orientation >= 5;
        int wide = swapped ? height : width, high = swapped ? width : height;
        int[] turned = new int[rgb.length];
        for (int y = 0; y < high; y++) {
            for (int x = 0; x < wide; x++) {
                int from = switch (orientation) {
                    case 2 -> y * width + width - 1 - x;
                    case 3 -> (height - 1 - y) * width + width - 1 - x;
                    case 4 -> (height - 1 - y) * width + x;
                    case 5 -> x * width + y;
                    case 6 -> (height - 1 - x) * width + y;
                    case 7 -> (height - 1 - x) * width + width - 1 - y;
                    default -> x * width + width - 1 - y; // 8
                };
                turned[y * wide + x] = rgb[from];
            }
        }
        return new Picture(wide, high, turned, 1);
    }
}
