package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunLock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class WatchCommandTest {
    @TempDir
    private Path results;

    private Path run() {
        return results.resolve("000-DiT-16x1-4");
    }

    @Test
    void aFinishedRunEndsAtOnceWith0() throws IOException {
        Path run = TinyRun.train(results, "--sample-every=0");
        CommandRun watched = CommandRun.of("watch", run.toString());
        assertEquals(0, watched.exitCode(), watched.err());
        assertTrue(watched.out().matches("finished: 3 of 3 steps, loss [0-9.]+\n"), watched.out());
        assertEquals("run folder: " + run + "\n", watched.err());
        CommandRun json = CommandRun.of("watch", "--results-dir=" + results, "--json");
        assertEquals(0, json.exitCode(), json.err());
        assertEquals(Files.readString(run.resolve("metrics.jsonl")), json.out());
    }

    @Test
    void aRunInTrainingIsFollowedToItsEnd() throws Exception {
        CompletableFuture<CommandRun> training = CompletableFuture.supplyAsync(() -> CommandRun.of(TinyRun.flags(
                "train", "--results-dir=" + results, "--sample-every=0", "--ckpt-every=50", "--max-steps=200")));
        while (!training.isDone()
                && (!Files.isDirectory(run())
                        || RunLock.holder(new RunFolder(run())).isEmpty())) TimeUnit.MILLISECONDS.sleep(10);
        CommandRun watched = CommandRun.of("watch", "--results-dir=" + results);
        assertEquals(0, watched.exitCode(), watched.err());
        assertEquals(0, training.get().exitCode(), training.get().err());
        assertTrue(watched.out().startsWith("finished: 200 of 200 steps"), watched.out());
        assertTrue(watched.err().contains("run folder: " + run()), watched.err());
        assertTrue(watched.err().contains("Saved checkpoint to " + run().resolve("checkpoints/step-0000200")));
        assertTrue(watched.err().contains("/200  loss "), watched.err());
    }

    @Test
    void metricsThatAreCutBackAndWrittenAgainAreShownFromWhereTheyAreNew() throws Exception {
        Path metrics = TinyRun.train(results, "--sample-every=0").resolve("metrics.jsonl");
        List<String> before = Files.readAllLines(metrics);
        List<String> again = before.stream()
                .skip(1)
                .map(line -> line.replaceFirst("\"at\":\"[^\"]*\"", "\"at\":\"2999-01-01T00:00:00Z\""))
                .toList();
        CompletableFuture<CommandRun> watching;
        try (RunLock lock = RunLock.take(new RunFolder(run()))) {
            watching = CompletableFuture.supplyAsync(() -> CommandRun.of("watch", "--json", run().toString()));
            TimeUnit.MILLISECONDS.sleep(700); // so that it has seen them all
            Files.writeString(metrics, before.get(0) + "\n" + again.get(0) + "\n");
        }
        assertEquals(
                String.join("\n", before) + "\n" + again.get(0) + "\n",
                watching.get().out());
    }

    @Test
    @DisabledOnOs(OS.WINDOWS)
    void theDeathOfATrainerIsToldWith75() throws Exception {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(List.of(TinyRun.flags(
                "train", "--results-dir=" + results, "--sample-every=0", "--max-steps=1000000", "--ckpt-every=10")));
        Process process = new ProcessBuilder(command)
                .redirectError(results.resolve("err").toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        try {
            while (process.isAlive() && Files.notExists(run().resolve("checkpoints/LATEST")))
                TimeUnit.MILLISECONDS.sleep(50);
            assertEquals(
                    process.pid(),
                    RunLock.holder(new RunFolder(run())).orElseThrow(() -> new AssertionError(read("err"))));
            CompletableFuture<CommandRun> watching =
                    CompletableFuture.supplyAsync(() -> CommandRun.of("watch", run().toString()));
            TimeUnit.MILLISECONDS.sleep(700); // so that it has seen the trainer alive
            process.destroyForcibly().waitFor();
            CommandRun watched = watching.get();
            assertEquals(75, watched.exitCode(), watched.err());
            assertTrue(
                    watched.out()
                            .matches("its trainer ended without finishing at step [0-9,]+ of 1,000,000; step-\\d{7,} is"
                                    + " where it goes on\n"),
                    watched.out());
        } finally {
            process.destroyForcibly();
        }
    }

    private String read(String name) {
        try {
            return Files.readString(results.resolve(name));
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Test
    void whatIsNoRunIsRefused() throws IOException {
        CommandRun nothing = CommandRun.of("watch", results.resolve("none").toString());
        assertEquals(2, nothing.exitCode());
        assertTrue(nothing.err().contains("no such run folder; dit runs lists those there are"), nothing.err());
        CommandRun empty = CommandRun.of("watch", "--results-dir=" + results);
        assertEquals(2, empty.exitCode());
        assertTrue(empty.err().startsWith("dit: no runs in "), empty.err());
        CommandRun foreign = CommandRun.of("watch", results.toString());
        assertEquals(2, foreign.exitCode());
        assertTrue(foreign.err().contains("is not the folder of a run"), foreign.err());
    }
}
