package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dit4j.checkpoint.CheckpointFolder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs that go on where they were ended. */
class ContinueTest {
    private static final String JAVA =
            Path.of(System.getProperty("java.home"), "bin", "java").toString();

    @TempDir
    private Path results;

    private CommandRun train(String... flags) {
        List<String> all = new ArrayList<>(List.of("--results-dir=" + results, "--sample-every=0"));
        all.addAll(List.of(flags));
        return CommandRun.of(TinyRun.flags("train", all.toArray(String[]::new)));
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.map(entry -> entry.getFileName().toString())
                    .filter(name -> !name.startsWith("."))
                    .sorted()
                    .toList();
        }
    }

    private static long newestStep(Path run) throws IOException {
        Path newest = CheckpointFolder.newestWhole(run.resolve("checkpoints"), damage -> {})
                .orElseThrow();
        return CheckpointFolder.state(newest).get("step").asLong();
    }

    @Test
    void theSameCommandGoesOnAndResumeSaysOtherwise() throws IOException {
        assertEquals(0, train().exitCode());
        CommandRun again = train();
        assertEquals(0, again.exitCode(), again.err());
        assertTrue(
                again.err().contains("has its 3 steps already; more with --max-steps, another run with --resume never"),
                again.err());
        CommandRun more = train("--max-steps=5");
        assertEquals(0, more.exitCode(), more.err());
        assertTrue(more.err().contains("goes on after step 3"), more.err());
        assertEquals(List.of("000-DiT-16x1-4"), names(results));
        Path run = results.resolve("000-DiT-16x1-4");
        assertEquals(5, newestStep(run));

        CommandRun longer = train("--max-steps=1005", "--dry-run");
        assertTrue(longer.out().contains(" for 1,000 steps to come, "), longer.out() + longer.err());

        assertEquals(0, train("--resume=never").exitCode());
        assertEquals(List.of("000-DiT-16x1-4", "001-DiT-16x1-4"), names(results));
        CommandRun named = train("--resume=" + run, "--max-steps=6", "--learning-rate=1e-5");
        assertEquals(0, named.exitCode(), named.err());
        assertEquals(6, newestStep(run));
        assertTrue(
                Files.readString(run.resolve("log.txt")).contains("Changed learningRate.rate: 1.0E-5, was 1.0E-4"),
                "a changed configuration is logged");
    }

    @Test
    void whatCannotGoOnSaysWhy() throws IOException {
        assertEquals(0, train().exitCode());
        CommandRun absent = train("--resume=nowhere");
        assertEquals(5, absent.exitCode());
        assertTrue(
                absent.err()
                        .startsWith(
                                "dit: nowhere: no such file or folder; give the folder of a run, or a training checkpoint"),
                absent.err());
        Path run = results.resolve("000-DiT-16x1-4");
        CommandRun other = train("--resume=" + run, "--depth=2");
        assertEquals(2, other.exitCode());
        assertTrue(other.err().contains(run + " trains another model: model.depth: 2, was 1"), other.err());
        for (Path checkpoint : CheckpointFolder.checkpoints(run.resolve("checkpoints")))
            Files.delete(checkpoint.resolve("state.json"));
        CommandRun damaged = train("--max-steps=5");
        assertEquals(5, damaged.exitCode(), damaged.err());
        assertTrue(damaged.err().contains("state.json: is not there; start another run with --resume never"));
    }

    @Test
    void verifyNamesWhatIsDamaged() throws IOException {
        assertEquals(0, train("--ckpt-every=2").exitCode());
        Path run = results.resolve("000-DiT-16x1-4"), checkpoints = run.resolve("checkpoints");
        CommandRun whole = CommandRun.of("verify", run.toString());
        assertEquals(0, whole.exitCode(), whole.err());
        assertEquals(
                List.of("OK   " + checkpoints.resolve("step-0000003"), "OK   " + checkpoints.resolve("step-0000002")),
                whole.out().lines().toList());
        Path file = checkpoints.resolve("step-0000002/model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
        CommandRun damaged = CommandRun.of("verify", run.toString());
        assertEquals(5, damaged.exitCode());
        assertTrue(damaged.out().contains("FAIL " + file.getParent()), damaged.out());
        assertTrue(damaged.out().contains("     " + file + ": block 0 (from byte 0 on) is damaged"), damaged.out());
        assertEquals(
                0,
                CommandRun.of("verify", checkpoints.resolve("step-0000003").toString())
                        .exitCode());
        CommandRun json = CommandRun.of("verify", "--json", run.toString());
        assertTrue(json.out().startsWith("{\"" + checkpoints.resolve("step-0000003") + "\":[],"), json.out());
        CommandRun absent = CommandRun.of("verify", results.resolve("none").toString());
        assertEquals(5, absent.exitCode());
        assertTrue(absent.err().contains("no such folder; give the folder of a run"), absent.err());
        CommandRun empty = CommandRun.of("verify", results.toString());
        assertEquals(5, empty.exitCode());
        assertEquals("dit: " + results + " has no checkpoint; give the folder of a run\n", empty.err());
    }

    /** The real process, training without end. */
    private ProcessBuilder command(Path err, String... flags) {
        List<String> command = new ArrayList<>();
        // a build that runs in the background of a shell ignores SIGINT, and hands that on to what it starts
        if (OS.LINUX.isCurrentOs()) command.addAll(List.of("env", "--default-signal=INT,HUP"));
        command.addAll(List.of(
                JAVA, "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), Main.class.getName()));
        List<String> all =
                new ArrayList<>(List.of("--results-dir=" + results, "--sample-every=0", "--max-steps=1000000"));
        all.addAll(List.of(flags));
        command.addAll(List.of(TinyRun.flags("train", all.toArray(String[]::new))));
        return new ProcessBuilder(command).redirectError(err.toFile());
    }

    private Process start(Path err, String... flags) throws IOException {
        return command(err, flags).start();
    }

    private static void send(String signal, Process process) throws Exception {
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid()))
                .start()
                .waitFor();
    }

    private static void await(Process process, Callable<Boolean> condition) throws Exception {
        for (int i = 0; i < 12_000 && process.isAlive() && !condition.call(); i++) TimeUnit.MILLISECONDS.sleep(10);
        assertTrue(condition.call(), "waited in vain");
    }

    /** Its checkpoints take some 300 MB, so that saving one takes long enough to be caught at it. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void aSecondCtrlCDoesNotWaitForTheSaving() throws Exception {
        Path err = results.resolve("err"), checkpoints = results.resolve("000-DiT-512x4-16/checkpoints");
        Process process = start(
                err,
                "--hidden-size=512",
                "--depth=4",
                "--patch-size=16",
                "--ckpt-every=3",
                "--keep-last=1",
                "--log-every=1000");
        try {
            await(process, () -> !CheckpointFolder.checkpoints(checkpoints).isEmpty());
            send("INT", process);
            await(
                    process,
                    () -> Files.readString(err).contains("saving; Ctrl-C again stops at once")
                            && names(checkpoints).stream().anyMatch(name -> name.matches("step-\\d+\\.tmp-.*")));
            TimeUnit.MILLISECONDS.sleep(300); // sooner, it would be the same Ctrl-C
            send("INT", process);
            assertTrue(process.waitFor(60, TimeUnit.SECONDS));
            String said = Files.readString(err, StandardCharsets.UTF_8);
            assertEquals(130, process.exitValue(), said);
            assertFalse(said.contains("saved and stopped"), said);
            assertTrue(
                    names(checkpoints).stream().anyMatch(name -> name.contains(".tmp-")),
                    "it was stopped while it saved: " + names(checkpoints));
            for (Path checkpoint : CheckpointFolder.checkpoints(checkpoints))
                assertEquals(List.of(), CheckpointFolder.verify(checkpoint));
            assertFalse(CheckpointFolder.checkpoints(checkpoints).isEmpty());
        } finally {
            process.destroyForcibly();
        }
    }

    @ParameterizedTest
    @CsvSource({"TERM,143,SIGTERM", "INT,130,SIGINT", "HUP,129,SIGHUP"})
    @DisabledOnOs(OS.WINDOWS)
    void aSignalSavesAndEndsWithItsExitCode(String signal, int exitCode, String meaning) throws Exception {
        Path err = results.resolve("err");
        Process process = start(err, "--log-every=5");
        try {
            Path run = results.resolve("000-DiT-16x1-4");
            Path metrics = run.resolve("metrics.jsonl");
            for (int i = 0; i < 600 && process.isAlive() && (Files.notExists(metrics) || Files.size(metrics) == 0); i++)
                TimeUnit.MILLISECONDS.sleep(100);
            send(signal, process);
            send(signal, process); // as who ends a group of processes and then each of them
            assertTrue(process.waitFor(60, TimeUnit.SECONDS));
            String said = Files.readString(err, StandardCharsets.UTF_8);
            assertEquals(exitCode, process.exitValue(), said);
            long step = newestStep(run);
            assertTrue(
                    said.contains("(" + meaning + ") after step " + step + "; the same command goes on from there")
                            || said.contains(meaning + " after step " + step + "; the same command goes on"),
                    said);
            CommandRun more = train("--max-steps=" + (step + 1), "--log-every=5");
            assertEquals(0, more.exitCode(), more.err());
            assertTrue(more.err().contains("goes on after step " + step), more.err());
        } finally {
            process.destroyForcibly();
        }
    }

    /** SIGUSR1 is what batch systems send before a time is up; under nohup a closed terminal is no reason to end. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void aRunSavesAndGoesOnWhenItIsAskedToAndUnderNohupOutlivesItsTerminal() throws Exception {
        Path err = results.resolve("err"), run = results.resolve("000-DiT-16x1-4");
        ProcessBuilder training = command(err, "--log-every=5", "--ckpt-every=1000000");
        // as the dit script, which has SIGUSR1 ignored until there is something to save
        training.command()
                .addAll(
                        training.command().indexOf(JAVA),
                        List.of("nohup", "sh", "-c", "trap '' USR1; exec \"$@\"", "sh"));
        Process process =
                training.redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
        try {
            TimeUnit.MILLISECONDS.sleep(20); // until sh has come to its trap
            await(process, () -> {
                send("USR1", process); // long before it is ready
                return Files.exists(run.resolve("metrics.jsonl")) && Files.size(run.resolve("metrics.jsonl")) > 0;
            });
            send("HUP", process);
            send("USR1", process);
            await(
                    process,
                    () -> CheckpointFolder.latest(run.resolve("checkpoints")).isPresent());
            assertTrue(Files.readString(run.resolve("log.txt")).contains("Saved checkpoint"));
            long logged = Files.size(run.resolve("metrics.jsonl"));
            await(process, () -> Files.size(run.resolve("metrics.jsonl")) > logged);
            send("TERM", process);
            assertTrue(process.waitFor(60, TimeUnit.SECONDS));
            assertEquals(143, process.exitValue(), Files.readString(err));
        } finally {
            process.destroyForcibly();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"ddim600", "7,", "1001", "none"})
    void stepsThatNoGridCouldBeDrawnWithAreRefusedBeforeTheFirst(String steps) throws IOException {
        for (String often : List.of("--sample-every=0", "--sample-every=auto")) {
            CommandRun run = train("--num-sampling-steps=" + steps, often);
            assertEquals(2, run.exitCode(), run.err());
            assertTrue(run.err().contains("\"" + steps + "\""), run.err());
            assertEquals(List.of(), names(results));
        }
    }
}
