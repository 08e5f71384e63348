package org.dit4j.torch;

/**
 * When native memory may be freed that several threads use: not while one of them does. {@link #close} is told at once to those who ask
 * {@link #isClosing}, and waits for them; later uses are refused.
 */
public final class Lifetime {
    /** A use, and what it throws. */
    @FunctionalInterface
    public interface Body<T, E extends Exception> {
        T run() throws E;
    }

    private final String owner;
    private final Runnable free;
    private final ThreadLocal<Integer> depth = ThreadLocal.withInitial(() -> 0);
    private int uses;
    private volatile boolean closing;
    private boolean freed;

    /**
     * @param owner for messages: "the pipeline"
     * @param free frees the memory; called once, by the thread that closes or by the last that uses it
     */
    public Lifetime(String owner, Runnable free) {
        this.owner = owner;
        this.free = free;
    }

    /**
     * Uses the memory.
     *
     * @throws IllegalStateException if it is closed
     */
    public <T, E extends Exception> T use(Body<T, E> body) throws E {
        synchronized (this) {
            requireOpen();
            uses++;
        }
        depth.set(depth.get() + 1);
        try {
            return body.run();
        } finally {
            depth.set(depth.get() - 1);
            synchronized (this) {
                uses--;
                if (uses == 0 && closing) free();
                notifyAll();
            }
        }
    }

    /**
     * Refuses what comes after the closing; for who hands the memory out, and cannot know how long it is used.
     *
     * @throws IllegalStateException if it is closed, but for a thread that is using it
     */
    public void requireOpen() {
        if (closing && !isUsedHere()) throw new IllegalStateException(owner + " is closed; open another one");
    }

    /** Whether this thread is using it. */
    public boolean isUsedHere() {
        return depth.get() > 0;
    }

    /** Whether somebody waits for the uses to end. */
    public boolean isClosing() {
        return closing;
    }

    /**
     * Frees the memory when nobody uses it any more, and waits for that; a thread that closes what it is using itself does not wait. Closing
     * again does nothing.
     */
    public synchronized void close() {
        closing = true;
        boolean interrupted = false;
        while (uses > depth.get() && depth.get() == 0) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (uses == 0) free();
        if (interrupted) Thread.currentThread().interrupt();
    }

    private void free() {
        if (freed) return;
        freed = true;
        free.run();
    }
}
