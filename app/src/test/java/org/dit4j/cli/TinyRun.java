package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The smallest model that the real command line trains and draws with, in a second. */
public final class TinyRun {
    private static final List<String> TINY = List.of(
            "--data-path=glyphs",
            "--patch-size=4",
            "--hidden-size=16",
            "--depth=1",
            "--num-heads=2",
            "--global-batch-size=4",
            "--max-steps=3",
            "--num-workers=0",
            "--log-every=1",
            "--num-sampling-steps=ddim2",
            "--device=cpu");

    private TinyRun() {}

    /** The flags of {@code command}, tiny where {@code more} does not say otherwise. */
    public static String[] flags(String command, String... more) {
        List<String> flags = new ArrayList<>(List.of(command));
        for (String tiny : TINY)
            if (Stream.of(more).noneMatch(flag -> flag.startsWith(tiny.substring(0, tiny.indexOf('=') + 1))))
                flags.add(tiny);
        flags.addAll(List.of(more));
        return flags.toArray(String[]::new);
    }

    /** Trains into {@code results} and returns the run folder. */
    public static Path train(Path results, String... more) throws IOException {
        String[] flags = Stream.concat(Stream.of("--results-dir=" + results), Stream.of(more))
                .toArray(String[]::new);
        CommandRun run = CommandRun.of(flags("train", flags));
        assertEquals(0, run.exitCode(), run.err());
        try (Stream<Path> folders = Files.list(results)) {
            return folders.sorted().reduce((first, second) -> second).orElseThrow();
        }
    }
}
