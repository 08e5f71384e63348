package org.dit4j.data;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;

/** Threads that read a data set ahead of one consumer thread. */
public final class Readers implements AutoCloseable {
    /** Null where the consumer reads itself. */
    private final ExecutorService threads;

    private volatile boolean closed;

    /**
     * @param count of threads; with 0, whoever waits for a task runs it
     * @param name of the threads
     */
    public Readers(int count, String name) {
        threads = count == 0
                ? null
                : Executors.newFixedThreadPool(count, task -> {
                    Thread thread = new Thread(task, name);
                    thread.setDaemon(true); // a program that forgets to close a reader still ends
                    return thread;
                });
    }

    /** Whether {@link #close} was called: tasks that have not read yet need not. */
    public boolean isClosed() {
        return closed;
    }

    /** Begins the tasks, in their order. */
    public void start(List<? extends FutureTask<?>> tasks) {
        if (threads != null) tasks.forEach(threads::execute);
    }

    /**
     * What a task returned, once it is done.
     *
     * @throws InterruptedIOException if this thread is interrupted while it waits
     * @throws IOException what the task threw
     * @throws IllegalStateException if it threw anything else
     */
    public <T> T await(FutureTask<T> task) throws IOException {
        if (threads == null) task.run();
        try {
            return task.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while waiting for data to be read");
        } catch (ExecutionException e) {
            Throwable thrown = e.getCause();
            if (thrown instanceof IOException problem) throw problem;
            if (thrown instanceof Error error) throw error;
            throw new IllegalStateException("a reading thread failed: " + thrown, thrown);
        }
    }

    /** Stops the threads and waits for the items that they are reading. */
    @Override
    public void close() {
        closed = true;
        if (threads == null) return;
        // No interrupts: they would close the channel of a zip file under its other readers.
        threads.shutdown();
        try {
            threads.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
