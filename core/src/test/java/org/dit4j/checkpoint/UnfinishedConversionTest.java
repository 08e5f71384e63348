package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A conversion that was killed leaves no more than the same command takes away. */
class UnfinishedConversionTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(3, 0.1).withTrunk(32, 2, 4);
    private static final String LEFT = ".tmp-0123456789abcdef";
    private static final WriteOptions SHARDS = WriteOptions.DEFAULT.withMaxShardBytes(40_000);

    @TempDir
    private Path folder;

    private Path from;

    @BeforeEach
    void aModel() throws IOException {
        from = folder.resolve("from.safetensors");
        try (DiT network = SMALL.network()) {
            DiTCheckpoint.write(from, network, List.of(), DiffusionConfig.published(SMALL.learnSigma()), "");
        }
    }

    private void convert(Path to, WriteOptions options) throws IOException {
        Conversion.convert(from, to, OpenOptions.DEFAULT, options);
    }

    private List<String> names(Path path) throws IOException {
        try (Stream<Path> entries = Files.list(path)) {
            return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void theSameShardsAgain() throws IOException {
        Path to = Files.createDirectory(folder.resolve("to")).resolve("m.safetensors");
        convert(to, SHARDS);
        List<String> whole = names(to.getParent());
        assertTrue(whole.size() > 3, whole.toString());
        // as it is when the process dies before the last shard
        Path index = to.resolveSibling("m.safetensors.index.json");
        Files.move(index, index.resolveSibling(index.getFileName() + LEFT));
        Files.delete(to.resolveSibling(whole.get(whole.size() - 2)));
        Files.writeString(to.resolveSibling(whole.get(whole.size() - 2) + LEFT), "half");
        convert(to, SHARDS);
        assertEquals(whole, names(to.getParent()));
    }

    @Test
    void shardsThatAnotherProgramLeftAreNotTouched() throws IOException {
        Path to = folder.resolve("m.safetensors");
        Path theirs = Files.writeString(folder.resolve("m-00001-of-00002.safetensors"), "theirs");
        assertThrows(IllegalArgumentException.class, () -> convert(to, SHARDS));
        assertEquals("theirs", Files.readString(theirs));
    }

    @Test
    void theSameFolderAgain() throws IOException {
        Path to = folder.resolve("to");
        convert(to, SHARDS);
        List<String> whole = names(to), transformer = names(to.resolve("transformer"));
        Path index = to.resolve("model_index.json");
        Files.move(index, to.resolve("model_index.json" + LEFT));
        Files.delete(to.resolve("scheduler").resolve("scheduler_config.json"));
        Files.writeString(to.resolve("mine.txt"), "somebody's");
        assertThrows(IllegalArgumentException.class, () -> convert(to, SHARDS), "what is not a pipeline's stays");
        Files.delete(to.resolve("mine.txt"));
        convert(to, SHARDS);
        assertEquals(whole, names(to));
        assertEquals(transformer, names(to.resolve("transformer")));
    }

    @Test
    void aConversionThatFailsLeavesNothing() throws IOException {
        Path to = folder.resolve("to"), nothing = Files.createDirectory(folder.resolve("nothing"));
        assertThrows(
                IOException.class, () -> Conversion.convert(from, to, OpenOptions.DEFAULT.withVae(nothing), SHARDS));
        assertEquals(List.of(), names(to));
    }
}
