package org.dit4j.web;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** One who watches: a mailbox, and the only thread that writes to that connection, so that a slow one holds up nobody. */
final class Viewer {
    private static final int MOST_STATES = 64;
    private static final long HEARTBEAT_MILLIS = 4000;
    private static final byte[] HEARTBEAT = ": \n\n".getBytes(StandardCharsets.US_ASCII);

    private final EventHub hub;
    private final OutputStream out;
    private final Runnable cut;
    /** Completed when the connection is to end. */
    final CompletableFuture<Void> gone = new CompletableFuture<>();

    private final Deque<Topic.Event> states = new ArrayDeque<>();
    private final Map<String, Topic.Event> newest = new LinkedHashMap<>();
    private boolean ended;
    private volatile long writingSince;
    private volatile boolean closed;

    /** @param cut ends the connection at once, whatever is being written */
    Viewer(EventHub hub, OutputStream out, Runnable cut) {
        this.hub = hub;
        this.out = out;
        this.cut = cut;
    }

    synchronized void put(Topic.Event event) {
        if (closed) return;
        states.add(event);
        if (states.size() > MOST_STATES) close();
        notifyAll();
    }

    /** @return whether one was replaced that was not sent yet */
    synchronized boolean replace(Topic.Event event) {
        if (closed) return false;
        boolean unsent = newest.put(event.name(), event) != null;
        notifyAll();
        return unsent;
    }

    synchronized void end() {
        ended = true;
        notifyAll();
    }

    /** Ends this viewer, whatever it is doing. */
    void close() {
        closed = true;
        cut.run();
        synchronized (this) {
            notifyAll();
        }
    }

    /** How long the write that is going on has taken, in nanoseconds; 0 if none is. */
    long blockedNanos() {
        long since = writingSince;
        return since == 0 ? 0 : System.nanoTime() - since;
    }

    /** Sends what is in the mailbox until the topic ends or the connection does. */
    void write(Topic topic) {
        try {
            while (!closed) {
                Topic.Event event = next();
                if (event == null && ended) break;
                send(event == null ? HEARTBEAT : event.frame());
                if (event != null) hub.sent(event);
            }
        } catch (IOException | InterruptedException | RuntimeException e) {
            // the other side has gone, or was cut
        } finally {
            closed = true;
            topic.leave(this);
            hub.left(this);
            gone.complete(null);
        }
    }

    private void send(byte[] bytes) throws IOException {
        writingSince = System.nanoTime();
        try {
            out.write(bytes);
            out.flush();
        } finally {
            writingSince = 0;
        }
    }

    /** The oldest message; null after a while without any, and at the end. */
    private synchronized Topic.Event next() throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(HEARTBEAT_MILLIS);
        while (!closed) {
            Topic.Event oldest = states.peek();
            for (Topic.Event event : newest.values()) if (oldest == null || event.id() < oldest.id()) oldest = event;
            if (oldest != null) {
                if (oldest == states.peek()) states.remove();
                else newest.remove(oldest.name());
                return oldest;
            }
            long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
            if (ended || left <= 0) return null;
            wait(left);
        }
        return null;
    }
}
