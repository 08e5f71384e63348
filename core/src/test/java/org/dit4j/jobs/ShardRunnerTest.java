package org.dit4j.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShardRunnerTest {
    private static final Powers SQUARES = new Powers(10, 3, 2);

    @TempDir
    Path folder;

    /** File name → content. */
    private static Map<String, String> files(Path folder) throws IOException {
        Map<String, String> contents = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) contents.put(file.getFileName().toString(), Files.readString(file));
        }
        return contents;
    }

    private static final Map<String, String> FINISHED = new TreeMap<>(Map.of(
            "job.lock", "",
            "powers-0.txt", "2\n1\n4\n",
            "powers-1.txt", "2\n9\n16\n25\n",
            "powers-2.txt", "2\n36\n64\n",
            "powers-3.txt", "2\n81\n",
            "powers.txt", "powers-0.txt 6\npowers-1.txt 10\npowers-2.txt 8\npowers-3.txt 5"));

    @Test
    void everyItemIsInOneShardAndTheLastHasWhatRemains() throws IOException {
        List<String> heard = new ArrayList<>();
        ShardRunner.run(SQUARES, folder.resolve("made/here"), (done, numLeftOut) -> heard.add(done + " " + numLeftOut));
        assertEquals(FINISHED, files(folder.resolve("made/here")));
        assertEquals("10 2", heard.get(heard.size() - 1));
        assertEquals(heard, heard.stream().sorted((a, b) -> done(a) - done(b)).toList(), "never back");
        heard.clear();
        ShardRunner.run(SQUARES, folder.resolve("made/here"), (done, numLeftOut) -> heard.add(done + " " + numLeftOut));
        assertEquals(List.of("3 1", "6 1", "9 2", "10 2"), heard, "what is there counts");
    }

    private static int done(String heard) {
        return Integer.parseInt(heard.split(" ")[0]);
    }

    @Test
    void whereverAJobIsStoppedItGoesOnAndEndsWithTheSameBytes() throws IOException {
        for (int stop = 1; stop <= SQUARES.numItems(); stop++) {
            int stopAt = stop;
            Path stopped = folder.resolve("stopped-" + stop);
            assertThrows(
                    CancellationException.class,
                    () -> ShardRunner.run(SQUARES, stopped, (done, numLeftOut) -> {
                        if (done == stopAt) throw new CancellationException();
                    }));
            assertFalse(Files.exists(stopped.resolve("powers.txt")), "unfinished, and not to be taken for finished");
            List<FileTime> before = times(stopped);
            ShardRunner.run(SQUARES, stopped, Progress.NONE);
            assertEquals(FINISHED, files(stopped));
            assertEquals(before, times(stopped).subList(0, before.size()), "finished shards stay");
        }
    }

    private static List<FileTime> times(Path folder) throws IOException {
        List<FileTime> times = new ArrayList<>();
        for (Shard shard : SQUARES.shards(folder))
            if (Files.exists(shard.file())) times.add(Files.getLastModifiedTime(shard.file()));
        return times;
    }

    @Test
    void shardsWrittenAloneInAnyOrderGiveTheSameFolder() throws IOException {
        for (int seed = 0; seed < 5; seed++) {
            Path shared = Files.createDirectory(folder.resolve("shared-" + seed));
            List<Shard> shards = new ArrayList<>(SQUARES.shards(shared));
            Collections.shuffle(shards, new Random(seed));
            for (Shard shard : shards.subList(0, 1 + seed % 4)) new Powers(10, 3, 2).write(shard, Progress.NONE);
            ShardRunner.run(SQUARES, shared, Progress.NONE);
            assertEquals(FINISHED, files(shared));
        }
    }

    @Test
    void aFileOfAnotherJobIsRefusedByNameAndLeftAlone() throws IOException {
        Powers cubes = new Powers(10, 3, 3);
        cubes.write(cubes.shards(folder).get(1), Progress.NONE);
        IllegalArgumentException thrown =
                assertThrows(IllegalArgumentException.class, () -> ShardRunner.run(SQUARES, folder, Progress.NONE));
        assertEquals(
                folder.resolve("powers-1.txt") + " is of another job, whose exponent is 3; here it is 2."
                        + " Choose another folder, or remove that one",
                thrown.getMessage());
        assertEquals("3\n27\n64\n125\n", Files.readString(folder.resolve("powers-1.txt")));
        assertFalse(Files.exists(folder.resolve("powers.txt")));
    }

    private void refused() {
        IllegalArgumentException thrown =
                assertThrows(IllegalArgumentException.class, () -> ShardRunner.run(SQUARES, folder, Progress.NONE));
        assertEquals(
                folder + ": another job is writing here; wait for it, stop it, or choose another folder",
                thrown.getMessage());
    }

    private Process start() throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1", // starts in less time
                        "-XX:+UseSerialGC",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Powers.class.getName(),
                        folder.toString())
                .redirectErrorStream(true)
                .start();
    }

    @Test
    void aSecondProcessIsRefusedUntilTheFirstEndsHoweverThatEnds() throws Exception {
        Process first = start();
        try (BufferedReader said = first.inputReader()) {
            assertEquals("1", said.readLine());
            refused();
        } finally {
            first.destroyForcibly().waitFor();
        }
        assertTrue(
                files(folder).keySet().stream().anyMatch(name -> name.startsWith("powers-0.txt.tmp-")),
                "killed within a shard: " + files(folder));
        Files.writeString(folder.resolve("grid.png.tmp-1-1"), "of a program that still writes it");
        ShardRunner.run(SQUARES, folder, Progress.NONE);
        Files.delete(folder.resolve("grid.png.tmp-1-1"));
        assertEquals(FINISHED, files(folder));
    }

    @Test
    void aSecondThreadIsRefusedAndTakesTheLockFromNobody() throws IOException {
        ShardRunner.run(SQUARES, folder, (done, numLeftOut) -> {
            if (done != 5) return;
            refused();
            try {
                Process second = start();
                try (BufferedReader said = second.inputReader()) {
                    String all = String.join("\n", said.lines().toList());
                    assertTrue(all.contains("IllegalArgumentException: " + folder + ": another job"), all);
                } finally {
                    second.destroyForcibly();
                }
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        assertEquals(FINISHED, files(folder));
    }

    @Test
    void aFullDiskIsNoticedBeforeAShardIsWritten() {
        Powers huge = new Powers(10, 3, 2, 1L << 60);
        IOException thrown = assertThrows(IOException.class, () -> ShardRunner.run(huge, folder, Progress.NONE));
        assertTrue(thrown.getMessage().contains("make room"), thrown.getMessage());
        assertFalse(Files.exists(folder.resolve("powers-0.txt")));
    }
}
