package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFileTest {
    private static final String RANDOM = ".tmp-0123456789abcdef";

    @TempDir
    private Path root;

    private Path folder;

    @BeforeEach
    void aFolderThatNobodyHasWrittenTo() throws IOException {
        folder = Files.createDirectory(root.resolve("folder"));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
        }
    }

    private void write(String name) throws IOException {
        AtomicFile.write(folder.resolve(name), new byte[] {1, 2, 3});
    }

    /** In two containers every program may be process 1, and its first file file 1. */
    @Test
    void twoWritersOfOneFileHaveTwoNamesForIt() throws IOException {
        AtomicFile.write(folder.resolve("x"), outer -> {
            write("x");
            assertEquals(2, names().size(), "x, and the one that is being written");
        });
        assertEquals(List.of("x"), names());
    }

    @Test
    void whatADeadWriterLeftIsRemovedByTheNextOfAnyFileThere() throws IOException {
        Files.writeString(folder.resolve("y" + RANDOM), "half");
        Files.createDirectories(folder.resolve("y" + RANDOM + ".folder").resolve("inside"));
        write("x");
        assertEquals(List.of("x"), names());
    }

    @Test
    void whatALiveWriterHasIsLeftAlone() throws IOException {
        Path live = folder.resolve("y" + RANDOM);
        try (FileChannel channel = FileChannel.open(live, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            channel.lock();
            write("x");
            assertEquals(List.of("x", live.getFileName().toString()), names());
            assertFalse(AtomicFile.isUnfinished(folder.resolve("y")));
        }
        assertTrue(AtomicFile.isUnfinished(folder.resolve("y")), "it has died");
    }

    @Test
    void whatVersionsWithoutLocksLeftIsRemovedOnceItIsOld() throws IOException {
        Path young = Files.writeString(folder.resolve("y.tmp-1-1"), "half"),
                old = Files.writeString(folder.resolve("z.tmp-1-1"), "half");
        Files.setLastModifiedTime(old, FileTime.from(Instant.now().minusSeconds(7200)));
        write("x");
        assertEquals(List.of("x", young.getFileName().toString()), names());
    }

    @Test
    void namesThatOnlyLookLikeItAreSomebodyElses() throws IOException {
        for (String name : List.of("y.tmp-0123", "y.tmp-0123456789abcdeg", RANDOM))
            Files.writeString(folder.resolve(name), "");
        Files.createDirectory(folder.resolve("z" + RANDOM));
        Files.createSymbolicLink(folder.resolve("l" + RANDOM), root);
        write("x");
        assertEquals(6, names().size(), names().toString());
    }

    @Test
    void aFolderHasItsNameOnlyWhenItIsWhole() throws IOException {
        try (AtomicFolder made = AtomicFolder.begin(folder.resolve("new"))) {
            Files.writeString(made.path().resolve("file"), "content");
            assertFalse(Files.exists(folder.resolve("new")));
            Files.writeString(folder.resolve("taken"), "");
            assertThrows(FileAlreadyExistsException.class, () -> made.moveTo(folder.resolve("taken")));
            Path full = Files.createDirectory(folder.resolve("full"));
            Files.writeString(full.resolve("file"), "");
            assertThrows(FileAlreadyExistsException.class, () -> made.moveTo(full));
            made.moveTo(folder.resolve("new"));
        }
        assertEquals(List.of("full", "new", "taken"), names());
        assertEquals("content", Files.readString(folder.resolve("new").resolve("file")));
    }

    @Test
    void aFolderThatGetsNoNameIsGone() throws IOException {
        try (AtomicFolder made = AtomicFolder.begin(folder.resolve("new"))) {
            Files.writeString(made.path().resolve("file"), "content");
        }
        assertEquals(List.of(), names());
    }
}
