package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.Images;
import org.dit4j.io.Npz;
import org.dit4j.io.Sha256;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code dit sample --num-samples}, in this process and as several real ones that are killed. */
class SampleSetTest {
    @TempDir
    private static Path models;

    private static Path model;

    @TempDir
    private Path root;

    @BeforeAll
    static void train() throws IOException {
        model = TinyRun.train(models.resolve("results"), "--sample-every=0", "--eval-every=0");
    }

    private static List<String> flags(Path out, String... more) {
        List<String> flags = new ArrayList<>(List.of(
                "sample",
                "--ckpt=" + model,
                "--out=" + out,
                "--num-sampling-steps=4",
                "--device=cpu",
                "--global-seed=5"));
        flags.addAll(List.of(more));
        return flags;
    }

    private static CommandRun sample(Path out, String... more) {
        return CommandRun.of(flags(out, more).toArray(String[]::new));
    }

    private Process start(Path out, String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1", // starts in less time
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(flags(out, more));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log(out)))
                .start();
    }

    private static File log(Path out) {
        return out.resolveSibling(out.getFileName() + ".log").toFile();
    }

    /** Name below {@code folder}, and of the archive beside it → SHA-256. */
    private static Map<String, String> files(Path folder) throws IOException {
        Map<String, String> files = new TreeMap<>();
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path file : all.filter(Files::isRegularFile).toList())
                files.put(folder.relativize(file).toString(), Sha256.hex(Files.readAllBytes(file)));
        }
        Path npz = folder.resolveSibling(folder.getFileName() + ".npz");
        if (Files.exists(npz)) files.put("npz", Sha256.hex(Files.readAllBytes(npz)));
        return files;
    }

    private static long numPictures(Path folder) {
        try (Stream<Path> all = Files.list(folder)) {
            return all.filter(file -> file.toString().endsWith(".png")).count();
        } catch (IOException e) { // not made yet
            return 0;
        }
    }

    /** Kills processes at random moments, each replaced by another, and lets the last ones finish. */
    private int kill(Path out, int numWorkers, int numKills, String... more) throws Exception {
        Random random = new Random(numWorkers);
        List<Process> workers = new ArrayList<>();
        int kills = 0;
        try {
            for (int i = 0; i < numWorkers; i++) workers.add(start(out, more));
            for (; kills < numKills; kills++) {
                // not before one has drawn something since the last kill, while there is something to draw
                long there = numPictures(out);
                for (int i = 0;
                        i < 600 && numPictures(out) == there && workers.stream().anyMatch(Process::isAlive);
                        i++) TimeUnit.MILLISECONDS.sleep(50);
                TimeUnit.MILLISECONDS.sleep(random.nextInt(300));
                if (Files.exists(out.resolve("samples.json"))) break;
                workers.remove(random.nextInt(workers.size())).destroyForcibly().waitFor();
                workers.add(start(out, more));
            }
            for (Process worker : workers) assertEquals(0, worker.waitFor(), () -> text(log(out).toPath()));
        } finally {
            for (Process worker : workers) worker.destroyForcibly().waitFor();
        }
        return kills;
    }

    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void severalProcessesKilledOnTheWayDrawTheSameBytesAsOne() throws Exception {
        String[] set = {"--num-samples=50", "--per-proc-batch-size=8"};
        assertEquals(0, sample(root.resolve("alone"), set).exitCode());
        Map<String, String> alone = files(root.resolve("alone"));
        assertEquals(50, numPictures(root.resolve("alone")));
        int kills = kill(root.resolve("shared"), 2, 2, set);
        assertEquals(alone, files(root.resolve("shared")));
        assertTrue(kills >= 1, "none was killed before all was done");
    }

    @Test
    @Tag("slow")
    void twoThousandSamplesOfOneTwoAndThreeWorkersKilledTenTimesAreTheSameBytes() throws Exception {
        String[] set = {"--num-samples=2000", "--per-proc-batch-size=16", "--num-sampling-steps=10"};
        assertEquals(0, sample(root.resolve("alone"), set).exitCode());
        Map<String, String> alone = files(root.resolve("alone"));
        for (int workers = 1; workers <= 3; workers++) {
            Path out = root.resolve("by-" + workers);
            long start = System.nanoTime();
            int kills = kill(out, workers, 10, set);
            assertEquals(alone, files(out));
            System.out.printf(
                    "%d workers, %d kills, %d pictures, %.0f s: 0 bytes differ%n",
                    workers, kills, numPictures(out), (System.nanoTime() - start) / 1e9);
            assertEquals(10, kills, "done before the tenth kill");
        }
    }

    @Test
    void aSetIsNamedAsPublishedAndItsSettingsAreKept() throws Exception {
        CommandRun run = CommandRun.of(
                "sample",
                "--ckpt=" + model,
                "--num-fid-samples=5",
                "--per-proc-batch-size=2",
                "--sample-dir=" + root.resolve("sets"),
                "--num-sampling-steps=2",
                "--labels=balanced",
                "--device=cpu",
                "--json");
        assertEquals(0, run.exitCode(), run.err());
        JsonNode result = new ObjectMapper().readTree(run.out());
        Path folder = root.resolve("sets/DiT-16x1-4-step-0000003-size-32-vae-none-cfg-1.5-seed-0");
        assertEquals(folder.toString(), result.get("folder").asText());
        assertEquals(folder + ".npz", result.get("npz").asText());
        assertEquals(5, result.get("samples").asInt());
        JsonNode kept = new ObjectMapper()
                .readTree(folder.resolve("samples.json").toFile())
                .get("job");
        assertEquals(result.get("parameters"), kept);
        assertEquals("2", kept.get("Batch size").asText());
        assertEquals("balanced", kept.get("Labels").asText());
        assertEquals(64, kept.get("Digest of weights").asText().length());
        Tensor all = Npz.read(Path.of(folder + ".npz")).get("arr_0");
        assertEquals(
                List.of(5L, 32L, 32L, 3L), Arrays.stream(all.shape()).boxed().toList());
        all.close();
        assertTrue(run.err().contains("images/s") || run.err().contains("5/5"), run.err());
    }

    /** Which forward pass a picture is drawn in is another one for another number of rows; what it shows is not. */
    @Test
    void aPictureOfASetIsTheOneThatItsIndexAndClassGive() throws IOException {
        assertEquals(
                0,
                sample(
                                root.resolve("set"),
                                "--num-samples=3",
                                "--batch-size=3",
                                "--class=2",
                                "--format=png",
                                "--cfg-scale=4")
                        .exitCode());
        assertEquals(
                0,
                sample(root.resolve("grid"), "--count=3", "--class=2", "--scale=1", "--batch-size=3")
                        .exitCode());
        assertEquals(3, numPictures(root.resolve("set")));
        assertFalse(Files.exists(root.resolve("set.npz")));
        List<Path> grid;
        try (Stream<Path> files = Files.list(root.resolve("grid"))) {
            grid = files.filter(file -> !file.endsWith("grid.png")).sorted().toList();
        }
        for (int i = 0; i < 3; i++)
            assertArrayEquals(
                    Images.toRgbBytes(Images.read(grid.get(i))),
                    Images.toRgbBytes(Images.read(root.resolve("set/00000" + i + ".png"))));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--num-samples=5 --count=2     | --count is for a grid of pictures",
                "--num-samples=5 --frames      | --frames is for a grid of pictures",
                "--num-samples=5 --noise=torch | --noise torch draws up to 64 pictures together",
                "--num-samples=2000000         | number of samples 2000000 is outside 1 … 1000000",
                "--num-samples=0               | is not a whole number of at least 1",
                "--labels=balanced             | --labels is for a set of pictures; add --num-samples N",
                "--num-samples=5 --class=99    | class 99 is outside 0 … 9"
            })
    void whatDoesNotGoTogetherIsSaid(String more, String message) {
        CommandRun run = sample(root.resolve("set"), more.trim().split(" "));
        assertEquals(ExitCode.USAGE.code, run.exitCode());
        assertTrue(run.err().contains(message), run.err());
        assertFalse(Files.exists(root.resolve("set")));
    }
}
