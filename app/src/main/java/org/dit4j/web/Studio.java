package org.dit4j.web;

import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.checkpoint.Weights;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A running studio. */
public final class Studio implements AutoCloseable {
    private static final Logger LOGGER = LoggerFactory.getLogger(Studio.class);

    private final StudioConfig config;
    private final Access access;
    private final Models models;
    private final EventHub hub;
    private final JobQueue queue;
    private final RunWatcher runs;
    private final StudioServer server;

    private Studio(StudioConfig config) throws IOException {
        this.config = config;
        Metrics metrics = new Metrics();
        access = new Access(config);
        models = new Models(config.paths(), config.open(), config.devices().get(0), config.previewVae());
        Gallery gallery = new Gallery(config.gallery());
        hub = new EventHub(metrics);
        queue = new JobQueue(models, gallery, hub, metrics, config.devices(), config.maxQueue());
        runs = new RunWatcher(models, hub);
        server = new StudioServer(config, access, models, gallery, queue, hub, runs, metrics);
        metrics.gauge("dit_gallery_pictures", "Pictures of the gallery", gallery::size);
        metrics.gauge(
                "dit_heap_bytes",
                "Java's memory in use",
                () -> Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory());
        metrics.gauge("dit_resident_bytes", "The process's memory, native included", Pointer::physicalBytes);
        metrics.gauge("dit_native_objects", "Native objects that Java knows", Pointer::totalCount);
        metrics.gauge(
                "dit_threads",
                "Threads of Java",
                () -> java.lang.management.ManagementFactory.getThreadMXBean().getThreadCount());
    }

    /**
     * Serves from now on.
     *
     * @throws IllegalArgumentException if it may not be served so: the port is taken, the gallery not writable, a token missing
     */
    public static Studio start(StudioConfig config) throws IOException {
        Studio studio = new Studio(config);
        try {
            studio.server.start();
        } catch (RuntimeException e) {
            studio.hub.close();
            studio.runs.close();
            throw e;
        }
        studio.queue.start();
        Thread opener = new Thread(studio::openFirst, "studio-opener");
        opener.setDaemon(true);
        opener.start();
        return studio;
    }

    /** So that the first picture need not wait for its model. */
    private void openFirst() {
        if (!models.first().isEmpty())
            try (Models.Lease lease = models.lease(models.first(), Weights.EMA, "")) {
                LOGGER.debug("{} is open", lease.model().entry());
            } catch (RuntimeException e) { // who asks for it is told the same
                LOGGER.warn("{}", e.getMessage());
            }
        server.setReady();
    }

    /** The address to open in a browser; with the token where there is one, behind #, where no log sees it. */
    public String link() {
        return StudioServer.link(config, server.port(), access);
    }

    public int port() {
        return server.port();
    }

    /** All methods and paths that it answers, as "GET /v1/models". */
    Set<String> routes() {
        return server.routes();
    }

    /** The models that it serves. */
    public List<String> modelIds() {
        return models.all().stream().map(Models.Entry::id).toList();
    }

    /** Takes no more jobs, lets those that run end within the grace, and ends. What was accepted and not done, the next start does. */
    @Override
    public void close() {
        queue.stop(config.grace());
        hub.close();
        runs.close();
        server.close();
        models.close();
    }
}
