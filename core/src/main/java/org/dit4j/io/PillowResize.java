package org.dit4j.io;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferInt;

/**
 * Resizing with the arithmetic of Pillow's {@code Image.resize} for 8-bit RGB, to the byte: a filter whose support grows with the reduction
 * (antialiasing), weights in fixed point, a horizontal pass and then a vertical one, each rounded and clamped to 8 bits.
 */
public final class PillowResize {
    /** A product of an 8-bit pixel and a weight keeps two bits of headroom, as the weights of a negative lobe sum to more than 1. */
    private static final int PRECISION_BITS = 32 - 8 - 2;

    private PillowResize() {}

    /** The filters that the reference uses. */
    public enum Filter {
        /** Mean of the covered pixels. */
        BOX(0.5) {
            @Override
            double at(double x) {
                return x > -0.5 && x <= 0.5 ? 1 : 0;
            }
        },
        /** Keys' cubic convolution with a = -0.5. */
        BICUBIC(2) {
            @Override
            double at(double x) {
                double d = Math.abs(x);
                if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
                if (d < 2) return (((d - 5) * d + 8) * d - 4) * -0.5;
                return 0;
            }
        };

        private final double support;

        Filter(double support) {
            this.support = support;
        }

        abstract double at(double x);
    }

    /**
     * The picture in another size.
     *
     * @return a new TYPE_INT_RGB picture
     * @throws IllegalArgumentException if a side is below 1
     */
    public static BufferedImage resize(BufferedImage image, int width, int height, Filter filter) {
        if (width < 1 || height < 1)
            throw new IllegalArgumentException("size " + width + "x" + height + "; both sides are at least 1");
        int sourceWidth = image.getWidth(), sourceHeight = image.getHeight();
        int[] pixels = Picture.pixels(image);
        // Pillow reduces very tall pictures vertically first
        boolean verticalFirst = sourceHeight > (long) sourceWidth * 100 && height < sourceHeight;
        if (verticalFirst) pixels = vertical(pixels, sourceWidth, sourceHeight, height, filter);
        if (width != sourceWidth)
            pixels = horizontal(pixels, sourceWidth, verticalFirst ? height : sourceHeight, width, filter);
        if (height != sourceHeight && !verticalFirst) pixels = vertical(pixels, width, sourceHeight, height, filter);
        BufferedImage result = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        System.arraycopy(pixels, 0, ((DataBufferInt) result.getRaster().getDataBuffer()).getData(), 0, pixels.length);
        return result;
    }

    private static int[] horizontal(int[] source, int width, int height, int newWidth, Filter filter) {
        Weights weights = Weights.of(width, newWidth, filter);
        int[] result = new int[newWidth * height];
        for (int y = 0; y < height; y++)
            for (int x = 0; x < newWidth; x++)
                result[y * newWidth + x] = weights.blend(x, source, y * width + weights.first[x], 1);
        return result;
    }

    private static int[] vertical(int[] source, int width, int height, int newHeight, Filter filter) {
        Weights weights = Weights.of(height, newHeight, filter);
        int[] result = new int[width * newHeight];
        for (int y = 0; y < newHeight; y++)
            for (int x = 0; x < width; x++)
                result[y * width + x] = weights.blend(y, source, weights.first[y] * width + x, width);
        return result;
    }

    /** For each new pixel the first old pixel it sees and the weights of those from there on. */
    private static final class Weights {
        final int[] first;
        final int[][] fixed;

        private Weights(int size) {
            first = new int[size];
            fixed = new int[size][];
        }

        static Weights of(int size, int newSize, Filter filter) {
            Weights weights = new Weights(newSize);
            double scale = (double) size / newSize;
            double filterScale = Math.max(scale, 1);
            double support = filter.support * filterScale;
            for (int i = 0; i < newSize; i++) {
                double center = (i + 0.5) * scale;
                int begin = Math.max((int) (center - support + 0.5), 0);
                int end = Math.min((int) (center + support + 0.5), size);
                weights.first[i] = begin;
                weights.fixed[i] = fixed(begin, end, center, 1 / filterScale, filter);
            }
            return weights;
        }

        private static int[] fixed(int begin, int end, double center, double inverseScale, Filter filter) {
            double[] exact = new double[end - begin];
            double sum = 0;
            for (int k = 0; k < exact.length; k++) {
                exact[k] = filter.at((k + begin - center + 0.5) * inverseScale);
                sum += exact[k];
            }
            int[] fixed = new int[exact.length];
            for (int k = 0; k < fixed.length; k++) {
                double weight = (sum == 0 ? exact[k] : exact[k] / sum) * (1 << PRECISION_BITS);
                fixed[k] = (int) (weight < 0 ? weight - 0.5 : weight + 0.5);
            }
            return fixed;
        }

        int blend(int index, int[] source, int from, int stride) {
            int[] weight = fixed[index];
            int half = 1 << (PRECISION_BITS - 1);
            int red = half, green = half, blue = half;
            for (int k = 0, at = from; k < weight.length; k++, at += stride) {
                int pixel = source[at];
                red += (pixel >> 16 & 255) * weight[k];
                green += (pixel >> 8 & 255) * weight[k];
                blue += (pixel & 255) * weight[k];
            }
            return clamp(red) << 16 | clamp(green) << 8 | clamp(blue);
        }

        private static int clamp(int sum) {
            return Math.max(0, Math.min(255, sum >> PRECISION_BITS));
        }
    }
}
