package org.dit4j.web;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.dit4j.checkpoint.OpenOptions;

/**
 * What a studio serves, and to whom.
 *
 * @param paths runs, checkpoints, and folders of runs
 * @param open how their weights are opened; which of the two sets is each request's choice
 * @param devices one worker draws on each
 * @param previewVae a small autoencoder for previews, as {@link org.dit4j.checkpoint.Checkpoints#openVae} takes it
 * @param gallery the folder of pictures; made if it is not there
 * @param bind the address to listen on
 * @param port 0 is any free one
 * @param hosts further names that it is called by, as behind a proxy
 * @param tokenFile what clients must show; needed for any address but this machine's own
 * @param maxQueue jobs that may wait
 * @param grace how long running jobs may go on after it was told to stop
 */
public record StudioConfig(
        List<Path> paths,
        OpenOptions open,
        List<String> devices,
        Optional<Path> previewVae,
        Path gallery,
        String bind,
        int port,
        List<String> hosts,
        Optional<Path> tokenFile,
        int maxQueue,
        Duration grace) {
    /** @throws IllegalArgumentException if it cannot be served so */
    public StudioConfig {
        paths = List.copyOf(paths);
        devices = List.copyOf(devices);
        hosts = List.copyOf(hosts);
        if (devices.isEmpty()) throw new IllegalArgumentException("no device to draw on; cpu, cuda, or auto");
        if (port < 0 || port > 65535) throw new IllegalArgumentException("port " + port + "; 0 to 65535, 0 is any");
        if (maxQueue < 1) throw new IllegalArgumentException("a queue of " + maxQueue + " jobs; at least 1");
        if (grace.isNegative()) throw new IllegalArgumentException("a grace of " + grace + "; 0s or more");
    }
}
