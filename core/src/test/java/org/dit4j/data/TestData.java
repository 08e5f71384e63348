package org.dit4j.data;

import static org.junit.jupiter.api.Assumptions.abort;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Real data outside the project: the folder that the system property {@code dit.data} or the environment variable {@code DIT_DATA} names, else
 * {@code shared/data} beside the repository.
 */
final class TestData {
    private TestData() {}

    /** A file or folder of the real data; absent, the test is skipped, unless a folder was named. */
    static Path path(String name) {
        String named = System.getProperty("dit.data", System.getenv().getOrDefault("DIT_DATA", ""));
        List<Path> roots = named.isBlank()
                ? List.of(Path.of("../shared/data"), Path.of("../../shared/data"))
                : List.of(Path.of(named));
        for (Path root : roots) if (Files.exists(root.resolve(name))) return root.resolve(name);
        if (!named.isBlank()) throw new IllegalStateException("DIT_DATA names " + named + ", which has no " + name);
        return abort(name + " is not here; DIT_DATA names the folder of real data");
    }
}
