package org.dit4j.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
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
import java.util.concurrent.TimeUnit;
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

    private Process start(String... more) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1", // starts in less time
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                Powers.class.getName(),
                folder.toString()));
        command.addAll(List.of(more));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    @Test
    void processesShareTheWorkAndTheLastOneToWriteIsWaitedFor() throws Exception {
        Process first = start();
        Writer go = first.outputWriter(); // not closed here: what is buffered for a process that has ended cannot be
        // written
        try (BufferedReader said = first.inputReader()) {
            assertEquals("1", said.readLine(), "within its first shard");
            List<String> heard = new ArrayList<>();
            ShardRunner.run(SQUARES, folder, (done, numLeftOut) -> {
                heard.add(done + " " + numLeftOut);
                if (done >= 7) go(go); // all but the first shard, which is waited for
            });
            assertEquals("10 2", heard.get(heard.size() - 1));
            assertTrue(heard.contains("7 1"), "all shards but the first: " + heard);
            assertEquals(FINISHED, files(folder), "with no lease left");
            for (int step = 0; step < 20 && first.isAlive(); step++) go(go);
            assertEquals(0, first.waitFor());
            assertEquals(
                    "10",
                    said.lines().toList().stream().reduce((one, other) -> other).orElseThrow());
        } finally {
            first.destroyForcibly().waitFor();
        }
        assertEquals(FINISHED, files(folder));
    }

    private static void go(Writer writer) {
        try {
            writer.write("\n\n\n\n");
            writer.flush();
        } catch (IOException e) {
            // it has ended
        }
    }

    @Test
    void whatADeadProcessLeftIsTakenOverAtOnce() throws Exception {
        Process first = start();
        try (BufferedReader said = first.inputReader()) {
            assertEquals("1", said.readLine());
        } finally {
            first.destroyForcibly().waitFor();
        }
        assertTrue(
                files(folder).keySet().stream().anyMatch(name -> name.startsWith("powers-0.txt.tmp-"))
                        && Files.exists(folder.resolve("powers-0.txt.lease")),
                "killed within a shard: " + files(folder));
        Files.writeString(folder.resolve("grid.png.tmp-1-1"), "of a program that still writes it");
        long start = System.nanoTime();
        ShardRunner.run(SQUARES, folder, Progress.NONE);
        assertTrue(System.nanoTime() - start < Leases.EXPIRY.toNanos() / 2, "not after a lease has run out");
        Files.delete(folder.resolve("grid.png.tmp-1-1"));
        assertEquals(FINISHED, files(folder));
    }

    @Test
    void manyProcessesKilledOnTheWayLeaveTheSameBytes() throws Exception {
        Random random = new Random(1);
        for (int round = 0; round < 3; round++) {
            List<Process> all = new ArrayList<>();
            for (int i = 0; i < 3; i++) all.add(start("on"));
            TimeUnit.MILLISECONDS.sleep(100 + random.nextInt(400));
            for (Process process : all.subList(0, 2)) process.destroyForcibly().waitFor();
            try (BufferedReader said = all.get(2).inputReader()) {
                String text = String.join("\n", said.lines().toList());
                assertEquals(0, all.get(2).waitFor(), text);
            }
            ShardRunner.run(SQUARES, folder, Progress.NONE);
            assertEquals(FINISHED, files(folder));
            for (String name : files(folder).keySet()) if (round < 2) Files.delete(folder.resolve(name));
        }
    }

    @Test
    void aSecondThreadIsRefusedAndTakesTheLockFromNobody() throws IOException {
        ShardRunner.run(SQUARES, folder, (done, numLeftOut) -> {
            if (done == 5) refused();
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
