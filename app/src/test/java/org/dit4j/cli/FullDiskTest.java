package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.checkpoint.CheckpointFolder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs on file systems that are really full: in a process with mounts of its own, which needs no rights where the kernel lets users have
 * namespaces; elsewhere this is skipped.
 */
class FullDiskTest {
    private static final int SIZES = 20, STEPS = 6;
    private static final String NEEDS =
            "(?s).*disk full: .*No space left on device: the checkpoint of step \\d+ needs [\\d,]+ bytes, "
                    + ".* has [\\d,]+ free\nmake room, or write elsewhere\n";

    @Test
    void whateverTheSizeCheckpointsStayWholeAndTheRunGoesOnOrStops(@TempDir Path folder) throws Exception {
        assumeTrue(
                output("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", folder.toString())
                                .exitCode()
                        == 0,
                "no mounts without rights here, so no full disk");
        CommandRun run = output(
                "unshare",
                "-rm",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                FullDiskTest.class.getName(),
                folder.toString());
        assertEquals(0, run.exitCode(), run.out());
        System.out.print(run.out()
                        .lines()
                        .filter(line -> line.startsWith("full disk:"))
                        .findFirst()
                        .orElse("") + "\n");
    }

    private static CommandRun output(String... command) throws IOException, InterruptedException {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new CommandRun(process.waitFor(), text, "");
        } catch (IOException e) {
            return new CommandRun(1, "", e.getMessage()); // no such program: not Linux
        }
    }

    /** In the process with mounts of its own. */
    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        mount(folder, 64 << 20, false);
        assertEquals(0, train(folder, "stop").exitCode());
        long checkpoint = bytes(
                CheckpointFolder.checkpoints(run(folder).resolve("checkpoints")).get(0));
        for (int taken : new int[] {0, 4096}) { // there is room for run.json alone, and for nothing
            mount(folder, 4096, false);
            Files.write(folder.resolve("other"), new byte[taken]);
            CommandRun full = train(folder, "stop");
            assertEquals(ExitCode.DISK_FULL.code, full.exitCode(), full.err());
            assertTrue(full.err().contains("dit: disk full: " + folder.resolve("runs") + "/"), full.err());
        }
        int failed = 0, runs = 0;
        for (String choice : List.of("continue", "stop"))
            for (int size = 1; size <= SIZES; size += choice.equals("stop") ? 4 : 1) {
                runs++;
                mount(folder, checkpoint * (size + 4) / 6, false);
                if (fails(folder, choice)) failed++;
                mount(folder, 64 << 20, true);
                CommandRun again = train(folder, choice);
                assertEquals(0, again.exitCode(), again.err());
                assertEquals(0, CommandRun.of("verify", run(folder).toString()).exitCode());
                assertEquals(STEPS, step(folder));
                mount(folder, 0, false);
            }
        System.out.println("full disk: " + failed + " of " + runs + " runs had no room");
        assertTrue(failed >= runs / 2, "too few");
        System.exit(0); // threads of LibTorch
    }

    /** Whether there was no room; then what was saved before is whole, and nothing else is left. */
    private static boolean fails(Path folder, String choice) throws IOException {
        CommandRun run = train(folder, choice);
        try (Stream<Path> all = Files.walk(folder)) {
            assertEquals(
                    List.of(),
                    all.filter(path -> path.getFileName().toString().contains(".tmp-"))
                            .toList(),
                    run.err());
        }
        if (run.exitCode() == 0) return false;
        assertEquals(ExitCode.DISK_FULL.code, run.exitCode(), run.err());
        String message = run.err().substring(run.err().lastIndexOf("dit: "));
        assertTrue(message.lines().count() <= 5, message);
        assertTrue(run.err().matches(NEEDS), run.err());
        boolean saved = Files.isDirectory(folder.resolve("runs"))
                && !CheckpointFolder.checkpoints(run(folder).resolve("checkpoints"))
                        .isEmpty();
        if (saved)
            assertEquals(0, CommandRun.of("verify", run(folder).toString()).exitCode());
        boolean wentOn = run.err().contains("train " + STEPS + "/" + STEPS);
        if (choice.equals("continue")) assertTrue(wentOn, run.err());
        return true;
    }

    private static CommandRun train(Path folder, String choice) {
        return CommandRun.of(TinyRun.flags(
                "train",
                "--results-dir=" + folder.resolve("runs"),
                "--sample-every=0",
                "--max-steps=" + STEPS,
                "--ckpt-every=2",
                "--keep-last=3",
                "--on-save-failure=" + choice));
    }

    private static Path run(Path folder) throws IOException {
        try (Stream<Path> runs = Files.list(folder.resolve("runs"))) {
            return runs.findFirst().orElseThrow();
        }
    }

    private static long step(Path folder) throws IOException {
        return CheckpointFolder.state(CheckpointFolder.latest(run(folder).resolve("checkpoints"))
                        .orElseThrow())
                .get("step")
                .asLong();
    }

    private static long bytes(Path checkpoint) throws IOException {
        try (Stream<Path> files = Files.list(checkpoint)) {
            return files.mapToLong(file -> file.toFile().length()).sum();
        }
    }

    /** A fresh file system of so many bytes, another size of the same one, or none. */
    private static void mount(Path folder, long bytes, boolean again) throws Exception {
        if (!again) output("umount", folder.toString());
        if (bytes == 0) return;
        List<String> command =
                new ArrayList<>(List.of("mount", "-t", "tmpfs", "-o", (again ? "remount," : "") + "size=" + bytes));
        command.addAll(List.of("tmpfs", folder.toString()));
        CommandRun mounted = output(command.toArray(String[]::new));
        assertEquals(0, mounted.exitCode(), mounted.out());
    }
}
