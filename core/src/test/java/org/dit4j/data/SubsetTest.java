package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SubsetTest {
    private static final Glyphs GLYPHS = new Glyphs(0, 8);

    /** The first glyphs. */
    private record First(long size) implements Dataset {
        @Override
        public int channels() {
            return GLYPHS.channels();
        }

        @Override
        public int height() {
            return GLYPHS.height();
        }

        @Override
        public int width() {
            return GLYPHS.width();
        }

        @Override
        public List<String> classNames() {
            return GLYPHS.classNames();
        }

        @Override
        public int label(long index) {
            return GLYPHS.label(index);
        }

        @Override
        public void pixels(long index, float[] out, int offset) {
            GLYPHS.pixels(index, out, offset);
        }

        @Override
        public String describe() {
            return size + " glyphs";
        }
    }

    private static long[] indices(Subset subset) {
        return LongStream.range(0, subset.size()).map(subset::index).toArray();
    }

    @ParameterizedTest
    @CsvSource({"2,1", "10,3", "10,9", "100,1", "1000,500", "5000,300"})
    void everyItemIsEitherTrainedOnOrHeldOut(long size, int count) {
        for (long seed : new long[] {0, 1, -1, Long.MIN_VALUE}) {
            Subset heldOut = Subset.heldOut(new First(size), count, seed);
            Subset others = (Subset) Subset.others(new First(size), count, seed);
            TreeSet<Long> all = new TreeSet<>();
            for (long index : indices(heldOut)) assertTrue(all.add(index), index + " is there twice");
            assertEquals(count, all.size());
            long[] trained = indices(others);
            for (int i = 1; i < trained.length; i++) assertTrue(trained[i] > trained[i - 1], "in the old order");
            for (long index : trained) assertTrue(all.add(index), index + " is held out");
            assertEquals(size, all.size());
            assertEquals(0, all.first());
            assertEquals(size - 1, all.last());
        }
    }

    @Test
    void theChoiceIsRandomAndASeedRepeatsIt() {
        long[] once = indices(Subset.heldOut(new First(1000), 100, 7));
        assertArrayEquals(once, indices(Subset.heldOut(new First(1000), 100, 7)));
        assertNotEquals(
                List.of(LongStream.of(once).boxed().toArray()),
                List.of(LongStream.of(indices(Subset.heldOut(new First(1000), 100, 8)))
                        .boxed()
                        .toArray()));
        double mean = LongStream.of(once).average().orElseThrow();
        assertEquals(499.5, mean, 5 * 289 / Math.sqrt(100), "spread over all");
        assertTrue(once[0] > once[1] || once[1] > once[2] || once[2] > once[3], "not in the data set's order");
    }

    @Test
    void itemsAreThoseOfTheWholeSet() throws IOException {
        Subset heldOut = Subset.heldOut(new First(50), 5, 3);
        for (long item = 0; item < 5; item++) {
            assertEquals(GLYPHS.label(heldOut.index(item)), heldOut.label(item));
            float[] expected = new float[3 * 64], actual = new float[3 * 64];
            GLYPHS.sample(1, 2, heldOut.index(item), true, expected, 0);
            heldOut.sample(1, 2, item, true, actual, 0);
            assertArrayEquals(expected, actual);
        }
        assertThrows(IndexOutOfBoundsException.class, () -> heldOut.label(5));
        assertEquals("5 held out of 50 glyphs", heldOut.describe());
        assertEquals(
                "50 glyphs; 5 held out by seed 3",
                Subset.others(new First(50), 5, 3).describe());
    }

    @Test
    void ofEndlessDataNothingIsTakenAwayThatTrainingWouldReach() {
        assertSame(GLYPHS, Subset.others(GLYPHS, 300, 0));
        Subset heldOut = Subset.heldOut(GLYPHS, 300, 0);
        assertEquals(300, heldOut.size());
        assertTrue(heldOut.index(0) > 1L << 60);
        long[] classes = new long[10];
        for (int item = 0; item < 300; item++) classes[heldOut.label(item)]++;
        for (long count : classes) assertEquals(30, count, 1, "each class as often");
    }

    @Test
    void toHoldOutAllOrNoneIsRefused() {
        String message = assertThrows(IllegalArgumentException.class, () -> Subset.others(new First(5), 5, 0))
                .getMessage();
        assertEquals(
                "cannot hold out 5 of 5 items and train on the others; at least 1, and fewer than there are", message);
        assertThrows(IllegalArgumentException.class, () -> Subset.heldOut(new First(5), 6, 0));
        assertThrows(IllegalArgumentException.class, () -> Subset.heldOut(new First(5), 0, 0));
    }
}
