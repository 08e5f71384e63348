package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.dit4j.io.FormatException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IdxDatasetTest {
    @TempDir
    Path folder;

    private static byte[] idx(int magic, int[] sizes, int numBytes) {
        ByteBuffer buffer = ByteBuffer.allocate(4 + 4 * sizes.length + numBytes);
        buffer.putInt(magic);
        for (int size : sizes) buffer.putInt(size);
        for (int i = 0; i < numBytes; i++) buffer.put((byte) (37 * i));
        return buffer.array();
    }

    private static byte[] labels(int... labels) {
        byte[] file = idx(0x801, new int[] {labels.length}, labels.length);
        for (int i = 0; i < labels.length; i++) file[8 + i] = (byte) labels[i];
        return file;
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
            gzip.write(bytes);
        }
        return out.toByteArray();
    }

    /** Three pictures of 2 × 5 pixels and their labels 1, 0, 4. */
    private Path write(byte[] images, byte[] labels) throws IOException {
        Files.write(folder.resolve("train-images-idx3-ubyte"), images);
        Files.write(folder.resolve("train-labels-idx1-ubyte"), labels);
        return folder.resolve("train-images-idx3-ubyte");
    }

    private static final byte[] GOOD_IMAGES = idx(0x803, new int[] {3, 2, 5}, 30);
    private static final byte[] GOOD_LABELS = labels(1, 0, 4);

    private void assertRefused(byte[] images, byte[] labels, String file, String reason) throws IOException {
        Path path = write(images, labels);
        FormatException thrown = assertThrows(FormatException.class, () -> IdxDataset.open(path));
        assertTrue(thrown.getMessage().contains(file), thrown.getMessage());
        assertTrue(thrown.getMessage().contains(reason), thrown.getMessage());
    }

    @Test
    void readsImagesAndLabels() throws IOException {
        write(GOOD_IMAGES, GOOD_LABELS);
        IdxDataset dataset = IdxDataset.open(folder);
        assertEquals(3, dataset.size());
        assertEquals(1, dataset.channels());
        assertEquals(2, dataset.height());
        assertEquals(5, dataset.width());
        assertEquals(List.of("0", "1", "2", "3", "4"), dataset.classNames());
        assertEquals(4, dataset.label(2));
        float[] pixels = new float[12];
        dataset.pixels(1, pixels, 1);
        assertEquals(0, pixels[0]);
        assertEquals((37 * 10 & 255) / 127.5f - 1, pixels[1]);
        assertEquals((37 * 19 & 255) / 127.5f - 1, pixels[10]);
        assertEquals(0, pixels[11]);
        assertTrue(dataset.describe().contains("3 images, 5 classes, 2×5 grey"));
        assertThrows(IndexOutOfBoundsException.class, () -> dataset.label(3));
        assertThrows(IndexOutOfBoundsException.class, () -> dataset.pixels(-1, pixels, 0));
        assertThrows(IndexOutOfBoundsException.class, () -> dataset.pixels(0, pixels, 3));
    }

    @Test
    void gzippedFilesReadTheSame() throws IOException {
        Files.write(folder.resolve("a-images-idx3-ubyte.gz"), gzip(GOOD_IMAGES));
        Files.write(folder.resolve("a-labels-idx1-ubyte"), GOOD_LABELS);
        IdxDataset dataset = IdxDataset.open(folder.resolve("a-images-idx3-ubyte.gz"));
        float[] zipped = new float[10], plain = new float[10];
        dataset.pixels(2, zipped, 0);
        IdxDataset.open(write(GOOD_IMAGES, GOOD_LABELS)).pixels(2, plain, 0);
        assertArrayEquals(plain, zipped);
    }

    @Test
    void classesAreNamedByTheCallerOrAFileOrTheirNumbers() throws IOException {
        Path path = write(GOOD_IMAGES, GOOD_LABELS);
        List<String> five = List.of("a", "b", "c", "d", "e");
        assertEquals(five, IdxDataset.open(path, five).classNames());
        Files.writeString(folder.resolve("labels.txt"), "v\nw\nx\ny y\n\nz\n");
        assertEquals(List.of("v", "w", "x", "y y", "z"), IdxDataset.open(path).classNames());
        FormatException thrown =
                assertThrows(FormatException.class, () -> IdxDataset.open(path, List.of("a", "b", "c", "d")));
        assertTrue(thrown.getMessage().contains("label 4 of image 2 is outside 0 … 3"), thrown.getMessage());
        Files.write(folder.resolve("labels.txt"), new byte[] {'v', (byte) 0xe9, '\n'}); // Latin-1
        thrown = assertThrows(FormatException.class, () -> IdxDataset.open(path));
        assertTrue(thrown.getMessage().contains("labels.txt: not UTF-8 text"), thrown.getMessage());
    }

    @Test
    void refusesEveryFileThatIsCutShort() throws IOException {
        for (int length = 0; length < GOOD_IMAGES.length; length++)
            assertRefused(Arrays.copyOf(GOOD_IMAGES, length), GOOD_LABELS, "train-images", "cut short");
        for (int length = 0; length < GOOD_LABELS.length; length++)
            assertRefused(GOOD_IMAGES, Arrays.copyOf(GOOD_LABELS, length), "train-labels", "cut short");
    }

    @Test
    void refusesEveryGzipFileThatIsCutShort() throws IOException {
        byte[] whole = gzip(GOOD_IMAGES);
        Path path = folder.resolve("images-idx3.gz");
        Files.write(folder.resolve("labels-idx1"), GOOD_LABELS);
        for (int length = 0; length < whole.length; length++) {
            Files.write(path, Arrays.copyOf(whole, length));
            FormatException thrown = assertThrows(FormatException.class, () -> IdxDataset.open(path));
            assertTrue(thrown.getMessage().contains("images-idx3.gz"), thrown.getMessage());
        }
    }

    @Test
    void refusesWhatIsNotAnIdxFileOfPictures() throws IOException {
        assertRefused(idx(0xD03, new int[] {3, 2, 5}, 120), GOOD_LABELS, "train-images", "0x00000d03");
        assertRefused(GOOD_LABELS, GOOD_LABELS, "train-images", "0x00000801");
        assertRefused("a page of HTML".getBytes(), GOOD_LABELS, "train-images", "begins with");
        assertRefused(GOOD_IMAGES, GOOD_IMAGES, "train-labels", "begins with");
        assertRefused(Arrays.copyOf(GOOD_IMAGES, 47), GOOD_LABELS, "train-images", "goes on after");
        assertRefused(GOOD_IMAGES, labels(1, 0), "train-labels", "2 labels for the 3 images");
        assertRefused(idx(0x803, new int[] {0, 2, 5}, 0), labels(), "train-images", "no images");
    }

    @Test
    void aHostileHeaderReservesNothing() throws IOException {
        assertRefused(idx(0x803, new int[] {-1, 2, 5}, 30), GOOD_LABELS, "train-images", "dimension 0 is 4294967295");
        assertRefused(idx(0x803, new int[] {3, 0, 5}, 30), GOOD_LABELS, "train-images", "dimension 1 is 0");
        assertRefused(
                idx(0x803, new int[] {1 << 30, 1 << 30, 1 << 30}, 30), GOOD_LABELS, "train-images", "more than 2 GiB");
        assertRefused(idx(0x803, new int[] {2_000_000, 32, 32}, 30), GOOD_LABELS, "train-images", "cut short: 30 of");
    }

    @Test
    void missingFilesAreNamed() throws IOException {
        assertThrows(NoSuchFileException.class, () -> IdxDataset.open(folder));
        assertThrows(NoSuchFileException.class, () -> IdxDataset.open(folder.resolve("nothing-images-idx3")));
        Path alone = Files.write(folder.resolve("train-images-idx3-ubyte"), GOOD_IMAGES);
        NoSuchFileException thrown = assertThrows(NoSuchFileException.class, () -> IdxDataset.open(alone));
        assertTrue(thrown.getMessage().contains("train-labels-idx1-ubyte"), thrown.getMessage());
        Path odd = Files.write(folder.resolve("pictures.bin"), GOOD_IMAGES);
        assertThrows(FormatException.class, () -> IdxDataset.open(odd));
    }

    @Test
    void aFolderWithSeveralSetsGivesTheTrainingSetOrAsks() throws IOException {
        write(GOOD_IMAGES, GOOD_LABELS);
        Files.write(folder.resolve("train-images-idx3-ubyte.gz"), gzip(GOOD_IMAGES));
        Files.write(folder.resolve("t10k-images-idx3-ubyte"), new byte[0]);
        assertEquals(3, IdxDataset.open(folder).size());
        Files.delete(folder.resolve("train-images-idx3-ubyte"));
        Files.delete(folder.resolve("train-images-idx3-ubyte.gz"));
        Files.write(folder.resolve("other-images-idx3-ubyte"), GOOD_IMAGES);
        FormatException thrown = assertThrows(FormatException.class, () -> IdxDataset.open(folder));
        assertTrue(thrown.getMessage().contains("give the path of one"), thrown.getMessage());
    }

    @Test
    void fashionMnistIsAsPublished() throws IOException {
        IdxDataset test =
                IdxDataset.open(TestData.path("fashion_mnist/t10k-images-idx3-ubyte.gz"), IdxDataset.FASHION_MNIST);
        assertEquals(10_000, test.size());
        assertEquals("ankle boot", test.classNames().get(test.label(0)));
        int[] counts = new int[10];
        double sum = 0;
        float[] pixels = new float[28 * 28];
        for (long index = 0; index < test.size(); index++) {
            counts[test.label(index)]++;
            test.pixels(index, pixels, 0);
            for (float value : pixels) sum += value;
        }
        for (int count : counts) assertEquals(1000, count);
        assertEquals(73.14656, (sum / 10_000 / 784 + 1) * 127.5, 1e-4); // the mean byte, by NumPy
    }
}
