package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.dit4j.io.Images;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What makes two commands the same run. */
class RunIdentityTest {
    @TempDir
    private Path folder;

    private Path data, results;

    @BeforeEach
    void write() throws IOException {
        data = folder.resolve("d");
        results = folder.resolve("r");
        for (String name : List.of("cat", "dog")) {
            Files.createDirectories(data.resolve(name));
            for (int i = 0; i < 4; i++)
                Images.writePng(data.resolve(name).resolve(i + ".png"), picture(name, i), Map.of());
        }
    }

    /** Of the same size in its file, whatever it shows. */
    private static BufferedImage picture(String name, int number) {
        BufferedImage picture = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
        picture.setRGB(number, 3, name.equals("cat") ? 0xff0000 : 0x0000ff);
        return picture;
    }

    private CommandRun train(Path path, int maxSteps, String... more) {
        List<String> flags = new java.util.ArrayList<>(List.of(
                "--data-path=" + path,
                "--image-size=16",
                "--sample-every=0",
                "--max-steps=" + maxSteps,
                "--results-dir=" + results));
        flags.addAll(List.of(more));
        return CommandRun.of(TinyRun.flags("train", flags.toArray(String[]::new)));
    }

    private List<String> runs() throws IOException {
        try (Stream<Path> entries = Files.list(results)) {
            return entries.map(entry -> entry.getFileName().toString())
                    .filter(name -> !name.startsWith("."))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void theDataAreWhatIsInThemHoweverTheirPathIsWritten() throws IOException {
        assertEquals(0, train(data, 1).exitCode());
        Files.writeString(data.resolve("cat").resolve("Thumbs.db"), "x");
        CommandRun junk = train(data, 2);
        assertTrue(junk.err().contains("goes on after step 1"), junk.err());
        CommandRun spelled = train(folder.resolve(".").resolve("d"), 3);
        assertTrue(spelled.err().contains("goes on after step 2"), spelled.err());
        Path link = Files.createSymbolicLink(folder.resolve("link"), data);
        assertTrue(train(link, 4).err().contains("goes on after step 3"));
        assertEquals(1, runs().size());
        Files.delete(data.resolve("cat").resolve("Thumbs.db"));

        for (int i = 0; i < 4; i++)
            Files.write(
                    data.resolve("cat").resolve(i + ".png"),
                    Files.readAllBytes(data.resolve("dog").resolve(i + ".png")));
        CommandRun replaced = train(data, 5);
        assertEquals(0, replaced.exitCode(), replaced.err());
        assertEquals(2, runs().size(), "the pictures of cats are of dogs now, though of equal number and size");
        assertTrue(
                replaced.err()
                        .contains("a new run, not the run " + results.resolve(runs().get(0))
                                + ", which differs in data: other names, sizes or content of " + data),
                replaced.err());
    }

    @Test
    void aChangedSettingIsNamedWhereItBeginsARunAnew() {
        assertEquals(0, train(data, 1).exitCode());
        CommandRun other = train(data, 1, "--learning-rate=3e-4", "--global-seed=5");
        assertTrue(
                other.err().contains("which differs in learningRate.rate: 3.0E-4, was 1.0E-4; seed: 5, was 0"),
                other.err());
    }

    @Test
    void ofTwoEqualCommandsAtOnceOneTrainsAndTheOtherSaysSo() throws Exception {
        ExecutorService both = Executors.newFixedThreadPool(2);
        try {
            Callable<CommandRun> command = () -> train(data, 150);
            List<CommandRun> ended = new java.util.ArrayList<>();
            for (Future<CommandRun> one : both.invokeAll(List.of(command, command))) ended.add(one.get());
            assertEquals(1, runs().size(), "one run");
            List<Integer> codes =
                    ended.stream().map(CommandRun::exitCode).sorted().toList();
            assertEquals(List.of(0, 2), codes, ended.toString());
            CommandRun second = ended.stream()
                    .filter(run -> run.exitCode() == 2)
                    .findFirst()
                    .orElseThrow();
            assertTrue(
                    second.err().contains(results.resolve(runs().get(0)) + " is being trained by process "),
                    second.err());
        } finally {
            both.shutdownNow();
        }
    }
}
