package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EpochOrderTest {
    private static List<Long> epoch(EpochOrder order, long epoch) {
        return LongStream.range(epoch * order.size(), (epoch + 1) * order.size())
                .map(order::index)
                .boxed()
                .toList();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 15, 16, 17, 64, 1000, 5421})
    void everyEpochHoldsEveryItemOnce(long size) {
        EpochOrder order = new EpochOrder(size, 9);
        for (long epoch = 0; epoch < 3; epoch++) {
            Set<Long> seen = new HashSet<>(epoch(order, epoch));
            assertEquals(size, seen.size());
            assertTrue(seen.stream().allMatch(item -> item >= 0 && item < size));
        }
    }

    @Test
    void epochsAndSeedsDiffer() {
        EpochOrder order = new EpochOrder(100, 1);
        assertNotEquals(epoch(order, 0), epoch(order, 1));
        assertNotEquals(epoch(order, 0), epoch(new EpochOrder(100, 2), 0));
        assertEquals(epoch(order, 1), epoch(new EpochOrder(100, 1), 1));
        assertEquals(0, order.epoch(99));
        assertEquals(1, order.epoch(100));
    }

    @Test
    void everyItemComesToEveryPlaceEquallyOften() {
        int size = 5, epochs = 20_000;
        EpochOrder order = new EpochOrder(size, 4);
        int[][] counts = new int[size][size];
        for (long sample = 0; sample < (long) size * epochs; sample++)
            counts[(int) (sample % size)][(int) order.index(sample)]++;
        // chi-square with 16 degrees of freedom; 45 is passed by chance once in 7,000 seeds, and this seed is fixed
        double chiSquare = 0, expected = epochs / (double) size;
        for (int[] place : counts)
            for (int count : place) chiSquare += (count - expected) * (count - expected) / expected;
        assertTrue(chiSquare < 45, "chi-square " + chiSquare);
    }

    @Test
    void allOrdersOfThreeItemsOccur() {
        EpochOrder order = new EpochOrder(3, 0);
        Set<List<Long>> orders = new HashSet<>();
        for (long epoch = 0; epoch < 200; epoch++) orders.add(epoch(order, epoch));
        assertEquals(6, orders.size());
    }

    @Test
    void neighboursAreUnrelated() {
        EpochOrder order = new EpochOrder(10_000, 5);
        double meanStep = LongStream.range(1, 10_000)
                .map(sample -> Math.abs(order.index(sample) - order.index(sample - 1)))
                .average()
                .orElseThrow();
        assertEquals(3333, meanStep, 100); // a third of the size for independent places; standard error 24
    }

    @Test
    void anyPositionIsReachedAtOnce() {
        EpochOrder order = new EpochOrder(1_281_167, 0);
        long far = 1_281_167L * 1_000_000 + 77;
        assertEquals(1_000_000, order.epoch(far));
        assertTrue(order.index(far) < 1_281_167);
    }

    @Test
    void endlessSetsAreTakenInOrder() {
        EpochOrder order = new EpochOrder(Dataset.ENDLESS, 3);
        assertEquals(0, order.index(0));
        assertEquals(1L << 50, order.index(1L << 50));
        assertEquals(0, order.epoch(1L << 50));
    }

    @Test
    void refusesAnEmptySetAndANegativeSample() {
        assertThrows(IllegalArgumentException.class, () -> new EpochOrder(0, 0));
        assertThrows(IllegalArgumentException.class, () -> new EpochOrder(10, 0).index(-1));
    }
}
