package org.dit4j.run;

import java.util.function.LongSupplier;

/**
 * When to do something that is not training but wanted as often as possible: such that it takes at most a share of the wall time. Besides
 * the next time, which is expected to take as long as the last did, it keeps room for once more, at the end. The first time is due at once.
 */
final class TimeShare {
    private final double share;
    private final LongSupplier nanoTime;
    private final long start;
    private long began, spent, last;

    /** From now on. */
    TimeShare(double share, LongSupplier nanoTime) {
        this.share = share;
        this.nanoTime = nanoTime;
        start = nanoTime.getAsLong();
    }

    /** Whether this and once more would keep to the share. */
    boolean isDue() {
        double elapsed = nanoTime.getAsLong() - start;
        return spent == 0 || spent + 2 * last <= share * (elapsed + 2 * last);
    }

    void begin() {
        began = nanoTime.getAsLong();
    }

    void end() {
        last = nanoTime.getAsLong() - began;
        spent += last;
    }
}
