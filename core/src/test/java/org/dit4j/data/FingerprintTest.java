package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class FingerprintTest {
    private static final DatasetConfig STANDARD = DatasetConfig.standard();

    @TempDir
    Path root;

    /** Data of each kind; the shades 1 to 9 give files of equal length, with other content. */
    enum Data {
        FOLDER {
            @Override
            Path write(Path path, int... shades) throws IOException {
                return DataFiles.folder(path, DataFiles.pictures(shades));
            }

            @Override
            void addJunk(Path path) throws IOException {
                Files.writeString(path.resolve("cat/Thumbs.db"), "junk");
                Files.writeString(path.resolve("cat/.hidden.png"), "junk");
            }
        },
        ZIP {
            @Override
            Path write(Path path, int... shades) throws IOException {
                return DataFiles.zip(path.resolveSibling(path.getFileName() + ".zip"), DataFiles.pictures(shades));
            }

            @Override
            void addJunk(Path path) throws IOException {
                Map<String, byte[]> files = new LinkedHashMap<>(Map.of("cat/Thumbs.db", new byte[3]));
                files.putAll(DataFiles.pictures(1, 2, 3, 4));
                DataFiles.zip(path, files);
            }
        },
        TAR {
            @Override
            Path write(Path path, int... shades) throws IOException {
                // the header's time stands for the content: that of the first shade
                DataFiles.tar(path.resolve("0.tar"), shades[0], shades);
                return path;
            }

            @Override
            void addJunk(Path path) throws IOException {
                Files.writeString(path.resolve("index.txt"), "junk");
            }
        },
        IDX {
            @Override
            Path write(Path path, int... shades) throws IOException {
                return DataFiles.idx(path, "train", false, shades);
            }

            @Override
            void addJunk(Path path) throws IOException {
                Files.writeString(path.resolve("Thumbs.db"), "junk");
            }
        },
        LATENTS {
            @Override
            Path write(Path path, int... shades) throws IOException {
                return DataFiles.latents(path, 'a', List.of("x", "y"), shades[0], shades[1]);
            }

            @Override
            void addJunk(Path path) throws IOException {
                Files.writeString(path.resolve("Thumbs.db"), "junk");
            }
        };

        abstract Path write(Path path, int... shades) throws IOException;

        /** What is no picture. */
        abstract void addJunk(Path path) throws IOException;
    }

    private static Fingerprint of(Path path, DatasetConfig config) throws IOException {
        try (Dataset data = Datasets.open(path, config)) {
            Fingerprint fingerprint = data.fingerprint();
            assertEquals(fingerprint.stamp(), data.stamp());
            assertSame(fingerprint, data.fingerprint(), "read again");
            return fingerprint;
        }
    }

    private static Fingerprint of(Path path) throws IOException {
        return of(path, STANDARD);
    }

    private static void assertDiffer(Fingerprint one, Fingerprint other) {
        assertNotEquals(one.digest(), other.digest());
        assertNotEquals(one.stamp(), other.stamp());
    }

    @ParameterizedTest
    @EnumSource
    void howThePathIsWrittenDoesNotCount(Data kind) throws IOException {
        Path path = kind.write(root.resolve("data"), 1, 2, 3, 4);
        Path relative = Path.of("").toAbsolutePath().relativize(path.toAbsolutePath());
        Path link = Files.createSymbolicLink(
                root.resolve("link" + (kind == Data.ZIP ? ".zip" : "")), path.toAbsolutePath());
        Fingerprint fingerprint = of(path);
        for (Path same : List.of(relative, Path.of("./" + relative), path.resolve("../" + path.getFileName()), link))
            assertEquals(fingerprint, of(same), same.toString());
    }

    @ParameterizedTest
    @EnumSource
    void aCopyElsewhereHasTheSameDigest(Data kind) throws IOException {
        Fingerprint one = of(kind.write(root.resolve("data"), 1, 2, 3, 4));
        Files.createDirectories(root.resolve("else/where"));
        Fingerprint other = of(kind.write(root.resolve("else/where/called otherwise"), 1, 2, 3, 4));
        assertEquals(one.digest(), other.digest());
        assertNotEquals(one.stamp(), other.stamp(), "other files");
    }

    @ParameterizedTest
    @EnumSource
    void filesThatAreNoItemsDoNotCount(Data kind) throws IOException {
        Path path = kind.write(root.resolve("data"), 1, 2, 3, 4);
        Fingerprint before = of(path);
        kind.addJunk(path);
        assertEquals(before.digest(), of(path).digest());
    }

    @ParameterizedTest
    @EnumSource
    void timesAreOfTheStampAlone(Data kind) throws IOException {
        Path path = kind.write(root.resolve("data"), 1, 2, 3, 4);
        Fingerprint before = of(path);
        try (Stream<Path> files = Files.walk(path)) {
            for (Path file : files.filter(Files::isRegularFile).toList())
                Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000));
        }
        Fingerprint after = of(path);
        assertEquals(before.digest(), after.digest());
        assertNotEquals(before.stamp(), after.stamp());
    }

    @ParameterizedTest
    @EnumSource
    void otherPicturesOfTheSameNamesAndLengthsAreOtherData(Data kind) throws IOException {
        Path path = kind.write(root.resolve("data"), 1, 2, 3, 4);
        Fingerprint before = of(path);
        assertEquals(DataFiles.png(1).length, DataFiles.png(5).length);
        kind.write(root.resolve("data"), 5, 2, 3, 4);
        assertDiffer(before, of(path));
    }

    @Test
    void imageSizeAndChannelsCount() throws IOException {
        for (Data kind : List.of(Data.FOLDER, Data.ZIP, Data.TAR)) {
            Path path = kind.write(root.resolve(kind.name()), 1, 2, 3, 4);
            Fingerprint rgb = of(path, STANDARD.withImageSize(8));
            assertDiffer(rgb, of(path, STANDARD.withImageSize(16)));
            assertDiffer(rgb, of(path, STANDARD.withImageSize(8).withChannels(1)));
            assertEquals(rgb, of(path, STANDARD.withImageSize(8).withSkipBroken(true)));
        }
    }

    @Test
    void namesOfClassesCount() throws IOException {
        for (Data kind : List.of(Data.TAR, Data.IDX)) {
            Path path = kind.write(root.resolve(kind.name()), 1, 2, 3, 4);
            Fingerprint numbers = of(path), named = of(path, STANDARD.withClassNames(List.of("a", "b")));
            assertDiffer(numbers, named);
            assertDiffer(named, of(path, STANDARD.withClassNames(List.of("a", "c"))));
            assertEquals(numbers, of(path, STANDARD.withClassNames(List.of("0", "1"))));
        }
        Path folder = Data.FOLDER.write(root.resolve("folder"), 1, 2, 3, 4);
        Fingerprint before = of(folder);
        Files.move(folder.resolve("cat"), folder.resolve("bat"));
        assertDiffer(before, of(folder));
        Path csv = Files.writeString(root.resolve("t.csv"), "key,name\nbat,animal\ndog,animal\n");
        assertDiffer(of(folder), of(folder, STANDARD.withClassTable(ClassTable.read(csv, "key", "name"))));
        Fingerprint latents = of(DataFiles.latents(root.resolve("a"), 'a', List.of("x", "y"), 1, 2));
        assertDiffer(latents, of(DataFiles.latents(root.resolve("b"), 'a', List.of("x", "z"), 1, 2)));
        assertDiffer(latents, of(DataFiles.latents(root.resolve("c"), 'b', List.of("x", "y"), 1, 2)));
    }

    @Test
    void whereEncodedPicturesLayDoesNotCount() throws IOException {
        Path one = DataFiles.latents(root.resolve("a"), 'a', "photos", List.of("x", "y"), 1, 2),
                other = DataFiles.latents(root.resolve("b"), 'a', "./photos", List.of("x", "y"), 1, 2);
        assertEquals(of(one).digest(), of(other).digest());
    }

    @Test
    void aGzippedIdxFileIsTheSameData() throws IOException {
        Path plain = DataFiles.idx(root.resolve("plain"), "train", false, 1, 2, 3, 4),
                gzipped = DataFiles.idx(root.resolve("gzipped"), "train", true, 1, 2, 3, 4);
        assertEquals(of(plain).digest(), of(gzipped).digest());
    }

    @Test
    void theOrderInWhichFilesCameIntoAFolderDoesNotCount() throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>(), reversed = new LinkedHashMap<>();
        for (int i = 0; i < 50; i++) files.put("ä b/" + (i % 3) + "/%41 ü?#" + i + ".png", new byte[] {(byte) i});
        List<String> names = new ArrayList<>(files.keySet());
        Collections.reverse(names);
        names.forEach(name -> reversed.put(name, files.get(name)));
        Fingerprint one = of(DataFiles.folder(root.resolve("a"), files));
        assertEquals(
                one.digest(), of(DataFiles.folder(root.resolve("b"), reversed)).digest());
        Path renamed = DataFiles.folder(root.resolve("c"), files);
        Files.move(renamed.resolve("ä b/0/%41 ü?#0.png"), renamed.resolve("ä b/0/A ü?#0.png"));
        assertNotEquals(one.digest(), of(renamed).digest());
    }

    @Test
    void bothEndsOfALongFileCount() throws IOException {
        Set<String> digests = new HashSet<>();
        int[] changed = {-1, 0, 4095, 20_000 - 4096, 20_000 - 1};
        for (int at : changed) {
            byte[] file = new byte[20_000];
            if (at >= 0) file[at] = 1;
            digests.add(of(DataFiles.folder(root, Map.of("a/0.png", file))).digest());
        }
        digests.add(
                of(DataFiles.folder(root, Map.of("a/0.png", new byte[20_001]))).digest());
        assertEquals(changed.length + 1, digests.size());
    }

    /** More files than one thread reads. */
    @Nested
    class OfManyFiles {
        private Path folder;

        @BeforeEach
        void write() throws IOException {
            Map<String, byte[]> files = new LinkedHashMap<>();
            for (int i = 0; i < 1200; i++) files.put("a/" + i + ".png", new byte[] {(byte) i});
            folder = DataFiles.folder(root, files);
        }

        @Test
        void eachCounts() throws IOException {
            Fingerprint before = of(folder);
            assertEquals(before, of(folder));
            Files.write(folder.resolve("a/1199.png"), new byte[] {7});
            assertDiffer(before, of(folder));
        }

        @Test
        void oneThatIsGoneIsNamed() throws IOException {
            try (Dataset data = Datasets.open(folder, STANDARD)) {
                Path gone = folder.resolve("a/1000.png");
                Files.delete(gone);
                NoSuchFileException thrown = assertThrows(NoSuchFileException.class, data::fingerprint);
                assertEquals(gone.toString(), thrown.getFile());
            }
        }
    }

    @Test
    void glyphsAreTheirSeedAndSize() {
        Fingerprint glyphs = new Glyphs(0).fingerprint();
        assertEquals(glyphs, new Glyphs(0, 32).fingerprint());
        assertDiffer(glyphs, new Glyphs(1).fingerprint());
        assertDiffer(glyphs, new Glyphs(0, 16).fingerprint());
    }

    @Test
    void whichPartOfTheDataCounts() throws IOException {
        Path path = Data.FOLDER.write(root.resolve("data"), 1, 2, 3, 4);
        try (Dataset data = Datasets.open(path, STANDARD)) {
            Fingerprint held = Subset.heldOut(data, 2, 0).fingerprint();
            assertEquals(held, Subset.heldOut(data, 2, 0).fingerprint());
            assertDiffer(held, data.fingerprint());
            assertDiffer(held, Subset.heldOut(data, 3, 0).fingerprint());
            assertDiffer(held, Subset.others(data, 2, 0).fingerprint());
            Glyphs glyphs = new Glyphs(0, 8);
            assertEquals(glyphs.fingerprint(), Subset.others(glyphs, 5, 0).fingerprint(), "held out so far on");
            assertDiffer(new RgbImages(data, 8).fingerprint(), new RgbImages(data, 16).fingerprint());
            assertDiffer(new RgbImages(data, 8).fingerprint(), new RgbImages(glyphs, 8).fingerprint());
        }
    }

    @Test
    void aRecordedFingerprintHoldsAsLongAsNobodyTouchesTheData() throws IOException {
        Path path = Data.FOLDER.write(root.resolve("data"), 1, 2, 3, 4);
        Fingerprint recorded;
        try (Dataset data = Datasets.open(path, STANDARD)) {
            // a digest that no content has: it was not read
            recorded = new Fingerprint("0".repeat(64), data.stamp());
            assertSame(recorded, data.fingerprint(Optional.of(recorded)));
            assertEquals(data.fingerprint(), data.fingerprint(Optional.empty()));
        }
        Path picture = path.resolve("cat/0.png");
        FileTime time = Files.getLastModifiedTime(picture);
        Files.write(picture, DataFiles.png(9));
        Files.setLastModifiedTime(picture, time);
        try (Dataset data = Datasets.open(path, STANDARD)) {
            boolean told = picture.getFileSystem().supportedFileAttributeViews().contains("unix");
            Fingerprint now = data.fingerprint(Optional.of(recorded));
            if (told) assertEquals(data.fingerprint(), now, "replaced, with its time set back");
        }
        assertThrows(IllegalArgumentException.class, () -> new Fingerprint("x", "y"));
    }

    @Test
    void aDatasetOfOthersIsWhatItSaysOfItself() throws IOException {
        assertEquals(new Own("a").fingerprint(), new Own("a").fingerprint());
        assertDiffer(new Own("a").fingerprint(), new Own("b").fingerprint());
    }

    private record Own(String describe) implements Dataset {
        @Override
        public long size() {
            return 1;
        }

        @Override
        public int channels() {
            return 1;
        }

        @Override
        public int height() {
            return 1;
        }

        @Override
        public int width() {
            return 1;
        }

        @Override
        public List<String> classNames() {
            return List.of("one");
        }

        @Override
        public int label(long index) {
            return 0;
        }

        @Override
        public void pixels(long index, float[] out, int offset) {
            out[offset] = 0;
        }
    }
}
