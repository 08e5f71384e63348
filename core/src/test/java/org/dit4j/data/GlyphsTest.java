package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GlyphsTest {
    private static final int PIXELS = 32 * 32;

    private static float[] pixels(Glyphs glyphs, long index) {
        float[] out = new float[3 * glyphs.height() * glyphs.width()];
        glyphs.pixels(index, out, 0);
        return out;
    }

    private static int red(float[] pixels, int x, int y) {
        return Math.round((pixels[32 * y + x] + 1) * 127.5f);
    }

    @Test
    void drawsTheSameBitsOnEveryJvm() {
        Glyphs glyphs = new Glyphs(0);
        CRC32 sum = new CRC32();
        for (long index = 0; index < 200; index++)
            for (float value : pixels(glyphs, index)) sum.update(Math.round((value + 1) * 127.5f));
        assertEquals("95c9e32a", Long.toHexString(sum.getValue()));
    }

    @Test
    void anItemDependsOnItsSeedAndIndexOnly() {
        Glyphs glyphs = new Glyphs(7);
        float[] first = pixels(glyphs, 123_456_789_012L);
        pixels(glyphs, 5);
        assertArrayEquals(first, pixels(new Glyphs(7), 123_456_789_012L));
        assertFalse(Arrays.equals(first, pixels(new Glyphs(8), 123_456_789_012L)));
        assertFalse(Arrays.equals(first, pixels(glyphs, 123_456_789_022L)));
    }

    @Test
    void everyTenItemsHoldEachClassOnceInVaryingOrder() {
        Glyphs glyphs = new Glyphs(3);
        Set<Integer> firstOfTen = new HashSet<>();
        for (long ten = 0; ten < 100; ten++) {
            long from = 10 * ten;
            assertEquals(
                    10,
                    LongStream.range(from, from + 10)
                            .map(glyphs::label)
                            .distinct()
                            .count());
            firstOfTen.add(glyphs.label(from));
        }
        assertEquals(10, firstOfTen.size());
        assertEquals(10, glyphs.classNames().size());
    }

    @Test
    void pixelsAreBytesBetweenMinusOneAndOne() {
        Glyphs glyphs = new Glyphs(0);
        for (long index = 0; index < 50; index++)
            for (float value : pixels(glyphs, index)) {
                int level = Math.round((value + 1) * 127.5f);
                assertTrue(level >= 0 && level <= 255);
                assertEquals(level / 127.5f - 1, value);
            }
    }

    @Test
    void everyGlyphStaysInsideThePicture() {
        Glyphs glyphs = new Glyphs(0);
        for (long index = 0; index < 1000; index++) {
            float[] pixels = pixels(glyphs, index);
            int ground = red(pixels, 0, 0);
            for (int i = 0; i < 32; i++)
                // a tip may touch the outermost pixel, with a little of its cover
                for (int edge :
                        new int[] {red(pixels, i, 0), red(pixels, i, 31), red(pixels, 0, i), red(pixels, 31, i)})
                    assertTrue(Math.abs(edge - ground) < 100, "item " + index);
        }
    }

    @ParameterizedTest
    @EnumSource(Glyph.class)
    void theDistanceChangesByOnePerUnitAtMost(Glyph glyph) {
        for (double y = -1.4; y < 1.4; y += 0.01)
            for (double x = -1.4; x < 1.4; x += 0.01) {
                double step = glyph.distance(x + 0.01, y) - glyph.distance(x, y);
                assertTrue(Math.abs(step) <= 0.01 + 1e-9, x + ", " + y); // the anti-aliasing relies on it
            }
    }

    @ParameterizedTest
    @EnumSource(Glyph.class)
    void everyGlyphFitsTheUnitCircleAndFillsAPartOfIt(Glyph glyph) {
        int inside = 0;
        for (double y = -1.6; y < 1.6; y += 0.02)
            for (double x = -1.6; x < 1.6; x += 0.02)
                if (glyph.distance(x, y) < 0) {
                    inside++;
                    assertTrue(Math.hypot(x, y) < 1.03, x + ", " + y);
                }
        double share = inside * 0.02 * 0.02 / Math.PI;
        assertTrue(share > 0.2 && share < 0.85, "fills " + share + " of the circle");
    }

    @Test
    void aLargerPictureShowsTheSameScene() {
        float[] small = pixels(new Glyphs(1), 17), large = pixels(new Glyphs(1, 64), 17);
        double difference = 0;
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++) {
                int corner = 2 * y * 64 + 2 * x;
                float mean = (large[corner] + large[corner + 1] + large[corner + 64] + large[corner + 65]) / 4;
                difference += Math.abs(mean - small[32 * y + x]);
            }
        assertTrue(difference / PIXELS < 0.02, "mean difference " + difference / PIXELS);
    }

    @Test
    void refusesWhatItCannotDraw() {
        Glyphs glyphs = new Glyphs(0);
        assertThrows(IllegalArgumentException.class, () -> new Glyphs(0, 4));
        assertThrows(IndexOutOfBoundsException.class, () -> glyphs.label(-1));
        assertThrows(IndexOutOfBoundsException.class, () -> glyphs.pixels(0, new float[3 * PIXELS], 1));
    }
}
