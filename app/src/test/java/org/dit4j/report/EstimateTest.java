package org.dit4j.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.dit4j.checkpoint.Retention;
import org.junit.jupiter.api.Test;

class EstimateTest {
    @Test
    void checkpointsThatStayAreCounted() {
        assertEquals(1, Estimate.kept(500, 50_000, 0, new Retention(3, 0)));
        assertEquals(3, Estimate.kept(400_000, 50_000, 0, new Retention(3, 0)));
        assertEquals(4, Estimate.kept(400_000, 50_000, 0, new Retention(1, 100_000)), "the last is a multiple too");
        assertEquals(3, Estimate.kept(650, 100, 0, new Retention(1, 150)), "300, 600 and 650");
        assertEquals(8, Estimate.kept(400_000, 50_000, 0, new Retention(20, 0)));
        assertEquals(3, Estimate.kept(500, 50_000, 9, new Retention(3, 0)), "by time, of one by steps");
        assertEquals(7, Estimate.kept(400_000, 50_000, 900, new Retention(3, 100_000)), "by time, and every 100,000");
    }
}
