package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TimeShareTest {
    private long now = 1_000_000;
    private final TimeShare share = new TimeShare(0.05, () -> now);

    private void spend(long nanos) {
        share.begin();
        now += nanos;
        share.end();
    }

    @Test
    void theFirstTimeIsDueAtOnceAndLaterOnesPayForItFirst() {
        assertTrue(share.isDue());
        spend(10);
        assertFalse(share.isDue());
        List<Long> due = new ArrayList<>();
        for (long until = now + 2000; now < until; now++) {
            if (!share.isDue()) continue;
            due.add(now - 1_000_000);
            spend(10);
        }
        // 10 spent, 10 now and 10 at the end are 5% of 600: due at 580; then each needs 200 more
        assertEquals(List.of(580L, 780L, 980L, 1180L, 1380L, 1580L, 1780L, 1980L), due);
    }

    @Test
    void whatGetsFiveTimesAsExpensiveIsDueFiveTimesAsRarely() {
        spend(10);
        now = 1_000_580;
        assertTrue(share.isDue());
        spend(50);
        now = 1_003_099;
        assertFalse(share.isDue(), "60 spent and 100 to come are 5% of 3,200");
        now = 1_003_100;
        assertTrue(share.isDue());
    }

    @Test
    void whenARunEndsAtLeastNineteenPartsOfTwentyWereTraining() {
        Random random = new Random(1);
        for (int run = 0; run < 200; run++) {
            now = 0;
            TimeShare times = new TimeShare(0.05, () -> now);
            long cost = 1 + random.nextInt(1000), spent = 0, steps = 41 + random.nextInt(500);
            int evaluations = 0;
            for (long step = 1; step <= steps; step++) {
                now += cost;
                if (step < steps && !times.isDue()) continue;
                times.begin();
                now += cost;
                times.end();
                spent += cost;
                evaluations++;
            }
            assertTrue(20 * spent <= now, evaluations + " of " + steps + " took " + spent + " of " + now);
        }
    }
}
