package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.dit4j.checkpoint.CheckpointFolder;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills the real process again and again at random moments, half of them inside a save, as {@code kill -9} does; each next one continues. In the end the weights,
 * average, moments and metrics are those of a run that was never killed, to the last byte.
 */
class KillTest {
    /** From the first step of a process on; some ten saves take as long. */
    private static final int MAX_MILLIS = 500;

    @TempDir
    private Path temporary;

    @Test
    void thirtyKillsLoseNothing() throws Exception {
        killAndCompare(temporary, 0, 30, 10);
    }

    @Test
    @Tag("slow")
    void fiveHundredKillsLoseNothing() throws Exception {
        int runs = Math.max(1, Runtime.getRuntime().availableProcessors() / 4); // beside each other, 500 kills in all
        ExecutorService threads = Executors.newFixedThreadPool(runs);
        try {
            List<Callable<Void>> shares = new ArrayList<>();
            for (int run = 0; run < runs; run++) {
                int seed = run;
                Path folder = temporary.resolve("run-" + run);
                int numKills = 500 * (run + 1) / runs - 500 * run / runs;
                shares.add(() -> {
                    killAndCompare(folder, seed, numKills, numKills / 4);
                    return null;
                });
            }
            for (Future<Void> share : threads.invokeAll(shares)) share.get();
        } finally {
            threads.shutdownNow();
        }
    }

    private static void killAndCompare(Path folder, int seed, int numKills, int leastInsideASave) throws Exception {
        Path results = folder.resolve("killed");
        Random random = new Random(31L * seed + numKills);
        int kills = 0, insideASave = 0;
        long saved = -1;
        // how many hit a save by chance depends on the disk; where it is too few, there are more kills
        while (kills < numKills || insideASave < leastInsideASave && kills < 3 * numKills) {
            kills++;
            // the first kills come before there is a run, and then every other one waits for a save
            if (kills <= 2) killAfter(results, -1 - random.nextInt(700), false);
            else killAfter(results, random.nextInt(MAX_MILLIS), kills % 2 == 0);
            RunFolder run = KilledRun.run(results, 1).folder();
            if (isSaving(run.checkpoints())) insideASave++;
            long newest = newestStep(run);
            assertTrue(newest >= saved, "kill " + kills + " lost step " + saved + "; the newest is " + newest);
            saved = newest;
        }
        int numSteps = (int) saved + 5;
        finish(results, numSteps);
        RunFolder killed = KilledRun.run(results, numSteps).folder();
        assertEquals(List.of("000-tiny"), TinyRun.names(results), "no orphans, and no second run");
        List<String> left = TinyRun.names(killed.checkpoints());
        assertEquals(3, left.size(), "LATEST and two checkpoints, no orphans: " + left);

        Path whole = folder.resolve("whole");
        TinyRun.assertSame(KilledRun.run(whole, numSteps).train(), killed);
        System.out.printf(
                "%d kills, %d inside a save, %d steps: 0 checkpoints lost, 0 bytes differ%n",
                kills, insideASave, numSteps);
        assertTrue(insideASave >= leastInsideASave, "only " + insideASave + " kills hit a save");
    }

    /** −1 if there is no whole checkpoint. */
    private static long newestStep(RunFolder folder) throws IOException {
        var newest = CheckpointFolder.newestWhole(folder.checkpoints(), damage -> {
            throw new AssertionError("damaged by a kill: " + damage);
        });
        return newest.isPresent()
                ? CheckpointFolder.state(newest.get()).get("step").asLong()
                : -1;
    }

    private static Process start(Path results, int maxSteps) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1", // starts in less time
                        "-XX:+UseSerialGC",
                        "-Xshare:auto",
                        "-Ddit.device=" + System.getProperty("dit.device", "cpu"),
                        "-cp",
                        System.getProperty("java.class.path"),
                        KilledRun.class.getName(),
                        results.toString(),
                        Integer.toString(maxSteps))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }

    /** Kills it so many milliseconds after its first step, or, if negative, after its start; or as the next save is seen after that. */
    private static void killAfter(Path results, int millis, boolean inASave) throws Exception {
        Process process = start(results, Integer.MAX_VALUE);
        try (BufferedReader steps = process.inputReader()) {
            if (millis >= 0) assertTrue(steps.readLine() != null, "the process ended by itself");
            TimeUnit.MILLISECONDS.sleep(Math.abs(millis));
            Path checkpoints = results.resolve("000-tiny/checkpoints");
            for (int i = 0; inASave && !isSaving(checkpoints) && i < 5000; i++) TimeUnit.MILLISECONDS.sleep(1);
            process.destroyForcibly().waitFor();
        }
    }

    private static boolean isSaving(Path checkpoints) throws IOException {
        return TinyRun.names(checkpoints).stream().anyMatch(name -> name.contains(".tmp-"));
    }

    private static void finish(Path results, int maxSteps) throws Exception {
        Process process = start(results, maxSteps);
        try (BufferedReader steps = process.inputReader()) {
            while (steps.readLine() != null) {}
        }
        assertEquals(0, process.waitFor());
    }
}
