package org.dit4j;

import static org.junit.jupiter.api.Assumptions.abort;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Public data sets and weights that are no part of the project: in the folder that the system property {@code dit.data} or the environment
 * variable {@code DIT_DATA} names, else in {@code shared/data} beside the repository.
 */
public final class RealData {
    private RealData() {}

    /** A file or folder of the data; without it the test is skipped. */
    public static Path path(String name) {
        String named = System.getProperty("dit.data", System.getenv().getOrDefault("DIT_DATA", ""));
        // tests run in the module's folder
        List<Path> roots = named.isBlank()
                ? Stream.of("../shared/data", "../../shared/data").map(Path::of).toList()
                : List.of(Path.of(named));
        for (Path root : roots) if (Files.exists(root.resolve(name))) return root.resolve(name);
        return abort(name + " is not in " + roots + "; set DIT_DATA to a folder that has it");
    }
}
