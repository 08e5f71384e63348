package org.dit4j.web;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.io.AtomicFile;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Jobs on the disk, one file each: what was accepted is there before the client hears of it, and what came of it before it is told. */
final class Journal {
    private static final Logger LOGGER = LoggerFactory.getLogger(Journal.class);

    private final Path folder;

    Journal(Path gallery) throws IOException {
        folder = Files.createDirectories(gallery.resolve(".jobs"));
        AtomicFile.removeOrphans(folder);
    }

    private Path file(Job job) {
        return folder.resolve(job.order.id() + ".json");
    }

    void write(Job job) throws IOException {
        AtomicFile.write(file(job), Json.bytes(job.saved()));
    }

    void delete(Job job) throws IOException {
        Files.deleteIfExists(file(job));
    }

    /** All that is written down, oldest first; what cannot be read is said and left alone. */
    List<Job.Saved> read() throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
            files = all.filter(path -> path.toString().endsWith(".json"))
                    .sorted()
                    .toList();
        }
        List<Job.Saved> saved = new ArrayList<>();
        for (Path file : files)
            try {
                saved.add(Json.value(Json.parse(Files.readAllBytes(file)), Job.Saved.class));
            } catch (IOException | RuntimeException e) {
                LOGGER.warn("{}: a job that cannot be read: {}", file, e.getMessage());
            }
        return saved;
    }
}
