package org.dit4j.train;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Where a run keeps what it makes: {@code results/000-DiT-S-2} with {@code checkpoints}, {@code samples}, {@code log.txt} and
 * {@code config.yaml}.
 */
public record RunFolder(Path path) {
    private static final Pattern NUMBERED = Pattern.compile("(\\d{3,})-.*");

    /**
     * Makes the folder after the highest number in {@code results}.
     *
     * @param name of the model, for example "DiT-S/2"; a slash becomes a dash
     */
    public static RunFolder create(Path results, String name) throws IOException {
        Files.createDirectories(results);
        for (int number = next(results); ; number++) {
            Path path = results.resolve(String.format("%03d-%s", number, name.replace('/', '-')));
            try {
                Files.createDirectory(path); // fails if another process was faster
            } catch (FileAlreadyExistsException e) {
                continue;
            }
            RunFolder folder = new RunFolder(path);
            Files.createDirectory(folder.checkpoints());
            Files.createDirectory(folder.samples());
            return folder;
        }
    }

    private static int next(Path results) throws IOException {
        try (Stream<Path> entries = Files.list(results)) {
            return entries.map(entry -> NUMBERED.matcher(entry.getFileName().toString()))
                            .filter(Matcher::matches)
                            .mapToInt(matcher -> Integer.parseInt(matcher.group(1)))
                            .max()
                            .orElse(-1)
                    + 1;
        }
    }

    /** Checkpoints, one folder each. */
    public Path checkpoints() {
        return path.resolve("checkpoints");
    }

    /** Sample grids, drawn as training goes. */
    public Path samples() {
        return path.resolve("samples");
    }

    /** The log, in the published format. */
    public Path log() {
        return path.resolve("log.txt");
    }

    /** The resolved configuration, a recipe that starts the same run again. */
    public Path config() {
        return path.resolve("config.yaml");
    }
}
