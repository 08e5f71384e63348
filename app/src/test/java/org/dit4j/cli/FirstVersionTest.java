package org.dit4j.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.io.Sha256;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What version 0.1.0 left, kept as it wrote it: two runs on pictures, one on latents, and the latents. */
class FirstVersionTest {
    private static final Path KEPT = Path.of("src/test/resources/first-version");

    @TempDir
    private Path folder;

    @BeforeEach
    void copy() throws IOException {
        try (Stream<Path> all = Files.walk(KEPT)) {
            for (Path path : all.toList()) {
                Path target = folder.resolve(KEPT.relativize(path).toString());
                if (Files.isDirectory(path)) Files.createDirectories(target);
                else Files.copy(path, target);
            }
        }
    }

    private Path run(String name) {
        return folder.resolve("results").resolve(name);
    }

    private CommandRun train(String data, String... more) {
        List<String> flags = new ArrayList<>(List.of(
                "train",
                "--data-path=" + data,
                "--hidden-size=24",
                "--depth=1",
                "--num-heads=2",
                "--global-batch-size=4",
                "--sample-every=0",
                "--device=cpu",
                "--results-dir=" + folder.resolve("results")));
        flags.addAll(List.of(more));
        return CommandRun.of(flags.toArray(String[]::new));
    }

    private static long steps(Path run) throws IOException {
        Path newest = CheckpointFolder.latest(run.resolve("checkpoints")).orElseThrow();
        assertEquals(List.of(), CheckpointFolder.verify(newest));
        return CheckpointFolder.state(newest).get("step").asLong();
    }

    @Test
    void theSameCommandGoesOnWithItsRun() throws IOException {
        CommandRun again = train("glyphs", "--image-size=16", "--patch-size=4", "--ema-ramp=0.05", "--max-steps=8");
        assertEquals(0, again.exitCode(), again.err());
        assertTrue(again.err().contains("goes on after step 6"), again.err());
        assertFalse(again.err().contains("Changed"), again.err());
        assertEquals(8, steps(run("000-DiT-24x1-4")));
        String identity = Files.readString(run("000-DiT-24x1-4").resolve("run.json"));
        assertTrue(identity.contains("\"version\" : \"2\""), identity);
    }

    @Test
    void whatItCalledBf16IsAutocastAndAMovedFolderIsKnownFromThenOn() throws IOException {
        String photos = folder.resolve("photos").toString();
        String[] flags = {
            "--image-size=16",
            "--patch-size=4",
            "--noise-schedule=cosine",
            "--prediction=x0",
            "--precision=autocast",
            "--max-steps=7"
        };
        List<String> resumed = new ArrayList<>(List.of(flags));
        resumed.add("--resume=" + run("001-DiT-24x1-4"));
        CommandRun named = train(photos, resumed.toArray(String[]::new));
        assertEquals(0, named.exitCode(), named.err());
        assertTrue(named.err().contains("Changed data: " + photos + ": 6 pictures"), named.err());
        assertFalse(named.err().contains("Changed precision"), named.err());
        assertEquals(7, steps(run("001-DiT-24x1-4")));
        CommandRun found = train(photos, flags);
        assertTrue(found.err().contains("has its 7 steps already"), found.err());
    }

    @Test
    void latentsAndTheirRunGoOn() throws IOException {
        CommandRun named = train(
                folder.resolve("latents").toString(),
                "--patch-size=2",
                "--max-steps=7",
                "--resume=" + run("002-DiT-24x1-2"));
        assertEquals(0, named.exitCode(), named.err());
        assertEquals(7, steps(run("002-DiT-24x1-2")));
    }

    @Test
    void itsRunsDraw() {
        for (String name : List.of("000-DiT-24x1-4", "001-DiT-24x1-4")) {
            CommandRun drawn = CommandRun.of(
                    "sample",
                    "--ckpt=" + run(name),
                    "--num-sampling-steps=2",
                    "--device=cpu",
                    "--out=" + folder.resolve("samples"));
            assertEquals(0, drawn.exitCode(), drawn.err());
        }
    }

    @Test
    void aRunOfANewerVersionIsRefusedByName() throws IOException {
        Path file = run("000-DiT-24x1-4").resolve("run.json");
        TreeMap<String, Object> values = new TreeMap<>();
        values.put("version", "3");
        values.put("model.depth", "1");
        values.put("digest", Sha256.hex(new ObjectMapper().writeValueAsBytes(new TreeMap<>(values))));
        Files.write(file, new ObjectMapper().writeValueAsBytes(values));
        CommandRun refused = train(
                "glyphs", "--image-size=16", "--patch-size=4", "--max-steps=8", "--resume=" + run("000-DiT-24x1-4"));
        assertFalse(refused.exitCode() == 0);
        assertTrue(refused.err().contains("is of version 3, and this dit4j reads up to version 2"), refused.err());
    }
}
