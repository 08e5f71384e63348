package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeCacheTest {
    private static final Path FIRST = Path.of("libraries.jar/org/some/libfirst.so"),
            RENAMED = Path.of("libraries.jar/org/some/libother.so");

    @TempDir
    private Path root;

    private Path folder;
    private byte[] content;
    private List<NativeLibrary> libraries;

    @BeforeEach
    void aJarWithALibraryThatIsUnpackedUnderTwoNames() throws IOException {
        folder = Files.createDirectory(root.resolve("cache"));
        content = new byte[300_000];
        new Random(1).nextBytes(content);
        Path jar = root.resolve("libraries.jar");
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream entries = new JarOutputStream(out)) {
            JarEntry entry = new JarEntry("org/some/libfirst.so");
            entry.setTime(1_700_000_000_000L);
            entries.putNextEntry(entry);
            entries.write(content);
        }
        String url = "jar:" + jar.toUri() + "!/org/some/libfirst.so";
        libraries = List.of(NativeLibrary.of(new URL(url)), NativeLibrary.of(new URL(url + "#libother.so")));
    }

    /** As a start does; returns whether it found all as listed. */
    private boolean start() throws IOException {
        AtomicInteger asked = new AtomicInteger();
        try (NativeCache cache = NativeCache.open(folder, "key", () -> {
            asked.incrementAndGet();
            return libraries;
        })) {
            requireWhole();
            cache.complete();
        }
        return asked.get() == 0;
    }

    private void requireWhole() throws IOException {
        for (Path path : List.of(FIRST, RENAMED)) {
            assertArrayEquals(content, Files.readAllBytes(folder.resolve(path)));
            assertEquals(
                    1_700_000_000_000L,
                    Files.getLastModifiedTime(folder.resolve(path)).toMillis(),
                    "JavaCPP unpacks a file with another time again, in place");
        }
    }

    private void damage(Path path, int size) throws IOException {
        FileTime time = Files.getLastModifiedTime(folder.resolve(path));
        byte[] other = new byte[size];
        Files.write(folder.resolve(path), other);
        Files.setLastModifiedTime(folder.resolve(path), time);
    }

    @Test
    void theFirstStartUnpacksAndLaterOnesOnlyLook() throws IOException {
        assertFalse(start());
        assertTrue(start());
        assertTrue(start());
    }

    @Test
    void whateverAKilledProcessLeftTheNextStartHasWholeLibraries() throws IOException {
        Files.createDirectories(folder.resolve(FIRST).getParent());
        Files.write(folder.resolve(FIRST), new byte[1000]); // JavaCPP, killed
        Path unpacking = Files.write(folder.resolve(".dit4j-unpacking-1"), new byte[1000]); // this, killed
        assertFalse(start());
        assertFalse(Files.exists(unpacking));
        damage(FIRST, 0);
        assertFalse(start());
        Files.delete(folder.resolve(RENAMED));
        assertFalse(start());
        assertTrue(start());
    }

    @Test
    void aLinkThatMovedIsSeen() throws IOException {
        Files.createDirectories(folder.resolve(FIRST).getParent());
        Path link =
                Files.createSymbolicLink(folder.resolve(FIRST).resolveSibling("libfirst.so.1"), Path.of("libfirst.so"));
        start();
        assertTrue(start());
        Files.delete(link);
        Files.createSymbolicLink(link, Path.of("elsewhere"));
        assertFalse(start());
    }

    @Test
    void aLinkInPlaceOfALibraryIsReplacedAndWhatItPointsToIsLeftAlone() throws IOException {
        Files.createDirectories(folder.resolve(FIRST).getParent());
        Path stranger = Files.writeString(root.resolve("stranger"), "stays");
        Files.createSymbolicLink(folder.resolve(FIRST), stranger);
        assertFalse(start());
        assertEquals("stays", Files.readString(stranger));
        assertFalse(Files.isSymbolicLink(folder.resolve(FIRST)));
    }

    @Test
    void theSameBytesWithAnotherTimeAreNotUnpackedAgain() throws IOException {
        start();
        Object before = Files.getAttribute(folder.resolve(FIRST), "unix:ino");
        Files.setLastModifiedTime(folder.resolve(FIRST), FileTime.fromMillis(5000));
        assertFalse(start());
        assertEquals(before, Files.getAttribute(folder.resolve(FIRST), "unix:ino"));
    }

    @Test
    void bytesThatChangedBehindTheirSizeAreFoundByChecksum() throws IOException {
        start();
        damage(FIRST, content.length);
        assertTrue(looksAtSizesOnly());
        assertEquals(List.of(FIRST), NativeCache.repair(folder, () -> libraries));
        assertEquals(List.of(), NativeCache.repair(folder, () -> libraries));
        requireWhole();
    }

    private boolean looksAtSizesOnly() throws IOException {
        try (NativeCache cache = NativeCache.open(folder, "key", () -> {
            throw new IOException("asked");
        })) {
            return cache != null;
        }
    }

    @Test
    void eightFirstStartsAtOnceUnpackOnce() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        try {
            List<Callable<Boolean>> starts = new ArrayList<>();
            for (int i = 0; i < 8; i++) starts.add(this::start);
            int unpacked = 0;
            for (Future<Boolean> start : pool.invokeAll(starts)) if (!start.get()) unpacked++;
            assertEquals(1, unpacked);
        } finally {
            pool.shutdown();
        }
        try (Stream<Path> entries = Files.list(folder)) {
            assertFalse(entries.anyMatch(entry -> entry.toString().contains("unpacking")));
        }
    }

    @Test
    void aFolderThatCannotBeWrittenIsNamedWithWhatToDo() throws IOException {
        Files.writeString(folder.resolve("libraries.jar"), "a file where a folder is to be");
        IOException e = assertThrows(IOException.class, this::start);
        assertTrue(e.getMessage().contains(folder.toString()), e.getMessage());
        assertTrue(e.getMessage().endsWith("-Dorg.bytedeco.javacpp.cachedir=FOLDER"), e.getMessage());
    }
}
