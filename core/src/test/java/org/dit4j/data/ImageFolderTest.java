package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import javax.imageio.ImageIO;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.NativeObjects;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.io.Mutations;
import org.dit4j.io.PictureLimits;
import org.dit4j.io.PictureReading;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class ImageFolderTest {
    @TempDir
    Path root;

    /** A picture of one colour. */
    private Path picture(String name, int rgb) throws IOException {
        return picture(name, rgb, 9, 12);
    }

    private Path picture(String name, int rgb, int width, int height) throws IOException {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < height; y++) for (int x = 0; x < width; x++) image.setRGB(x, y, rgb);
        Path file = root.resolve(name);
        Files.createDirectories(file.getParent());
        assertTrue(ImageIO.write(image, name.endsWith("png") ? "png" : "jpeg", file.toFile()));
        return file;
    }

    private static List<Integer> labels(Dataset dataset) {
        return LongStream.range(0, dataset.size()).mapToObj(dataset::label).toList();
    }

    private static float[] pixels(Dataset dataset, long index) throws IOException {
        float[] out = new float[dataset.channels() * dataset.height() * dataset.width()];
        dataset.pixels(index, out, 0);
        return out;
    }

    /** The red of an item's first pixel. */
    private static int red(Dataset dataset, long index) throws IOException {
        return Math.round((pixels(dataset, index)[0] + 1) * 127.5f);
    }

    private FormatException refused(ImageFolderConfig config) {
        return assertThrows(FormatException.class, () -> ImageFolder.open(root, config));
    }

    private static void assertSays(Exception thrown, String... parts) {
        for (String part : parts) assertTrue(thrown.getMessage().contains(part), thrown.getMessage());
    }

    private final ImageFolderConfig eight = ImageFolderConfig.of(8);

    @Test
    void classesAndPicturesAreInTheOrderOfTorchvision() throws IOException {
        picture("dog/b.png", 0x040000);
        picture("dog/a.jpeg", 0x030000);
        picture("dog/old/z.png", 0x050000); // nested, so after the folder above it
        picture("Cat/10.png", 0x010000); // upper case before lower
        picture("Cat/9.png", 0x020000);
        Files.writeString(root.resolve("Cat/notes.txt"), "");
        Files.writeString(root.resolve("Cat/.hidden.png"), "");
        picture(".git/x.png", 0);
        try (ImageFolder dataset = ImageFolder.open(root, eight)) {
            assertEquals(List.of("Cat", "dog"), dataset.classNames());
            assertEquals(List.of(0, 0, 1, 1, 1), labels(dataset));
            assertTrue(dataset.describe()
                    .contains("5 pictures, 2 classes, cropped to 8×8 RGB; other files left out: 1 (.txt)"));
            assertEquals(1, red(dataset, 0));
            assertEquals(2, red(dataset, 1));
            assertEquals(4, red(dataset, 3));
            assertEquals(5, red(dataset, 4));
        }
    }

    @Test
    void pixelsAreTheReferenceCropInPlanes() throws IOException {
        Path file = picture("a/x.png", 0x336699, 40, 25);
        BufferedImage image = ImageIO.read(file.toFile());
        for (int i = 0; i < 25; i++) image.setRGB(i, i, 0xFFCC00 + i);
        ImageIO.write(image, "png", file.toFile());
        byte[] crop = Images.toRgbBytes(Images.centerCrop(Images.read(file), 8));
        float[] pixels = pixels(ImageFolder.open(root, eight), 0);
        for (int i = 0; i < 64; i++)
            for (int c = 0; c < 3; c++) assertEquals((crop[3 * i + c] & 255) / 127.5f - 1, pixels[64 * c + i]);
    }

    @Test
    void greyIsTheLumaOfPillow() throws IOException {
        picture("a/x.png", 0x336699);
        float[] pixels = pixels(ImageFolder.open(root, eight.withChannels(1)), 0);
        assertEquals(64, pixels.length);
        assertEquals(93 / 127.5f - 1, pixels[0]); // Image.new("RGB", (1, 1), "#336699").convert("L") is 93
    }

    @Test
    void anyFolderOnTheWayCanNameTheClass() throws IOException {
        picture("train/Fruit/Apple/Pink/1.png", 1);
        picture("train/Fruit/Kiwi/2.png", 2);
        picture("val/Fruit/Apple/Gala/3.png", 3);
        assertEquals(
                List.of("train", "val"),
                ImageFolder.open(root, eight.withClassDepth(1)).classNames());
        assertEquals(
                List.of("Fruit"),
                ImageFolder.open(root, eight.withClassDepth(2)).classNames());
        ImageFolder third = ImageFolder.open(root, eight.withClassDepth(3));
        assertEquals(List.of("Apple", "Kiwi"), third.classNames());
        assertEquals(List.of(0, 0, 1), labels(third));
        ImageFolder innermost = ImageFolder.open(root, eight.withClassDepth(ImageFolderConfig.INNERMOST));
        assertEquals(List.of("Gala", "Kiwi", "Pink"), innermost.classNames());
        assertSays(refused(eight.withClassDepth(4)), "2.png", "folder 4 below", "lies in 3");
    }

    @Test
    void aTableNamesClassesByFolder() throws IOException {
        picture("Pink/1.png", 1);
        picture("Gala/2.png", 2);
        picture("Kiwi/3.png", 3);
        Path csv = Files.writeString(
                root.resolve("classes.csv"),
                "\uFEFFfolder,id,\"coarse, name\"\r\nKiwi,0,Kiwi\r\nGala,1,\"Red \"\"Apple\"\"\"\r\n\r\nPink,2,\"Red \"\"Apple\"\"\"\r\nLime,3,Lime");
        ImageFolder dataset =
                ImageFolder.open(root, eight.withClassTable(ClassTable.read(csv, "folder", "coarse, name")));
        assertEquals(List.of("Kiwi", "Red \"Apple\"", "Lime"), dataset.classNames());
        assertEquals(List.of(0, 1, 1), labels(dataset));
        assertEquals(
                List.of("Kiwi", "Gala", "Pink", "Lime"),
                ClassTable.read(csv, "folder", "folder").classNames());
        picture("Plum/4.png", 3);
        assertSays(
                refused(eight.withClassTable(ClassTable.read(csv, "folder", "folder"))),
                "4.png",
                "\"Plum\"",
                "classes.csv");
    }

    @Test
    void aTableNamesClassesByPath() throws IOException {
        picture("all/1.png", 1);
        picture("all/2.png", 2);
        Path csv = Files.writeString(root.resolve("labels.csv"), "path,class\nall/2.png,first\nall/1.png,second\n");
        ImageFolder dataset = ImageFolder.open(root, eight.withClassTable(ClassTable.read(csv, "path", "class")));
        assertEquals(List.of("first", "second"), dataset.classNames());
        assertEquals(List.of(0, 1), labels(dataset));
    }

    @Test
    void aTableThatContradictsItselfIsRefused() throws IOException {
        Map<String, String> cases = Map.of(
                "", "empty",
                "a,b\n", "names no class",
                "a,c\nx,y\n", "no column \"b\"",
                "a,b\nx\n", "row 1 has 1 fields",
                "a,b\nx,y\nx,z\n", "row 2 puts \"x\"",
                "a,b\nx,\n", "row 1 has an empty name",
                "a,b\nx,\"y\n", "does not end");
        for (Map.Entry<String, String> one : cases.entrySet()) {
            Path csv = Files.writeString(root.resolve("t.csv"), one.getKey());
            assertSays(
                    assertThrows(FormatException.class, () -> ClassTable.read(csv, "a", "b")), "t.csv", one.getValue());
        }
        Path binary = Files.write(root.resolve("t.csv"), new byte[] {(byte) 0xFF, (byte) 0xFE, 1});
        assertSays(assertThrows(FormatException.class, () -> ClassTable.read(binary, "a", "b")), "UTF-8");
    }

    @Test
    void missingPicturesAreAnError() throws IOException {
        assertSays(refused(eight), root.toString(), "no picture here");
        Files.writeString(root.resolve("a.psd"), "");
        assertSays(refused(eight), ".psd");
        picture("Kiwi/1.png", 1);
        Files.createDirectories(root.resolve("Lime"));
        assertSays(refused(eight), "Lime", "without a picture");
        Files.delete(root.resolve("Lime"));
        picture("top.png", 1);
        assertSays(refused(eight), "top.png", "lies right in " + root, root + "/CLASS/top.png");
        assertThrows(NoSuchFileException.class, () -> ImageFolder.open(root.resolve("nowhere"), eight));
        assertSays(
                assertThrows(FormatException.class, () -> ImageFolder.open(root.resolve("top.png"), eight)),
                "neither a folder nor a zip");
    }

    @Test
    void aBrokenPictureIsAnErrorThatNamesIt() throws IOException {
        Path cut = picture("a/cut.jpg", 0x808080, 64, 64);
        Files.write(cut, Arrays.copyOf(Files.readAllBytes(cut), (int) Files.size(cut) / 2));
        Files.writeString(root.resolve("a/page.png"), "<html>");
        Files.write(root.resolve("a/zero.png"), new byte[0]);
        picture("a/strip.png", 1, 60_000, 1);
        ImageFolder dataset = ImageFolder.open(root, ImageFolderConfig.of(64));
        List<String> names = List.of("cut.jpg", "page.png", "strip.png", "zero.png");
        for (int i = 0; i < names.size(); i++) {
            long index = i;
            assertSays(
                    assertThrows(FormatException.class, () -> pixels(dataset, index)),
                    root.resolve("a").resolve(names.get(i)).toString());
        }
        assertEquals(List.of(), dataset.brokenPictures());
    }

    @Test
    void skippedPicturesAreReplacedByTheNextOfTheirClassAndReported() throws IOException {
        picture("a/1.png", 0x010000);
        Files.writeString(root.resolve("a/2.png"), "");
        picture("a/3.png", 0x030000);
        Files.writeString(root.resolve("a/4.png"), "");
        picture("b/5.png", 0x050000);
        Files.createDirectories(root.resolve("c"));
        Files.writeString(root.resolve("c/6.png"), "");
        ImageFolder dataset = ImageFolder.open(root, eight.withSkipBroken(true));
        for (int again = 0; again < 2; again++) {
            assertEquals(3, red(dataset, 1));
            assertEquals(1, red(dataset, 3)); // around the end of the class
            assertEquals(5, red(dataset, 4));
        }
        assertSays(assertThrows(FormatException.class, () -> pixels(dataset, 5)), "class \"c\"", "6.png");
        assertEquals(3, dataset.brokenPictures().size());
        assertTrue(dataset.brokenPictures().get(0).contains("2.png"));
    }

    @Test
    void aFolderInsideAZipFileReadsTheSame() throws IOException {
        picture("plain/train/a/1.png", 0x010203, 20, 30);
        picture("plain/train/b/2.jpg", 0x99AA11, 31, 20);
        Path zip = root.resolve("set.zip");
        try (FileSystem archive =
                FileSystems.newFileSystem(URI.create("jar:" + zip.toUri()), Map.of("create", "true"))) {
            for (String name : List.of("train/a/1.png", "train/b/2.jpg")) {
                Files.createDirectories(archive.getPath("/x/" + name).getParent());
                Files.copy(root.resolve("plain").resolve(name), archive.getPath("/x/" + name));
            }
        }
        ImageFolder plain = ImageFolder.open(root.resolve("plain/train"), eight);
        try (ImageFolder zipped = ImageFolder.open(zip.resolve("x/train"), eight)) {
            assertEquals(plain.classNames(), zipped.classNames());
            for (int i = 0; i < 2; i++) assertArrayEquals(pixels(plain, i), pixels(zipped, i));
        }
        try (ImageFolder whole = ImageFolder.open(zip, eight.withClassDepth(3))) {
            assertEquals(List.of("a", "b"), whole.classNames());
        }
        assertThrows(NoSuchFileException.class, () -> ImageFolder.open(zip.resolve("val"), eight));
        Files.write(zip, Arrays.copyOf(Files.readAllBytes(zip), 100));
        assertSays(assertThrows(FormatException.class, () -> ImageFolder.open(zip, eight)), "set.zip", "zip file");
    }

    @Test
    void aClassWhoseNameIsUnreadableIsRefused() throws IOException {
        picture("good/1.png", 1);
        Path zip = root.resolve("set.zip");
        zip(zip, root.resolve("good/1.png"), "caf\uFFFD/1.png"); // as a name looks that the locale has no letters for
        assertSays(
                assertThrows(FormatException.class, () -> ImageFolder.open(zip, eight)), "set.zip", "LC_ALL=C.UTF-8");
    }

    /** As containers and services run, which have no locale. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void namesInArchivesAreReadWithoutALocale() throws Exception {
        Path file = picture("plain/1.png", 0x010203), zip = root.resolve("set.zip");
        zip(zip, file, "\u732b/1.png", "\u72d7/1.png");
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                ImageFolderTest.class.getName(),
                zip.toString());
        builder.environment().put("LC_ALL", "C");
        Process process = builder.redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
    }

    /** Reads all pictures of two classes. */
    public static void main(String[] args) throws IOException {
        try (ImageFolder dataset = ImageFolder.open(Path.of(args[0]), ImageFolderConfig.of(8))) {
            assertEquals(2, dataset.classNames().size());
            for (long item = 0; item < dataset.size(); item++) pixels(dataset, item);
        }
    }

    @Test
    void aLinkThatLeadsRoundInACircleIsNamedOrLeftOut() throws IOException {
        picture("circle/a/1.png", 0x010203);
        Path circle = root.resolve("circle");
        Files.createSymbolicLink(circle.resolve("a/up"), Path.of(".."));
        assertSays(
                assertThrows(FormatException.class, () -> ImageFolder.open(circle, eight)),
                circle.resolve("a/up").toString(),
                "never ends");
        try (ImageFolder left = ImageFolder.open(circle, eight.withSkipBroken(true))) {
            assertEquals(1, left.size());
        }
    }

    private void mutateZips(int count, long seed) throws IOException {
        Path file = picture("one.png", 0x010203, 9, 9), seedFile = root.resolve("seed.zip");
        zip(seedFile, file, "a/1.png", "b/2.png");
        List<byte[]> seeds = List.of(Files.readAllBytes(seedFile));
        Path folder = Files.createDirectory(root.resolve("mutants")), zip = folder.resolve("mutated.zip");
        Mutations.run(count, seed, seeds, folder, path -> {
            Files.move(path, zip, StandardCopyOption.REPLACE_EXISTING);
            try (ImageFolder images = ImageFolder.open(zip, eight)) {
                for (int i = 0; i < images.size(); i++) pixels(images, i);
            }
        });
    }

    @Test
    void damagedZipFilesAreReadOrRefused() throws IOException {
        mutateZips(2_000, 3);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedZipFilesAreReadOrRefused() throws IOException {
        mutateZips(200_000, 4);
    }

    private static void zip(Path zip, Path file, String... names) throws IOException {
        try (FileSystem archive =
                FileSystems.newFileSystem(URI.create("jar:" + zip.toUri()), Map.of("create", "true"))) {
            for (String name : names) {
                Files.createDirectories(archive.getPath(name).getParent());
                Files.copy(file, archive.getPath(name));
            }
        }
    }

    @Test
    void severalThreadsReadTheSamePixels() throws IOException {
        for (int i = 0; i < 4; i++) picture("a/" + i + ".png", 0x111111 * i, 50, 50);
        ImageFolder dataset = ImageFolder.open(root, eight);
        float[][] expected = new float[4][];
        for (int i = 0; i < 4; i++) expected[i] = pixels(dataset, i);
        IntStream.range(0, 64).parallel().forEach(i -> {
            try {
                assertArrayEquals(expected[i % 4], pixels(dataset, i % 4));
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
    }

    @Test
    void aBrokenPictureReachesTheConsumerOfTheLoader() throws IOException {
        Files.createDirectories(root.resolve("a"));
        Files.writeString(root.resolve("a/broken.png"), "");
        try (ImageFolder dataset = ImageFolder.open(root, eight);
                BatchLoader loader = new BatchLoader(dataset, LoaderConfig.of(0, 4))) {
            IOException thrown = assertThrows(IOException.class, loader::next);
            assertSays(thrown, "broken.png");
            assertSame(FormatException.class, thrown.getCause().getClass());
        }
    }

    @Test
    void theGroceryStoreReadsFromItsZipFile() throws IOException {
        Path zip = TestData.path("grocery_128/grocery_128_q92.zip");
        ImageFolderConfig config = ImageFolderConfig.of(32).withClassDepth(ImageFolderConfig.INNERMOST);
        try (FileSystem archive = FileSystems.newFileSystem(zip)) {
            Path csv = archive.getPath("dataset/classes.csv");
            ClassTable fine = ClassTable.read(csv, "Class Name (str)", "Class Name (str)");
            ClassTable coarse = ClassTable.read(csv, "Class Name (str)", "Coarse Class Name (str)");
            try (ImageFolder all = ImageFolder.open(zip.resolve("dataset"), config.withClassTable(fine));
                    ImageFolder train = ImageFolder.open(zip.resolve("dataset/train"), config.withClassTable(coarse))) {
                assertEquals(81, all.classNames().size());
                assertEquals(5421, all.size());
                assertEquals(81, labels(all).stream().distinct().count());
                assertEquals(2640, train.size());
                assertEquals(43, train.classNames().size());
                assertEquals("Apple", train.classNames().get(0));
                try (BatchLoader loader =
                        new BatchLoader(train, LoaderConfig.of(0, 32).withFlip(true))) {
                    for (int i = 0; i < 3; i++)
                        try (TensorScope scope = new TensorScope()) {
                            double spread = loader.next().images().std().item_double();
                            assertTrue(spread > 0.3 && spread < 0.9, "spread " + spread); // photographs
                        }
                    long before = NativeObjects.settled();
                    try (TensorScope scope = new TensorScope()) {
                        loader.next();
                    }
                    assertEquals(before, Pointer.totalCount());
                }
            }
        }
    }

    @Test
    void aFolderThatHoldsAllOthersIsPassedOver() throws IOException {
        picture("photos/cat/1.png", 1);
        picture("photos/dog/2.png", 2);
        picture("__MACOSX/photos/cat/._1.png", 3);
        picture("photos/cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", 4);
        ImageFolder dataset = ImageFolder.open(root, eight);
        assertEquals(List.of("cat", "dog"), dataset.classNames());
        assertEquals(2, dataset.size());
        assertTrue(dataset.describe().contains("the folders in " + root.resolve("photos")), dataset.describe());
        assertEquals(
                List.of("photos"),
                ImageFolder.open(root, eight.withClassDepth(1)).classNames());
    }

    @Test
    void partsOfADataSetAreNoClassesUnlessThatIsSaid() throws IOException {
        picture("train/cat/1.png", 1);
        picture("train/dog/2.png", 2);
        assertEquals(List.of("cat", "dog"), ImageFolder.open(root, eight).classNames()); // the only part
        picture("val/cat/3.png", 3);
        assertSays(refused(eight), "[train, val]", "--data-path " + root.resolve("train"), "--class-depth 1");
        picture("bus/4.png", 4); // then a train is one too
        assertEquals(
                List.of("bus", "train", "val"), ImageFolder.open(root, eight).classNames());
    }

    @Test
    void picturesRightInTheFolderAreOneClass() throws IOException {
        picture("flat/1.png", 1);
        picture("flat/2.bmp.png", 2);
        ImageFolder dataset = ImageFolder.open(root.resolve("flat"), eight);
        assertEquals(List.of("flat"), dataset.classNames());
        assertEquals(List.of(0, 0), labels(dataset));
        assertSays(
                assertThrows(
                        FormatException.class, () -> ImageFolder.open(root.resolve("flat"), eight.withClassDepth(1))),
                "lies right in");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void whatCannotBeReadIsFoundBeforehandAllAtOnce() throws Exception {
        picture("a/1.png", 0x010000);
        picture("a/2.png", 0x020000);
        Files.createSymbolicLink(root.resolve("a/3.png"), root.resolve("gone.png"));
        Files.writeString(root.resolve("a/4.png"), "<html>");
        assertEquals(
                0,
                new ProcessBuilder("mkfifo", root.resolve("a/5.png").toString())
                        .start()
                        .waitFor());
        picture("a/6.png", 1, 101, 101);
        PictureReading few = PictureReading.standard().withLimits(new PictureLimits(10_000));
        ImageFolder strict = ImageFolder.open(root, eight.withReading(few));
        FormatException all = assertThrows(FormatException.class, strict::check);
        assertSays(
                all, "4 of 6 pictures", "3.png: no such file", "4.png", "5.png: not a regular file", "6.png: 101x101");
        assertEquals(5, all.getMessage().lines().count());
        ImageFolder lenient = ImageFolder.open(root, eight.withReading(few).withSkipBroken(true));
        assertEquals(1, red(lenient, 2)); // also without a check
        lenient.check();
        assertEquals(4, lenient.brokenPictures().size());
        for (int i = 2; i < 6; i++) assertEquals(1, red(lenient, i));
        assertEquals(2, red(lenient, 1));
    }

    @Test
    void howPicturesAreReadIsPartOfTheDescription() throws IOException {
        picture("a/1.png", 1);
        PictureReading reading = PictureReading.standard();
        assertSays(
                ImageFolder.open(root, eight.withReading(reading.withExifRotate(true)))
                        .describe(),
                "turned by EXIF");
        assertSays(
                ImageFolder.open(root, eight.withReading(reading.withLimits(new PictureLimits(999))))
                        .describe(),
                "of up to 999 pixels");
    }

    private static void assertSays(String text, String part) {
        assertTrue(text.contains(part), text);
    }
}
