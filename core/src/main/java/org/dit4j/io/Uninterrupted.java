package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;

/**
 * Work on files that an interrupt of the thread does not end. A {@link java.nio.channels.FileChannel} is closed when the thread that uses it
 * is interrupted, so that whoever is asked to stop could not write what it has to write first.
 */
public final class Uninterrupted {
    private Uninterrupted() {}

    /** What is done, as a whole, and anew where it was interrupted: it opens what it uses. */
    @FunctionalInterface
    public interface Work {
        void run() throws IOException;
    }

    /** Does it; the thread is interrupted afterwards if it was before, or became so meanwhile. */
    public static void run(Work work) throws IOException {
        boolean interrupted = Thread.interrupted();
        try {
            while (true) {
                try {
                    work.run();
                    return;
                } catch (ClosedByInterruptException e) {
                    interrupted |= Thread.interrupted();
                }
            }
        } finally {
            if (interrupted) Thread.currentThread().interrupt();
        }
    }
}
