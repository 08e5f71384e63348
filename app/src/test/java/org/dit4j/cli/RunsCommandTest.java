package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.dit4j.report.RunSummary;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunLock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunsCommandTest {
    @TempDir
    private Path results;

    private CommandRun runs(String... more) {
        String[] command = java.util.stream.Stream.concat(
                        java.util.stream.Stream.of("runs", "--results-dir=" + results),
                        java.util.stream.Stream.of(more))
                .toArray(String[]::new);
        return CommandRun.of(command);
    }

    @Test
    void runsAreListedNewestFirstWithTheirState() throws IOException {
        Path done = TinyRun.train(results, "--sample-every=0");
        Path begun = TinyRun.train(results, "--sample-every=0", "--global-seed=1", "--model=DiT-S/4");
        String config = Files.readString(begun.resolve("config.yaml"));
        Files.writeString(begun.resolve("config.yaml"), config.replaceFirst("max-steps: 3", "max-steps: 3000"));
        Path broken = Files.createDirectories(results.resolve("002-DiT-16x1-4"));
        Files.writeString(broken.resolve("run.json"), "{");
        Files.createDirectories(results.resolve("003-of-another-program"));
        Files.writeString(results.resolve("notes.txt"), "");
        CommandRun run = runs();
        assertEquals(0, run.exitCode(), run.err());
        List<String> lines = run.out().lines().toList();
        assertEquals(4, lines.size(), run.out());
        assertTrue(lines.get(0).matches("run +model +state +step +loss +images +checkpoint +size +updated"), run.out());
        assertTrue(lines.get(1).matches("002-DiT-16x1-4 +- +damaged +0 +- +0 +- +1 B +now"), run.out());
        assertTrue(
                lines.get(2)
                        .matches(
                                "001-DiT-16x1-4 +DiT-16x1/4 +stopped +3 of 3,000 +[0-9.]+ +12 +step-0000003 +.*B +now"),
                run.out());
        assertTrue(lines.get(3).matches("000-DiT-16x1-4 +DiT-16x1/4 +finished +3 of 3 .*"), run.out());
        assertTrue(run.err().startsWith("dit: " + broken.resolve("run.json") + ": is damaged"), run.err());
        assertEquals(
                1, run.err().lines().filter(line -> line.startsWith("dit: ")).count(), run.err());

        // half a checkpoint, as only another program leaves it, is not taken for the newest
        Files.createDirectories(done.resolve("checkpoints/step-0000009"));
        try (RunLock lock = RunLock.take(new RunFolder(done))) {
            CommandRun json = runs("--json");
            assertEquals(0, json.exitCode(), json.err());
            JsonNode node = new ObjectMapper().readTree(json.out()).get("runs");
            assertEquals(3, node.size());
            JsonNode oldest = node.get(2);
            assertEquals("training", oldest.get("state").asText());
            assertEquals(ProcessHandle.current().pid(), oldest.get("process").asLong());
            assertEquals("step-0000003", oldest.get("checkpoint").asText());
            assertEquals(3, oldest.get("max_steps").asInt());
            assertTrue(oldest.get("bytes").asLong() > 10_000);
            assertFalse(Instant.parse(oldest.get("updated").asText()).isAfter(Instant.now()));
            assertTrue(oldest.get("problems").get(0).asText().contains("step-0000009 is not whole"), json.out());
            assertEquals("damaged", node.get(0).get("state").asText());
            assertTrue(runs().out()
                    .contains("training (process " + ProcessHandle.current().pid() + ")"));
        }
    }

    @Test
    void imagesOfARunThatWasStoppedBeforeItsFirstLogAreCounted() throws IOException {
        Path stopped = TinyRun.train(results, "--sample-every=0");
        Files.writeString(stopped.resolve("metrics.jsonl"), "");
        assertTrue(runs().out().matches("(?s).* 3 of 3 +- +12 +step-0000003 .*"), runs().out());
    }

    @Test
    void stepsThatTrainedNothingAreSaid() throws IOException {
        Path run = TinyRun.train(results, "--sample-every=0");
        String metrics = Files.readString(run.resolve("metrics.jsonl"));
        Files.writeString(run.resolve("metrics.jsonl"), metrics.replace("\"skipped_steps\":0", "\"skipped_steps\":2"));
        assertTrue(runs().out().contains("finished  3 of 3, 2 skipped "), runs().out());
        assertTrue(
                runs("--json").out().contains("\"skipped_steps\":2,"),
                runs("--json").out());
        CommandRun watch = CommandRun.of("watch", run.toString());
        assertEquals(0, watch.exitCode());
        assertTrue(watch.out().startsWith("finished: 3 of 3 steps, 2 of them skipped, loss "), watch.out());
    }

    @Test
    void aFolderWithoutRunsSaysSo() {
        CommandRun none = runs();
        assertEquals(0, none.exitCode());
        assertEquals("", none.out());
        assertTrue(none.err().startsWith("no runs in " + results), none.err());
        assertEquals("{\"runs\":[]}\n", runs("--json").out());
        CommandRun mistyped = CommandRun.of("runs", "--results-dir=" + results.resolve("nowhere"));
        assertEquals(2, mistyped.exitCode());
        assertTrue(Pattern.matches("dit: --results-dir .*nowhere: no such folder\n", mistyped.err()), mistyped.err());
    }

    /** As somebody else may, who tidies up. */
    @Test
    void aRunThatVanishesWhileItIsLookedAtIsLeftOut() throws Exception {
        Path run = TinyRun.train(results, "--sample-every=0"), away = run.resolveSibling("away");
        assertEquals(Optional.empty(), RunSummary.ofExisting(new RunFolder(away)));
        Thread mover = new Thread(() -> {
            try {
                while (!Thread.interrupted()) {
                    Files.move(run, away);
                    Files.move(away, run);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        mover.start();
        try {
            for (int i = 0; i < 40; i++) {
                CommandRun runs = CommandRun.of("runs", "--results-dir=" + results, "--json");
                assertEquals(0, runs.exitCode(), runs.err());
            }
        } finally {
            mover.interrupt();
            mover.join();
        }
    }
}
