package org.dit4j.jobs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.function.DoubleConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.dit4j.io.Images;
import org.dit4j.io.Npz;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SampleJobTest {
    private static final int SIDE = 6;
    private static final SampleConfig CONFIG =
            new SampleConfig(10, 4, 3, SampleConfig.Labels.RANDOM, List.of(0, 5, 7), SampleConfig.Format.BOTH);

    @TempDir
    private Path root;

    private final List<String> drawn = new ArrayList<>();

    /** Noise by index, that reaches beyond [−1, 1]. */
    private void draw(long first, int count, DoubleConsumer progress, Consumer<Tensor> pictures) {
        drawn.add(first + " " + count);
        progress.accept(0.5);
        long[] indices = IntStream.range(0, count).mapToLong(i -> first + i).toArray();
        try (TensorScope scope = new TensorScope()) {
            pictures.accept(Noise.normal(1, Purpose.SAMPLE_START, 0, indices, 3, SIDE, SIDE));
        }
        progress.accept(1);
    }

    private static float[] numbers(long index) {
        float[] numbers = new float[3 * SIDE * SIDE];
        Noise.normal(1, Purpose.SAMPLE_START, 0, index, numbers, 0, numbers.length);
        return numbers;
    }

    private SampleJob job(Path folder, SampleConfig config, String weights) {
        return new SampleJob(folder, config, SIDE, SIDE, Map.of("Digest of weights", weights), this::draw);
    }

    private void run(Path folder, SampleConfig config) throws IOException {
        ShardRunner.run(job(folder, config, "aa"), folder, Progress.NONE);
    }

    private static SampleConfig as(SampleConfig.Format format) {
        return new SampleConfig(10, 4, 3, CONFIG.labels(), CONFIG.classes(), format);
    }

    /** Name below {@code folder}, and of the archive beside it → SHA-256. */
    private static Map<String, String> files(Path folder) throws IOException {
        Map<String, String> files = new TreeMap<>();
        try (Stream<Path> all = Files.walk(folder)) {
            for (Path file : all.filter(Files::isRegularFile).toList())
                files.put(folder.relativize(file).toString(), Sha256.hex(Files.readAllBytes(file)));
        }
        Path npz = folder.resolveSibling(folder.getFileName() + ".npz");
        if (Files.exists(npz)) files.put("npz", Sha256.hex(Files.readAllBytes(npz)));
        return files;
    }

    @Test
    void aSetHasThePublishedNamesAndRoundingAndEachForwardPassAsManyRows() throws IOException {
        Path folder = root.resolve("set");
        run(folder, CONFIG);
        assertEquals(List.of("0 4", "4 4", "8 4"), drawn, "the last filled up");
        List<String> pictures = files(folder).keySet().stream()
                .filter(name -> name.endsWith(".png"))
                .toList();
        assertEquals(10, pictures.size());
        assertEquals("000009.png", pictures.get(9));
        Tensor all = Npz.read(root.resolve("set.npz")).get("arr_0");
        byte[] packed = Tensors.toBytes(all);
        assertArrayEquals(new long[] {10, SIDE, SIDE, 3}, all.shape());
        all.close();
        int size = 3 * SIDE * SIDE;
        for (int i = 0; i < 10; i++) {
            byte[] picture = Images.toRgbBytes(Images.read(folder.resolve(pictures.get(i))));
            assertArrayEquals(Arrays.copyOfRange(packed, i * size, (i + 1) * size), picture);
            float[] numbers = numbers(i);
            for (int pixel = 0; pixel < SIDE * SIDE; pixel++)
                for (int c = 0; c < 3; c++) {
                    float level = Math.max(0, Math.min(255, 127.5f * numbers[c * SIDE * SIDE + pixel] + 128));
                    assertEquals((int) level, picture[3 * pixel + c] & 255, "truncated, as sample_ddp.py does");
                }
            assertEquals(
                    Integer.toString(CONFIG.label(i)),
                    Images.readPngText(folder.resolve(pictures.get(i))).get("Label"));
        }
    }

    @Test
    void whereverASetIsStoppedItGoesOnAndEndsWithTheSameBytes() throws IOException {
        run(root.resolve("whole"), CONFIG);
        Map<String, String> whole = files(root.resolve("whole"));
        for (int stop = 1; stop <= 5; stop += 2) {
            Path folder = root.resolve("stopped-" + stop);
            int[] heard = {stop};
            assertThrows(
                    CancellationException.class,
                    () -> ShardRunner.run(job(folder, CONFIG, "aa"), folder, (done, numLeftOut) -> {
                        if (--heard[0] == 0) throw new CancellationException();
                    }));
            assertFalse(Files.exists(folder.resolve("samples.json")));
            run(folder, CONFIG);
            assertEquals(whole, files(folder));
            drawn.clear();
            run(folder, CONFIG);
            assertEquals(List.of(), drawn, "nothing left to do");
        }
    }

    @Test
    void aPictureThatIsDamagedOrGoneIsDrawnAgain() throws IOException {
        Path folder = root.resolve("set");
        run(folder, CONFIG);
        Map<String, String> whole = files(folder);
        byte[] bytes = Files.readAllBytes(folder.resolve("000005.png"));
        bytes[bytes.length / 2] ^= 1;
        Files.write(folder.resolve("000005.png"), bytes);
        Files.delete(folder.resolve("000008.png"));
        drawn.clear();
        run(folder, CONFIG);
        assertEquals(List.of("4 4", "8 4"), drawn);
        assertEquals(whole, files(folder));
    }

    @Test
    void thePicturesOrTheArchiveAloneHaveTheSamePixels() throws IOException {
        run(root.resolve("both"), CONFIG);
        run(root.resolve("png"), as(SampleConfig.Format.PNG));
        run(root.resolve("npz"), as(SampleConfig.Format.NPZ));
        Map<String, String> both = files(root.resolve("both")), png = files(root.resolve("png"));
        Map<String, String> npz = files(root.resolve("npz"));
        assertFalse(png.containsKey("npz"));
        assertEquals(both.get("000003.png"), png.get("000003.png"));
        assertEquals(both.get("npz"), npz.get("npz"));
        assertEquals(List.of("job.lock", "npz", "samples.json"), List.copyOf(npz.keySet()));
        drawn.clear();
        run(root.resolve("npz"), as(SampleConfig.Format.NPZ));
        run(root.resolve("png"), CONFIG);
        assertEquals(List.of(), drawn, "done is done, and what is there is packed");
        assertEquals(both, files(root.resolve("png")));
    }

    @Test
    void aSetGrowsAndDoesNotShrink() throws IOException {
        Path folder = root.resolve("set");
        run(folder, CONFIG);
        SampleConfig more = new SampleConfig(21, 4, 3, CONFIG.labels(), CONFIG.classes(), CONFIG.format());
        drawn.clear();
        run(folder, more);
        assertEquals(List.of("8 4", "12 4", "16 4", "20 4"), drawn);
        run(root.resolve("at once"), more);
        assertEquals(files(root.resolve("at once")), files(folder));
        IllegalArgumentException thrown = assertThrows(IllegalArgumentException.class, () -> run(folder, CONFIG));
        assertTrue(thrown.getMessage().contains("has more than 10 pictures"), thrown.getMessage());
    }

    @Test
    void aFolderOfOtherPicturesIsRefusedByWhatDiffers() throws IOException {
        Path folder = root.resolve("set");
        run(folder, CONFIG);
        Map<String, String> before = files(folder);
        refused("Digest of weights is aa; here it is bb", job(folder, CONFIG, "bb"));
        refused(
                "Batch size is 4; here it is 5",
                job(folder, new SampleConfig(10, 5, 3, CONFIG.labels(), CONFIG.classes(), CONFIG.format()), "aa"));
        refused(
                "Seed is 3; here it is 4",
                job(folder, new SampleConfig(10, 4, 4, CONFIG.labels(), CONFIG.classes(), CONFIG.format()), "aa"));
        refused(
                "Labels is random; here it is balanced",
                job(
                        folder,
                        new SampleConfig(10, 4, 3, SampleConfig.Labels.BALANCED, CONFIG.classes(), CONFIG.format()),
                        "aa"));
        assertEquals(before, files(folder));
    }

    private void refused(String what, SampleJob job) {
        IllegalArgumentException thrown = assertThrows(
                IllegalArgumentException.class, () -> ShardRunner.run(job, root.resolve("set"), Progress.NONE));
        assertTrue(thrown.getMessage().contains(what), thrown.getMessage());
    }

    @Test
    void labelsComeFromTheIndexAndBalancedOnesInTurn() {
        SampleConfig balanced =
                new SampleConfig(10, 4, 3, SampleConfig.Labels.BALANCED, List.of(2, 9), SampleConfig.Format.PNG);
        assertEquals(
                List.of(2, 9, 2, 9),
                IntStream.range(0, 4).map(balanced::label).boxed().toList());
        int[] counts = new int[8];
        for (int i = 0; i < 30_000; i++) counts[CONFIG.label(i)]++;
        for (int label : new int[] {0, 5, 7}) // five standard deviations of a binomial number
        assertEquals(10_000, counts[label], 5 * Math.sqrt(30_000 * 2 / 9.0));
        assertEquals(30_000, counts[0] + counts[5] + counts[7]);
        SampleConfig none = new SampleConfig(10, 4, 3, CONFIG.labels(), List.of(), CONFIG.format());
        assertEquals(-1, none.label(0));
        assertThrows(
                IllegalArgumentException.class,
                () -> new SampleConfig(0, 4, 3, CONFIG.labels(), List.of(), CONFIG.format()));
    }

    @Test
    void drawingASetFreesEverythingItMakes() throws IOException {
        run(root.resolve("warm"), CONFIG);
        long before = NativeObjects.settled();
        run(root.resolve("set"), CONFIG);
        assertEquals(before, Pointer.totalCount());
    }
}
