package org.dit4j.web;

import io.javalin.http.Context;
import java.io.IOException;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.ee10.servlet.ServletContextRequest;
import org.eclipse.jetty.io.EndPoint;

/** All who watch something. At most {@value #MOST_VIEWERS} do at once, and who does not take a message within ten seconds is cut off. */
final class EventHub implements AutoCloseable {
    static final int MOST_VIEWERS = 64;
    private static final long BLOCKED_NANOS = TimeUnit.SECONDS.toNanos(8);
    private static final int LATENCIES = 1024;

    private final Metrics metrics;
    private final Set<Viewer> viewers = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService watchdog = Executors.newSingleThreadScheduledExecutor(runnable -> {
        Thread thread = new Thread(runnable, "studio-watchdog");
        thread.setDaemon(true);
        return thread;
    });
    private final double[] latencies = new double[LATENCIES];
    private long numLatencies;
    private int places = MOST_VIEWERS;

    EventHub(Metrics metrics) {
        this.metrics = metrics;
        watchdog.scheduleWithFixedDelay(this::cutBlocked, 1, 1, TimeUnit.SECONDS);
        metrics.gauge("dit_viewers", "Connections that watch events", viewers::size);
        metrics.gauge(
                "dit_preview_latency_seconds", "From a step to its preview in the socket, 95%", () -> latency(0.95));
    }

    private void cutBlocked() {
        for (Viewer viewer : viewers)
            if (viewer.blockedNanos() > BLOCKED_NANOS) {
                metrics.count("dit_viewers_cut_total", "Viewers cut off because they did not read");
                viewer.close();
            }
    }

    /** Answers a request with the events of a topic, from another thread, until one of them ends. */
    void watch(Context context, Topic topic) {
        if (!context.req().getMethod().equals("GET")) throw new Problem(405, "events are for GET");
        long seen = seen(context.header("Last-Event-ID"));
        synchronized (this) {
            if (places == 0) throw Problem.later(429, MOST_VIEWERS + " viewers watch already; more are not served", 5);
            places--;
        }
        Viewer viewer;
        try {
            // a request on its way out of a servlet must not be touched, but its connection may
            EndPoint connection = ServletContextRequest.getServletContextRequest(context.req())
                    .getConnectionMetaData()
                    .getConnection()
                    .getEndPoint();
            context.res().setContentType("text/event-stream;charset=utf-8");
            context.res().setHeader("X-Accel-Buffering", "no");
            viewer = new Viewer(this, context.res().getOutputStream(), connection::close);
        } catch (IOException | RuntimeException e) {
            giveBack();
            throw new Problem(503, "the connection is gone");
        }
        viewers.add(viewer);
        topic.join(viewer, seen);
        context.future(() -> {
            Thread writer = new Thread(() -> viewer.write(topic), "studio-viewer");
            writer.setDaemon(true);
            writer.start();
            return viewer.gone;
        });
    }

    private static long seen(String given) {
        return given != null && given.matches("\\d{1,18}") ? Long.parseLong(given) : 0;
    }

    private synchronized void giveBack() {
        places++;
    }

    void left(Viewer viewer) {
        if (viewers.remove(viewer)) giveBack();
    }

    void sent(Topic.Event event) {
        if (!event.name().equals("preview")) return;
        metrics.count("dit_previews_sent_total", "Previews written to viewers");
        synchronized (latencies) {
            latencies[(int) (numLatencies++ % LATENCIES)] = (System.nanoTime() - event.nanos()) / 1e9;
        }
    }

    void replaced(String name, boolean unsent) {
        if (unsent && name.equals("preview"))
            metrics.count("dit_previews_dropped_total", "Previews replaced by newer ones before they were written");
    }

    /** Of the last previews that were sent, in seconds; 0 before the first. */
    double latency(double quantile) {
        synchronized (latencies) {
            double[] some = Arrays.copyOf(latencies, (int) Math.min(numLatencies, LATENCIES));
            if (some.length == 0) return 0;
            Arrays.sort(some);
            return some[(int) Math.min(some.length - 1, Math.floor(quantile * some.length))];
        }
    }

    @Override
    public void close() {
        watchdog.shutdownNow();
        viewers.forEach(Viewer::close);
    }
}
