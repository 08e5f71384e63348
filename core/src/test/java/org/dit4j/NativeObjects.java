package org.dit4j;

import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.torch.Backend;

/** Counts native objects for leak tests. */
public final class NativeObjects {
    private static final int QUIET_READINGS = 2;

    private NativeObjects() {}

    /**
     * {@code Pointer.totalCount()} once the garbage collector has taken what earlier tests dropped: taken later, it would make the number
     * fall in the middle of a test.
     */
    public static long settled() {
        Backend.load();
        long count = Pointer.totalCount();
        for (int quiet = 0; quiet < QUIET_READINGS; ) {
            System.gc();
            try {
                TimeUnit.MILLISECONDS.sleep(15);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return count;
            }
            long now = Pointer.totalCount();
            quiet = now == count ? quiet + 1 : 0;
            count = now;
        }
        return count;
    }
}
