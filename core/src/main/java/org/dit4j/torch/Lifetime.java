package org.dit4j.torch;

import java.util.function.Supplier;

/**
 * When native memory may be freed that several threads use: not while one of them does. {@link #close} is told at once to those who ask
 * {@link #isClosing}, and waits for them; later uses are refused.
 */
public final class Lifetime {
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
    public <T> T use(Supplier<T> body) {
        synchronized (this) {
            if (closing && depth.get() == 0) throw new IllegalStateException(owner + " is closed; open another one");
            uses++;
        }
        depth.set(depth.get() + 1);
        try {
            return body.get();
        } finally {
            depth.set(depth.get() - 1);
            synchronized (this) {
                uses--;
                if (uses == 0 && closing) free();
                notifyAll();
            }
        }
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
