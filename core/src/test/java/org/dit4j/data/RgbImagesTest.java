package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

class RgbImagesTest {
    /** One picture of three rows and four columns, each pixel its number in steps of ten levels, red less than green less than blue. */
    private record Steps(int channels) implements Dataset {
        @Override
        public long size() {
            return 1;
        }

        @Override
        public int height() {
            return 3;
        }

        @Override
        public int width() {
            return 4;
        }

        @Override
        public List<String> classNames() {
            return List.of("steps");
        }

        @Override
        public int label(long index) {
            return 0;
        }

        @Override
        public void pixels(long index, float[] out, int offset) {
            for (int i = 0; i < 12 * channels; i++) out[offset + i] = (10 * (i % 12) + i / 12) / 127.5f - 1;
        }

        @Override
        public String describe() {
            return "steps";
        }
    }

    private static int[] levels(Dataset dataset) throws IOException {
        float[] out = new float[dataset.channels() * dataset.height() * dataset.width()];
        dataset.pixels(0, out, 0);
        int[] levels = new int[out.length];
        for (int i = 0; i < out.length; i++) levels[i] = Pixels.level(out[i]);
        return levels;
    }

    @Test
    void greyIsRepeated() throws IOException {
        int[] plane = {0, 10, 20, 40, 50, 60, 80, 90, 100};
        int[] levels = levels(new RgbImages(new Steps(1), 3));
        for (int channel = 0; channel < 3; channel++)
            assertArrayEquals(plane, java.util.Arrays.copyOfRange(levels, 9 * channel, 9 * channel + 9));
    }

    @Test
    void coloursKeepTheirPlaces() throws IOException {
        int[] levels = levels(new RgbImages(new Steps(3), 3));
        assertEquals(100, levels[8]);
        assertEquals(101, levels[17]);
        assertEquals(102, levels[26]);
    }

    @Test
    void whatIsNoPictureIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> new RgbImages(new Steps(4), 3));
        assertThrows(IllegalArgumentException.class, () -> new RgbImages(new Steps(3), 0));
    }
}
