package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.dit4j.data.Datasets.Kind;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class DatasetsTest {
    private static final DatasetConfig STANDARD = DatasetConfig.standard();

    @TempDir
    Path root;

    private static void assertRefused(Path path, DatasetConfig config, String... parts) {
        IllegalArgumentException thrown =
                assertThrows(IllegalArgumentException.class, () -> Datasets.open(path, config));
        for (String part : parts) assertTrue(thrown.getMessage().contains(part), thrown.getMessage());
    }

    private static void assertOpens(Path path, Kind kind, DatasetConfig config, String shape) throws IOException {
        assertEquals(kind, Datasets.kind(path));
        try (Dataset data = Datasets.open(path, config)) {
            assertEquals(shape, data.channels() + "x" + data.height() + "x" + data.width() + " " + data.classNames());
        }
    }

    @Test
    void aPathIsOpenedAsWhatItIs() throws IOException {
        Path folder = DataFiles.folder(root.resolve("folder"), DataFiles.pictures(1, 2, 3, 4)),
                zip = DataFiles.zip(root.resolve("a.ZIP"), DataFiles.pictures(1, 2, 3, 4)),
                tar = DataFiles.tar(root.resolve("tars/00.tar"), 0, 1, 2, 3, 4),
                idx = DataFiles.idx(root.resolve("idx"), "train", true, 1, 2),
                latents = DataFiles.latents(root.resolve("latents"), 'a', List.of("x", "y"), 1, 2);
        DatasetConfig grey = STANDARD.withImageSize(8).withChannels(1);
        assertOpens(folder, Kind.PICTURES, grey, "1x8x8 [cat, dog]");
        assertOpens(folder, Kind.PICTURES, STANDARD, "3x256x256 [cat, dog]");
        assertOpens(zip, Kind.PICTURES, grey, "1x8x8 [cat, dog]");
        assertOpens(tar, Kind.TAR, grey.withClassNames(List.of("x", "y", "z")), "1x8x8 [x, y, z]");
        assertOpens(tar.getParent(), Kind.TAR, STANDARD, "3x256x256 [0, 1]");
        assertOpens(root.resolve("tars/{00..00}.tar"), Kind.TAR, STANDARD, "3x256x256 [0, 1]");
        assertOpens(idx, Kind.IDX, STANDARD, "1x2x3 [0, 1]");
        assertOpens(idx.resolve("train-images-idx3-ubyte.gz"), Kind.IDX, STANDARD.withChannels(1), "1x2x3 [0, 1]");
        assertOpens(latents, Kind.LATENTS, STANDARD.withImageSize(16).withChannels(2), "2x1x2 [x, y]");
        String glyphs = new Glyphs(0).classNames().toString();
        assertOpens(Path.of("glyphs"), Kind.GLYPHS, STANDARD, "3x32x32 " + glyphs);
        assertOpens(Path.of("glyphs"), Kind.GLYPHS, STANDARD.withImageSize(16), "3x16x16 " + glyphs);
        assertEquals(Kind.PICTURES, Datasets.kind(Path.of("./glyphs")), "a folder of that name");
    }

    @Test
    void picturesCanStayAsTheyAreIfAllHaveOneSize() throws IOException {
        DatasetConfig original = STANDARD.withOriginalPictures();
        Map<String, byte[]> files = DataFiles.pictures(10, 20, 30, 40); // 9 wide, 12 high
        Path pictures = DataFiles.folder(root.resolve("original"), files);
        for (Path path : List.of(
                pictures,
                DataFiles.zip(root.resolve("original.zip"), files),
                DataFiles.tar(root.resolve("original.tar"), 0, 10, 20, 30, 40)))
            try (Dataset data = Datasets.open(path, original)) {
                assertEquals(List.of(12, 9), List.of(data.height(), data.width()));
                assertTrue(data.describe().contains("of 9×12"), data.describe());
                float[] pixels = new float[3 * 12 * 9];
                data.pixels(1, pixels, 0);
                assertEquals(20 / 127.5f - 1, pixels[0]);
                data.check();
            }
        Images.writePng(pictures.resolve("dog/9.png"), Images.fromRgbBytes(new byte[3 * 25], 5, 5), Map.of());
        try (Dataset data = Datasets.open(pictures, original)) {
            for (Executable read : List.<Executable>of(data::check, () -> data.pixels(4, new float[3 * 12 * 9], 0))) {
                String message = assertThrows(FormatException.class, read).getMessage();
                assertTrue(message.contains("5×5") && message.contains("9×12"), message);
            }
        }
    }

    @Test
    void theSeedIsThatOfTheGlyphs() throws IOException {
        try (Dataset data = Datasets.open(Path.of("glyphs"), STANDARD.withSeed(5))) {
            assertEquals(new Glyphs(5).describe(), data.describe());
        }
    }

    @Test
    void whatDataOfAKindDoNotHaveIsRefused() throws IOException {
        Path folder = DataFiles.folder(root.resolve("folder"), DataFiles.pictures(1, 2, 3, 4)),
                tar = DataFiles.tar(root.resolve("a.tar"), 0, 1, 2, 3, 4),
                idx = DataFiles.idx(root.resolve("idx"), "train", false, 1, 2),
                latents = DataFiles.latents(root.resolve("latents"), 'a', List.of("x", "y"), 1, 2),
                csv = Files.writeString(root.resolve("classes.csv"), "folder,name\ncat,animal\ndog,animal\n");
        DatasetConfig named = STANDARD.withClassNames(List.of("a", "b")),
                table = STANDARD.withClassTable(ClassTable.read(csv, "folder", "name"));
        assertOpens(folder, Kind.PICTURES, table, "3x256x256 [animal]");
        assertRefused(folder, named, "class names are for IDX and tar files");
        for (Path path : List.of(tar, idx)) assertRefused(path, table, "table of classes is for folders of pictures");
        for (DatasetConfig config : List.of(named, table)) {
            assertRefused(latents, config, "latents have the classes they were encoded with");
            assertRefused(Path.of("glyphs"), config, "glyphs have classes");
        }
        assertRefused(folder, STANDARD.withChannels(2), "channels is 2; 1 is grey, 3 is RGB");
        assertRefused(idx, STANDARD.withChannels(3), "channels is 3, these data have 1");
        assertRefused(idx, STANDARD.withImageSize(2), "image size is 2", "3×2");
        assertRefused(latents, STANDARD.withImageSize(8), "image size is 8", "16×16");
        assertRefused(latents, STANDARD.withChannels(4), "channels is 4, these latents have 2");
        assertRefused(Path.of("glyphs"), STANDARD.withImageSize(4), "glyphs of 4 pixels");
        NoSuchFileException none =
                assertThrows(NoSuchFileException.class, () -> Datasets.open(Path.of("glyfs"), STANDARD));
        assertTrue(none.getReason().contains("the built-in data are called glyphs"), none.getReason());
    }

    @Test
    void aConfigurationThatCannotBeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> STANDARD.withImageSize(0));
        assertThrows(IllegalArgumentException.class, () -> STANDARD.withChannels(0));
        assertThrows(IllegalArgumentException.class, () -> STANDARD.withClassDepth(-2));
        assertThrows(IllegalArgumentException.class, () -> STANDARD.withHoldOut(-1));
        DatasetConfig heldOut = STANDARD.withHoldOut(3);
        assertThrows(IllegalArgumentException.class, () -> heldOut.withValidation(root));
        assertThrows(IllegalArgumentException.class, () -> heldOut.withSkipBroken(true));
    }

    @Test
    void whatIsHeldOutIsValidatedOnAndNotTrainedOn() throws IOException {
        Path idx = DataFiles.idx(
                root.resolve("idx"), "train", false, IntStream.range(0, 10).toArray());
        DatasetConfig config = STANDARD.withHoldOut(3).withSeed(7);
        try (Dataset data = Datasets.open(idx, config)) {
            Dataset training = Datasets.training(data, config),
                    validation = Datasets.validation(idx, data, config).orElseThrow();
            boolean[] seen = new boolean[10];
            for (Dataset part : List.of(training, validation)) {
                for (int i = 0; i < part.size(); i++) {
                    float[] pixels = new float[6];
                    part.pixels(i, pixels, 0);
                    seen[Math.round((pixels[0] + 1) * 127.5f)] = true;
                }
            }
            assertEquals(List.of(7L, 3L), List.of(training.size(), validation.size()));
            assertTrue(IntStream.range(0, 10).allMatch(i -> seen[i]), Arrays.toString(seen));
            assertEquals(data, Datasets.training(data, STANDARD));
            assertThrows(IllegalArgumentException.class, () -> Datasets.training(data, STANDARD.withHoldOut(10)));
        }
    }

    @Test
    void otherDataAreOfTheKindAndTheClassesOfThoseTrainedOn() throws IOException {
        Path idx = DataFiles.idx(root.resolve("idx"), "train", false, 1, 2, 3, 4);
        Path other = DataFiles.idx(root.resolve("other"), "train", false, new int[1001]);
        DatasetConfig named = STANDARD.withClassNames(List.of("a", "b", "c")).withValidation(other);
        try (Dataset data = Datasets.open(idx, named);
                Dataset validation = Datasets.validation(idx, data, named).orElseThrow()) {
            assertEquals(1000, validation.size());
            assertInstanceOf(Subset.class, validation);
            assertEquals(List.of("a", "b", "c"), validation.classNames());
            assertEquals(Optional.empty(), Datasets.validation(idx, data, STANDARD));
            DataFiles.idx(idx, "t10k", true, 5);
            assertEquals(
                    1, Datasets.validation(idx, data, STANDARD).orElseThrow().size(), "the test pictures beside");
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Datasets.validation(idx, data, STANDARD.withValidation(Path.of("glyphs"))));
        }
        Path folder = DataFiles.folder(root.resolve("folder"), DataFiles.pictures(1, 2, 3, 4));
        DatasetConfig grey = STANDARD.withImageSize(8).withChannels(1).withValidation(folder);
        try (Dataset data = Datasets.open(folder, grey);
                Dataset validation = Datasets.validation(folder, data, grey).orElseThrow()) {
            assertEquals(List.of(1, 8, 8), List.of(validation.channels(), validation.height(), validation.width()));
        }
        Path latents = DataFiles.latents(root.resolve("latents"), 'a', List.of("x", "y"), 1, 2);
        assertThrows(
                IllegalArgumentException.class,
                () -> Datasets.validation(folder, Datasets.open(folder, STANDARD), STANDARD.withValidation(latents)));
    }
}
