package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The first start on a machine, with LibTorch's real libraries: killed anywhere, and many at once. Takes minutes and 0.5 GB of disk. */
@Tag("slow")
class FirstStartTest {
    private static final int KILLS = 12, AT_ONCE = 24;

    @TempDir
    private Path root;

    private Process start(String... options) throws IOException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx200m"));
        command.addAll(List.of(options));
        command.addAll(List.of(
                "-Djava.io.tmpdir=" + root,
                "-cp",
                System.getProperty("java.class.path"),
                FirstTouch.class.getName(),
                "scope"));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    private static void requireWorks(Process process) throws Exception {
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
        assertTrue(said.endsWith("limits 0 0"), said);
    }

    private void clear() throws IOException {
        try (Stream<Path> all = Files.walk(root)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) if (!path.equals(root)) Files.delete(path);
        }
    }

    @Test
    void killedAnywhereTheNextStartWorks() throws Exception {
        Random random = new Random(7);
        String cache = "-Dorg.bytedeco.javacpp.cachedir=" + root.resolve("cache");
        for (int kill = 0; kill < KILLS; kill++) {
            clear();
            Process process = start(cache);
            TimeUnit.MILLISECONDS.sleep(500 + random.nextInt(5000));
            process.destroyForcibly().waitFor();
            requireWorks(start(cache));
        }
    }

    @Test
    void manyFirstStartsAtOnceWork() throws Exception {
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < AT_ONCE; i++)
            processes.add(start("-Dorg.bytedeco.javacpp.cachedir=" + root.resolve("cache")));
        for (Process process : processes) requireWorks(process);
    }

    /** Also a user without a name, as containers have: Java calls the home of such a one "?". */
    @Test
    void aHomeThatCannotBeWrittenIsPassedOver() throws Exception {
        for (String home : List.of("/proc/no-such-home", "?")) {
            requireWorks(start("-Duser.home=" + home));
            assertFalse(Files.exists(Path.of("?")));
        }
        try (Stream<Path> entries = Files.list(root)) {
            List<Path> caches = entries.filter(
                            entry -> entry.getFileName().toString().startsWith("dit4j-natives-"))
                    .toList();
            assertEquals(1, caches.size(), caches + ": the second start finds what the first unpacked");
        }
    }
}
