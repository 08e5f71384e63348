package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.NativeObjects;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.io.Mutations;
import org.dit4j.io.PictureReading;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TarShardsTest {
    private static final TarShardsConfig EIGHT = TarShardsConfig.of(8);

    @TempDir
    Path folder;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private TarArchiveOutputStream tar = begin();

    private TarArchiveOutputStream begin() {
        TarArchiveOutputStream begun = new TarArchiveOutputStream(bytes, "UTF-8");
        begun.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
        return begun;
    }

    private void put(String name, byte[] content) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name, true);
        entry.setSize(content.length);
        put(entry, content);
    }

    private void put(TarArchiveEntry entry, byte[] content) throws IOException {
        tar.putArchiveEntry(entry);
        tar.write(content);
        tar.closeArchiveEntry();
    }

    private void put(String name, String content) throws IOException {
        put(name, content.getBytes(StandardCharsets.UTF_8));
    }

    private void special(String name, byte type) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name, type, true);
        entry.setLinkName("/etc/passwd");
        put(entry, new byte[0]);
    }

    private static byte[] picture(int rgb) throws IOException {
        BufferedImage image = new BufferedImage(9, 12, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < 12; y++) for (int x = 0; x < 9; x++) image.setRGB(x, y, rgb + x);
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        ImageIO.write(image, "png", png);
        return png.toByteArray();
    }

    /** What was put so far, as a file; then begins another. */
    private Path write(String name) throws IOException {
        tar.close();
        Path file = Files.write(folder.resolve(name), bytes.toByteArray());
        bytes.reset();
        tar = begin();
        return file;
    }

    private static List<Integer> labels(Dataset dataset) {
        return LongStream.range(0, dataset.size()).mapToObj(dataset::label).toList();
    }

    private static float[] pixels(Dataset dataset, long index) throws IOException {
        float[] out = new float[dataset.channels() * 64];
        dataset.pixels(index, out, 0);
        return out;
    }

    private static int red(Dataset dataset, long index) throws IOException {
        return Math.round((pixels(dataset, index)[0] + 1) * 127.5f);
    }

    private static void assertSays(Exception thrown, String... parts) {
        for (String part : parts) assertTrue(thrown.getMessage().contains(part), thrown.getMessage());
    }

    private FormatException refused(Path file) throws IOException {
        List<Path> before = files();
        FormatException thrown = assertThrows(FormatException.class, () -> TarShards.open(file, EIGHT));
        assertTrue(thrown.getMessage().startsWith(file.toString()), thrown.getMessage());
        assertEquals(before, files(), "something was unpacked");
        return thrown;
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.sorted().toList();
        }
    }

    @Test
    void filesOfOneNameAreOneSample() throws IOException {
        put("000.png", picture(0x100000));
        put("000.cls", "2\n");
        put("sub/001.cls", "0"); // in any order
        put("sub/001.txt", "a caption");
        put("sub/001.PNG", picture(0x200000));
        put("002.json", "{\"caption\": \"x\", \"label\": 1}");
        put("002.seg.png", picture(0)); // another ending: png of "seg"
        put("002.png", picture(0x300000));
        put("003.cls", "1"); // without a picture
        put("._000.png", "as macOS adds");
        put("sub/._001.cls", "as macOS adds");
        Path archive = write("a.tar");
        Files.writeString(folder.resolve("._a.tar"), "as macOS adds");
        try (TarShards shards = TarShards.open(archive, EIGHT);
                TarShards ofFolder = TarShards.open(folder, EIGHT)) {
            assertEquals(3, ofFolder.size());
            assertEquals(List.of(2, 0, 1), labels(shards));
            assertEquals(List.of("0", "1", "2"), shards.classNames());
            assertEquals(0x10, red(shards, 0));
            assertEquals(0x20, red(shards, 1));
            assertEquals(0x30, red(shards, 2));
            assertSays(new Exception(shards.describe()), "3 pictures in 1 tar file, 3 classes", "left out: 5");
        }
    }

    @Test
    void pixelsAreTheReferenceCrop() throws IOException {
        put("x.png", picture(0x336699));
        put("x.cls", "0");
        Path png = Files.write(folder.resolve("x.png"), picture(0x336699));
        byte[] crop = Images.toRgbBytes(Images.centerCrop(Images.read(png), 8));
        try (TarShards shards = TarShards.open(write("a.tar"), EIGHT)) {
            float[] pixels = pixels(shards, 0);
            for (int i = 0; i < 64; i++)
                for (int c = 0; c < 3; c++) assertEquals((crop[3 * i + c] & 255) / 127.5f - 1, pixels[64 * c + i]);
        }
    }

    @Test
    void severalShardsAreOneDataSet() throws IOException {
        for (int shard = 8; shard < 12; shard++) {
            put("x.png", picture(shard << 16));
            put("x.cls", "0");
            write(String.format("s-%04d.tar", shard));
        }
        for (Path path : List.of(folder, folder.resolve("s-{0008..0011}.tar")))
            try (TarShards shards = TarShards.open(path, EIGHT)) {
                assertEquals(4, shards.size());
                assertEquals(11, red(shards, 3));
            }
        assertThrows(NoSuchFileException.class, () -> TarShards.open(folder.resolve("s-{0008..0012}.tar"), EIGHT));
        assertThrows(IllegalArgumentException.class, () -> TarShards.open(folder.resolve("s-{2..1}.tar"), EIGHT));
        assertThrows(
                IllegalArgumentException.class,
                () -> TarShards.open(folder.resolve("{0..99999}{0..99999}.tar"), EIGHT));
    }

    @ParameterizedTest
    @ValueSource(ints = {TarArchiveOutputStream.LONGFILE_GNU, TarArchiveOutputStream.LONGFILE_POSIX})
    void longNamesAndLargeNumbersAreReadInBothStyles(int style) throws IOException {
        String name = "long/".repeat(60) + "é";
        tar.setLongFileMode(style);
        tar.setBigNumberMode(
                style == TarArchiveOutputStream.LONGFILE_GNU
                        ? TarArchiveOutputStream.BIGNUMBER_STAR
                        : TarArchiveOutputStream.BIGNUMBER_POSIX);
        TarArchiveEntry entry = new TarArchiveEntry(name + ".png", true);
        entry.setUserId(1L << 40); // a number that octal digits do not hold
        entry.setSize(picture(0x400000).length);
        put(entry, picture(0x400000));
        put(name + ".cls", "0");
        try (TarShards shards = TarShards.open(write("a.tar"), EIGHT)) {
            assertEquals(0x40, red(shards, 0));
        }
    }

    @Test
    void namesMayBeSplitAsUstarDoes() throws IOException {
        // 150 bytes: the folder goes into the prefix
        String name = "folder-".repeat(10) + "/" + "x".repeat(75);
        TarArchiveEntry entry = new TarArchiveEntry("y", true);
        byte[] png = picture(0x500000);
        entry.setSize(png.length);
        put(entry, png);
        put("x.cls", "0");
        tar.close();
        byte[] archive = bytes.toByteArray();
        String folderName = name.substring(0, 70), rest = name.substring(71) + ".png";
        Arrays.fill(archive, 0, 100, (byte) 0);
        System.arraycopy(rest.getBytes(StandardCharsets.UTF_8), 0, archive, 0, rest.length());
        System.arraycopy(folderName.getBytes(StandardCharsets.UTF_8), 0, archive, 345, 70);
        checksum(archive, 0);
        byte[] magic = Arrays.copyOfRange(archive, 257, 263);
        assertArrayEquals("ustar\0".getBytes(StandardCharsets.UTF_8), magic);
        Path file = Files.write(folder.resolve("a.tar"), archive);
        FormatException thrown = assertThrows(FormatException.class, () -> TarShards.open(file, EIGHT));
        assertSays(thrown, folderName + "/" + rest, "has no class");
    }

    @Test
    void linksAndDevicesAreLeftOut() throws IOException {
        put("x.png", picture(0x600000));
        put("x.cls", "0");
        special("y.png", TarConstants.LF_SYMLINK);
        special("y.cls", TarConstants.LF_LINK);
        special("z.png", TarConstants.LF_CHR);
        special("z.cls", TarConstants.LF_BLK);
        special("pipe", TarConstants.LF_FIFO);
        special("d/", TarConstants.LF_DIR);
        List<Path> before = files();
        try (TarShards shards = TarShards.open(write("a.tar"), EIGHT)) {
            assertEquals(1, shards.size());
            assertSays(new Exception(shards.describe()), "left out: 5");
        }
        assertEquals(before.size() + 1, files().size());
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x.png", "a/../../x.png", "/etc/x.png", "a/..", "C:/x.png", "\\x.png", "a\\..\\x.png"})
    void namesThatLeadOutOfTheArchiveAreRefused(String name) throws IOException {
        put("ok.png", picture(1));
        put("ok.cls", "0");
        TarArchiveEntry entry = new TarArchiveEntry(name.replace('\\', '/'), true);
        entry.setName(name);
        entry.setSize(3);
        tar.putArchiveEntry(entry);
        tar.write(new byte[3]);
        tar.closeArchiveEntry();
        tar.close();
        byte[] archive = bytes.toByteArray();
        int header = header(archive, name.replace('\\', '/'), name);
        Arrays.fill(archive, header, header + 100, (byte) 0);
        System.arraycopy(name.getBytes(StandardCharsets.UTF_8), 0, archive, header, name.length());
        checksum(archive, header);
        assertSays(refused(Files.write(folder.resolve("a.tar"), archive)), "no name inside an archive");
    }

    /** Where the header of one of the names is. */
    private static int header(byte[] archive, String... names) {
        for (int at = 0; at < archive.length; at += 512) {
            String found = new String(archive, at, 100, StandardCharsets.UTF_8).replace("\0", "");
            for (String name : names)
                if (found.equals(name) || found.equals(name.replaceFirst("^([A-Za-z]:)?/+", ""))) return at;
        }
        throw new AssertionError("not in the archive");
    }

    private static void checksum(byte[] archive, int header) {
        Arrays.fill(archive, header + 148, header + 156, (byte) ' ');
        int sum = 0;
        for (int i = 0; i < 512; i++) sum += archive[header + i] & 255;
        byte[] digits = String.format("%06o\0 ", sum).getBytes(StandardCharsets.UTF_8);
        System.arraycopy(digits, 0, archive, header + 148, 8);
    }

    /** An archive of one picture and its class, whose first header is changed. */
    private Path tampered(int at, byte... change) throws IOException {
        put("x.png", picture(1));
        put("x.cls", "0");
        tar.close();
        byte[] archive = bytes.toByteArray();
        System.arraycopy(change, 0, archive, at, change.length);
        checksum(archive, 0);
        return Files.write(folder.resolve("a.tar"), archive);
    }

    @Test
    void aDeclaredSizeBeyondTheFileIsRefused() throws IOException {
        assertSays(refused(tampered(124, "77777777777".getBytes(StandardCharsets.UTF_8))), "cut short");
    }

    @Test
    void aHundredGigabytesInBinaryAreRefused() throws IOException {
        byte[] size = ByteBuffer.allocate(12).putLong(4, 100L << 30).array();
        size[0] = (byte) 0x80;
        assertSays(refused(tampered(124, size)), "cut short");
    }

    @Test
    void aNegativeSizeIsRefused() throws IOException {
        byte[] size = new byte[12];
        Arrays.fill(size, (byte) 0xff);
        assertSays(refused(tampered(124, size)), "beyond all sizes");
    }

    @Test
    void aLongNameOfMegabytesIsRefusedBeforeItIsRead() throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry("bomb", TarConstants.LF_GNUTYPE_LONGNAME);
        entry.setSize(5 << 20);
        put(entry, new byte[5 << 20]);
        assertSays(refused(write("b.tar")), "at most 65536");
    }

    @Test
    void aPaxHeaderOfMegabytesIsRefusedBeforeItIsRead() throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry("bomb", TarConstants.LF_PAX_EXTENDED_HEADER_LC);
        entry.setSize(5 << 20);
        put(entry, new byte[5 << 20]);
        assertSays(refused(write("a.tar")), "at most 1048576");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "999 path=x\n",
                "00000005",
                "x path=y\n",
                "9 path=x",
                "4 =\n",
                "11 path x\n\n",
                "23 GNU.sparse.major=1\n",
                "17 path=../evil\n",
                "15 size=12345x\n",
                "28 size=99999999999999999\n\n\n"
            })
    void damagedAndHostilePaxHeadersAreRefused(String records) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry("pax", TarConstants.LF_PAX_EXTENDED_HEADER_LC);
        byte[] data = records.getBytes(StandardCharsets.UTF_8);
        entry.setSize(data.length);
        put(entry, data);
        put("x.png", picture(1));
        refused(write("a.tar"));
    }

    @Test
    void oneSizeForAllFilesIsRefused() throws IOException {
        put("pax", "9 size=5\n");
        tar.close();
        byte[] archive = bytes.toByteArray();
        archive[156] = 'g'; // the library writes no such entry
        checksum(archive, 0);
        assertSays(refused(Files.write(folder.resolve("a.tar"), archive)), "all files");
    }

    @ParameterizedTest
    @ValueSource(strings = {"S", "M"})
    void sparseFilesAndPartsOfVolumesAreRefused(String type) throws IOException {
        assertSays(refused(tampered(156, (byte) type.charAt(0))), "not read");
    }

    @Test
    void whatIsNoArchiveIsRefused() throws IOException {
        assertSays(refused(Files.write(folder.resolve("a.tar"), picture(1))), "a.tar");
        assertSays(refused(Files.write(folder.resolve("b.tar"), new byte[2000])), "no picture");
        byte[] text = "x".repeat(1024).getBytes(StandardCharsets.UTF_8);
        assertSays(refused(Files.write(folder.resolve("c.tar"), text)), "not a tar archive");
    }

    @Test
    void anArchiveCutShortIsRefusedWhereverItIsCut() throws IOException {
        put("x.png", picture(1));
        put("x.cls", "0");
        byte[] whole = Files.readAllBytes(write("a.tar"));
        int end = 4 * 512; // two headers, a picture and a class of a block each
        for (int length : new int[] {100, 512, 700, 1024, 1100, 1536, 2000, end})
            assertSays(refused(Files.write(folder.resolve("b.tar"), Arrays.copyOf(whole, length))), "cut short");
    }

    @Test
    void aSampleHasOnePictureAndOneClass() throws IOException {
        put("x.png", picture(1));
        assertSays(refused(write("a.tar")), "x.png", "has no class");
        put("x.png", picture(1));
        put("x.jpg", picture(1));
        assertSays(refused(write("a.tar")), "x.jpg", "two");
        for (Map.Entry<String, String> file : Map.of(
                        ".cls", " ", ".json", "{\"label\": 1.5}", ".JSON", "{", ".CLS", "-1")
                .entrySet()) {
            put("x.png", picture(1));
            put("x" + file.getKey(), file.getValue());
            refused(write("a.tar"));
        }
        put("x.png", picture(1));
        put("x.cls", "2");
        Path file = write("a.tar");
        TarShardsConfig two = new TarShardsConfig(8, 3, List.of("a", "b"), false, PictureReading.standard());
        assertSays(assertThrows(FormatException.class, () -> TarShards.open(file, two)), "from 0 to 1");
    }

    @Test
    void wordsNameClasses() throws IOException {
        List<String> words = List.of("tench", "cock", "tench");
        for (int i = 0; i < 3; i++) {
            put(i + ".png", picture(1));
            put(i + ".cls", words.get(i) + "\n");
        }
        put("j.webp.png", picture(1)); // passed over: what follows the first dot is no picture's ending
        put("__MACOSX/x.png", picture(1));
        Path file = write("a.tar");
        try (TarShards shards = TarShards.open(file, EIGHT)) {
            assertEquals(List.of("cock", "tench"), shards.classNames());
            assertEquals(List.of(1, 0, 1), List.of(shards.label(0), shards.label(1), shards.label(2)));
        }
        TarShardsConfig named = new TarShardsConfig(8, 3, List.of("tench", "cock"), false, PictureReading.standard());
        try (TarShards shards = TarShards.open(file, named)) {
            assertEquals(0, shards.label(0));
        }
        TarShardsConfig others = new TarShardsConfig(8, 3, List.of("tench", "hen"), false, PictureReading.standard());
        assertSays(assertThrows(FormatException.class, () -> TarShards.open(file, others)), "\"cock\", which is none");
    }

    @Test
    void numbersAndWordsTogetherAreRefused() throws IOException {
        put("x.png", picture(1));
        put("x.cls", "1");
        put("y.png", picture(1));
        put("y.json", "{\"label\": \"cock\"}");
        assertSays(refused(write("a.tar")), "\"1\" of x.png", "\"cock\" of y.png");
    }

    @Test
    void aBrokenPictureIsNamed() throws IOException {
        put("x.png", Arrays.copyOf(picture(1), 60));
        put("x.cls", "0");
        Path file = write("a.tar");
        try (TarShards shards = TarShards.open(file, EIGHT)) {
            FormatException thrown = assertThrows(FormatException.class, () -> pixels(shards, 0));
            assertTrue(thrown.getMessage().startsWith(file.resolve("x.png").toString()), thrown.getMessage());
        }
    }

    @Test
    void whereBrokenPicturesAreSkippedTheNextOfTheClassStandsIn() throws IOException {
        byte[] torn = Arrays.copyOf(picture(1), 60);
        put("a.png", torn);
        put("a.cls", "1");
        put("b.png", picture(0x200000));
        put("b.cls", "0");
        put("c.png", picture(0x300000));
        put("c.cls", "1");
        put("d.png", torn);
        put("d.cls", "2");
        Path file = write("a.tar");
        try (TarShards shards = TarShards.open(file, EIGHT.withSkipBroken(true))) {
            assertEquals(0x30, red(shards, 0));
            assertEquals(0x20, red(shards, 1));
            assertEquals(0x30, red(shards, 2));
            assertEquals(1, shards.brokenPictures().size());
            assertTrue(
                    shards.brokenPictures()
                            .get(0)
                            .startsWith(file.resolve("a.png").toString()),
                    shards.brokenPictures().toString());
            assertSays(
                    assertThrows(FormatException.class, () -> pixels(shards, 3)),
                    "none of the 1 pictures of class \"2\" can be read");
        }
    }

    @Test
    void damagedArchivesAreReadOrRefused() throws IOException {
        mutate(5_000, 1);
    }

    @Test
    @Tag("slow")
    void manyDamagedArchivesAreReadOrRefused() throws IOException {
        mutate(200_000, 2);
    }

    private void mutate(int count, long seed) throws IOException {
        put("a/x.png", picture(1));
        put("a/x.cls", "0");
        put("long/".repeat(30) + "y.json", "{\"label\": 1}");
        byte[] gnu = Files.readAllBytes(write("a.tar"));
        tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
        put("long/".repeat(30) + "y.png", picture(2));
        put("long/".repeat(30) + "y.cls", "1");
        byte[] pax = Files.readAllBytes(write("b.tar"));
        List<byte[]> seeds = List.of(Arrays.copyOf(gnu, 5 * 1024), Arrays.copyOf(pax, 5 * 1024));
        Mutations.run(count, seed, seeds, folder, path -> {
            try (TarShards shards = TarShards.open(path, EIGHT)) {
                for (long i = 0; i < shards.size(); i++) pixels(shards, i);
            }
        });
    }

    @Test
    void readingMakesNothingNative() throws IOException {
        put("x.png", picture(1));
        put("x.cls", "0");
        Path file = write("a.tar");
        long before = NativeObjects.settled();
        try (TarShards shards = TarShards.open(file, EIGHT)) {
            pixels(shards, 0);
        }
        assertEquals(before, Pointer.totalCount());
    }
}
