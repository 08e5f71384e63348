package org.dit4j.jobs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.function.LongPredicate;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.dit4j.RecipeWeights;
import org.dit4j.data.Dataset;
import org.dit4j.data.LatentCache;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.SafetensorsHeader;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentDistribution;
import org.dit4j.vae.LatentScaling;
import org.dit4j.vae.LinearRgb;
import org.dit4j.vae.TinyAutoencoderConfig;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LatentEncoderTest {
    private static final int SIDE = 16;
    private static final EncodeConfig CONFIG =
            EncodeConfig.standard().withSizes(8, 3).on("cpu", Precision.FP32);

    private static LatentCodec codec, other;

    @TempDir
    Path folder;

    @BeforeAll
    static void make() {
        codec = kl(7, new LatentScaling(0.5, 0.25));
        other = kl(8, new LatentScaling(0.5, 0.25));
    }

    @AfterAll
    static void free() {
        codec.close();
        other.close();
    }

    private static LatentCodec kl(long seed, LatentScaling scaling) {
        AutoencoderKl made =
                new AutoencoderKlConfig(3, 3, 4, List.of(4, 8), 1, 2, SIDE, false, true, true, scaling).network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(made), seed);
        }
        return made;
    }

    /** Noise that depends on the item alone; some items cannot be read. */
    private record Pictures(long size, long seed, LongPredicate isBroken) implements Dataset {
        @Override
        public int channels() {
            return 3;
        }

        @Override
        public int height() {
            return SIDE;
        }

        @Override
        public int width() {
            return SIDE;
        }

        @Override
        public List<String> classNames() {
            return List.of("even", "odd");
        }

        @Override
        public int label(long index) {
            return (int) (index % 2);
        }

        @Override
        public void pixels(long index, float[] out, int offset) throws IOException {
            if (isBroken.test(index)) throw new FormatException("picture " + index, "is torn");
            Noise.normal(seed, Purpose.GLYPH, 0, index, out, offset, 3 * SIDE * SIDE);
        }

        @Override
        public String describe() {
            return "noise";
        }
    }

    private static Pictures pictures(long size) {
        return new Pictures(size, 1, index -> false);
    }

    private void encode(Dataset data, EncodeConfig config) throws IOException {
        encode(data, codec, folder, config, Progress.NONE);
    }

    private static void encode(Dataset data, LatentCodec codec, Path folder, EncodeConfig config, Progress progress)
            throws IOException {
        ShardRunner.run(new LatentEncoder(data, codec, config), folder, progress);
    }

    /** File name → content. */
    private static Map<String, List<Byte>> files(Path folder) throws IOException {
        Map<String, List<Byte>> contents = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                List<Byte> bytes = new ArrayList<>();
                for (byte value : Files.readAllBytes(file)) bytes.add(value);
                contents.put(file.getFileName().toString(), bytes);
            }
        }
        return contents;
    }

    private static float[] pixels(Dataset data, long index) throws IOException {
        float[] out = new float[data.channels() * data.height() * data.width()];
        data.pixels(index, out, 0);
        return out;
    }

    private static float[] sample(Dataset data, long seed, long sample, long item, boolean flip) throws IOException {
        float[] out = new float[data.channels() * data.height() * data.width()];
        data.sample(seed, sample, item, flip, out, 0);
        return out;
    }

    @Test
    void itemsAreTheScaledMeansOfThePicturesInOrder() throws IOException {
        Dataset data = pictures(19);
        encode(data, CONFIG);
        assertEquals(
                Set.of(
                        "job.lock",
                        "latents.json",
                        "latents-00000.safetensors",
                        "latents-00001.safetensors",
                        "latents-00002.safetensors"),
                files(folder).keySet());
        try (LatentCache cache = LatentCache.open(folder)) {
            assertEquals(19, cache.size());
            assertEquals(List.of("even", "odd"), cache.classNames());
            assertEquals(4, cache.channels());
            assertEquals(SIDE / 2, cache.height());
            LatentEncoder.requireMadeBy(codec, cache.header());
            for (long item = 0; item < 19; item++) {
                assertEquals(item % 2, cache.label(item));
                assertEquals(item, cache.source(item));
                try (TensorScope scope = new TensorScope()) {
                    LatentDistribution distribution = codec.encode(Tensors.of(pixels(data, item), 1, 3, SIDE, SIDE));
                    float[] expected = Tensors.toFloats(codec.scaling().toLatents(distribution.mean()));
                    // alone in its batch: convolutions add in another order
                    assertArrayEquals(expected, pixels(cache, item), 1e-5f);
                }
            }
        }
    }

    @Test
    void samplesAreDrawnFromTheDistributionOfThePictureOrItsMirrorImage() throws IOException {
        Dataset data = pictures(5);
        encode(data, CONFIG);
        try (LatentCache cache = LatentCache.open(folder);
                TensorScope scope = new TensorScope()) {
            for (boolean flip : new boolean[] {false, true}) {
                Tensor picture = Tensors.of(pixels(data, 3), 1, 3, SIDE, SIDE);
                LatentDistribution distribution = codec.encode(flip ? picture.flip(3) : picture);
                Tensor noise = Noise.normal(9, Purpose.POSTERIOR, 0, new long[] {42}, 4, SIDE / 2, SIDE / 2);
                float[] expected = Tensors.toFloats(codec.scaling().toLatents(distribution.sample(noise)));
                assertArrayEquals(expected, sample(cache, 9, 42, 3, flip), 1e-4f);
            }
            assertArrayEquals(sample(cache, 9, 42, 3, true), sample(cache, 9, 42, 3, true));
            assertFalse(java.util.Arrays.equals(sample(cache, 9, 42, 3, true), sample(cache, 9, 42, 3, false)));
            assertFalse(java.util.Arrays.equals(sample(cache, 9, 42, 3, true), sample(cache, 9, 43, 3, true)));
            assertFalse(java.util.Arrays.equals(sample(cache, 9, 42, 3, true), sample(cache, 8, 42, 3, true)));
        }
    }

    @Test
    void aStoppedJobGoesOnAndEndsWithTheSameBytes(@TempDir Path whole) throws IOException {
        Dataset data = pictures(29);
        encode(data, codec, whole, CONFIG, Progress.NONE);
        assertThrows(
                CancellationException.class,
                () -> encode(data, codec, folder, CONFIG, (done, numLeftOut) -> {
                    if (done >= 19) throw new CancellationException();
                }));
        assertFalse(LatentCache.isCache(folder), "unfinished, and not to be taken for finished");
        Path first = folder.resolve("latents-00000.safetensors");
        FileTime written = Files.getLastModifiedTime(first);
        Files.write(folder.resolve("latents-00001.safetensors"), new byte[100]); // damaged: made again
        Files.write(folder.resolve("latents-00002.safetensors.tmp-1-1"), new byte[100]); // of a killed job
        encode(data, CONFIG);
        assertEquals(written, Files.getLastModifiedTime(first), "a finished shard was made again");
        assertEquals(files(whole), files(folder));
        encode(data, CONFIG); // nothing to do
        assertEquals(files(whole), files(folder));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5})
    void bytesDoNotDependOnTheNumberOfReaders(int numWorkers, @TempDir Path alone) throws IOException {
        Dataset data = new Pictures(21, 1, index -> index == 4 || index == 20);
        EncodeConfig config = CONFIG.withSkipBroken(true);
        encode(data, codec, alone, config.withNumWorkers(0), Progress.NONE);
        encode(data, config.withNumWorkers(numWorkers));
        assertEquals(files(alone), files(folder));
    }

    @Test
    void latentsDoNotDependOnNeighboursOrShards(@TempDir Path second) throws IOException {
        encode(pictures(10), CONFIG);
        Dataset holes = new Pictures(10, 1, index -> index % 3 == 0);
        encode(holes, codec, second, CONFIG.withSizes(4, 3).withSkipBroken(true), Progress.NONE);
        try (LatentCache one = LatentCache.open(folder);
                LatentCache two = LatentCache.open(second)) {
            for (long item = 0; item < two.size(); item++)
                assertArrayEquals(pixels(one, two.source(item)), pixels(two, item));
        }
    }

    @Test
    void brokenPicturesAreLeftOutAndNamed() throws IOException {
        Dataset data = new Pictures(20, 1, index -> index >= 8 && index < 16 || index == 3); // a whole shard of them
        long[] last = new long[2];
        encode(data, codec, folder, CONFIG.withSkipBroken(true), (done, numLeftOut) -> {
            last[0] = done;
            last[1] = numLeftOut;
        });
        assertArrayEquals(new long[] {20, 9}, last);
        try (LatentCache cache = LatentCache.open(folder)) {
            assertEquals(11, cache.size());
            assertEquals(9, cache.brokenPictures().size());
            assertEquals("picture 3: is torn", cache.brokenPictures().get(0));
            assertEquals(19, cache.source(10));
            assertEquals(1, cache.label(10));
            assertEquals(16, cache.source(7));
            assertTrue(cache.describe().contains("9 broken ones left out"), cache.describe());
        }
    }

    @Test
    void aBrokenPictureEndsTheJobWhereNothingIsSkipped() {
        Dataset data = new Pictures(20, 1, index -> index == 13);
        FormatException thrown = assertThrows(FormatException.class, () -> encode(data, CONFIG));
        assertEquals("picture 13: is torn", thrown.getMessage());
        assertFalse(LatentCache.isCache(folder));
    }

    @Test
    void nothingButBrokenPicturesIsRefused() {
        Dataset data = new Pictures(4, 1, index -> true);
        assertThrows(FormatException.class, () -> encode(data, CONFIG.withSkipBroken(true)));
    }

    @Test
    void aFolderOfAnotherJobIsLeftAloneAndTheDifferenceNamed() throws IOException {
        encode(pictures(9), CONFIG);
        Map<String, List<Byte>> before = files(folder);
        refused("encoder", () -> encode(pictures(9), other, folder, CONFIG, Progress.NONE));
        refused("batchSize", () -> encode(pictures(9), CONFIG.withSizes(8, 4)));
        refused("shardSize", () -> encode(pictures(9), CONFIG.withSizes(9, 3)));
        refused("labels", () -> encode(pictures(11), CONFIG));
        refused("precision", () -> encode(pictures(9), CONFIG.on("cpu", Precision.BF16)));
        refused("first picture", () -> encode(new Pictures(9, 2, index -> false), CONFIG));
        assertEquals(before, files(folder));
        codec.to(org.dit4j.torch.Backend.device("cpu"), org.bytedeco.pytorch.global.torch.ScalarType.Float);
    }

    private void refused(String what, org.junit.jupiter.api.function.Executable job) {
        IllegalArgumentException thrown = assertThrows(IllegalArgumentException.class, job);
        assertTrue(thrown.getMessage().contains("whose " + what + " is "), thrown.getMessage());
        assertTrue(thrown.getMessage().startsWith(folder.toString()), thrown.getMessage());
    }

    @Test
    void latentsOfAnotherCodecAreRefused() throws IOException {
        encode(pictures(3), CONFIG);
        LatentCodec rescaled = kl(7, new LatentScaling(0.75, 0.25));
        try (LatentCache cache = LatentCache.open(folder)) {
            IllegalArgumentException thrown = assertThrows(
                    IllegalArgumentException.class, () -> LatentEncoder.requireMadeBy(other, cache.header()));
            assertTrue(thrown.getMessage().contains(codec.encoderDigest()), thrown.getMessage());
            assertTrue(thrown.getMessage().contains(other.encoderDigest()), thrown.getMessage());
            thrown = assertThrows(
                    IllegalArgumentException.class, () -> LatentEncoder.requireMadeBy(rescaled, cache.header()));
            assertTrue(thrown.getMessage().contains("0.75"), thrown.getMessage());
        } finally {
            rescaled.close();
        }
    }

    @Test
    void picturesThatDoNotFitTheCodecAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> encode(pictures(Dataset.ENDLESS), CONFIG));
        try (LatentCodec taesd = new TinyAutoencoderConfig(4).network()) {
            Dataset odd = new OfSize(12);
            IllegalArgumentException thrown = assertThrows(
                    IllegalArgumentException.class, () -> encode(odd, taesd, folder, CONFIG, Progress.NONE));
            assertTrue(thrown.getMessage().contains("multiples of 8"), thrown.getMessage());
        }
    }

    private record OfSize(int side) implements Dataset {
        @Override
        public long size() {
            return 1;
        }

        @Override
        public int channels() {
            return 3;
        }

        @Override
        public int height() {
            return side;
        }

        @Override
        public int width() {
            return side;
        }

        @Override
        public List<String> classNames() {
            return List.of("all");
        }

        @Override
        public int label(long index) {
            return 0;
        }

        @Override
        public void pixels(long index, float[] out, int offset) {}

        @Override
        public String describe() {
            return "black";
        }
    }

    @Test
    void aCodecWithoutVarianceGivesMeansOnly() throws IOException {
        try (LatentCodec taesd = new TinyAutoencoderConfig(4).network()) {
            encode(pictures(3), taesd, folder, CONFIG, Progress.NONE);
        }
        SafetensorsHeader shard = Safetensors.header(folder.resolve("latents-00000.safetensors"));
        assertEquals(
                Set.of("mean", "flipped_mean", "labels", "items"),
                shard.entries().keySet());
        try (LatentCache cache = LatentCache.open(folder)) {
            assertFalse(cache.header().hasVariance());
            assertArrayEquals(pixels(cache, 1), sample(cache, 5, 6, 1, false));
        }
    }

    @Test
    void theProjectionToColoursIsStored() throws IOException {
        encode(pictures(12), CONFIG);
        try (LatentCache cache = LatentCache.open(folder);
                TensorScope scope = new TensorScope()) {
            LinearRgb rgb = new LinearRgb(4, cache.linearRgb().orElseThrow());
            Tensor preview = rgb.preview(Tensors.of(pixels(cache, 0), 1, 4, SIDE / 2, SIDE / 2));
            assertArrayEquals(new long[] {1, 3, SIDE / 2, SIDE / 2}, preview.shape());
        }
    }

    @Test
    void tooFewPixelsHaveNoProjection() throws IOException {
        try (LatentCodec taesd = new TinyAutoencoderConfig(4).network()) {
            encode(new OfSize(8), taesd, folder, CONFIG, Progress.NONE);
        }
        try (LatentCache cache = LatentCache.open(folder)) {
            assertTrue(cache.linearRgb().isEmpty());
        }
    }

    @Test
    void encodingFreesEverythingItMakes(@TempDir Path warm) throws IOException {
        encode(pictures(9), codec, warm, CONFIG, Progress.NONE);
        long before = NativeObjects.settled();
        encode(pictures(9), CONFIG);
        assertEquals(before, Pointer.totalCount());
        try (TensorScope scope = new TensorScope()) {
            Tensors.of(new float[1], 1);
            assertNotEquals(before, Pointer.totalCount(), "the counter is blind");
        }
    }

    private static void flip(Path file, int at) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        bytes[at] ^= 4;
        Files.write(file, bytes);
    }

    /** In the middle of numbers, any of which could be: in a finished folder, and in one that was stopped. */
    @Test
    void aFlippedBitInAShardIsNoticedAndTheSameJobWritesItAgain(@TempDir Path stopped) throws IOException {
        Dataset data = pictures(29);
        encode(data, CONFIG);
        Map<String, List<Byte>> whole = files(folder);
        Path second = folder.resolve("latents-00001.safetensors");
        int size = (int) Files.size(second);
        for (int at : new int[] {size / 3, size / 2, size - 1}) {
            flip(second, at);
            String message = assertThrows(FormatException.class, () -> LatentCache.open(folder))
                    .getMessage();
            assertTrue(message.startsWith(second + ": block 0 (from byte 0 on) is damaged; dit verify "), message);
            assertEquals(
                    Optional.of(List.of(second + ": block 0 (from byte 0 on) is damaged")),
                    LatentCache.verify(folder).get(second));
            FileTime first = Files.getLastModifiedTime(folder.resolve("latents-00000.safetensors"));
            encode(data, CONFIG);
            assertEquals(first, Files.getLastModifiedTime(folder.resolve("latents-00000.safetensors")));
            assertEquals(whole, files(folder));
        }
        assertThrows(
                CancellationException.class,
                () -> encode(data, codec, stopped, CONFIG, (done, numLeftOut) -> {
                    if (done >= 19) throw new CancellationException();
                }));
        flip(stopped.resolve("latents-00000.safetensors"), size / 2);
        encode(data, codec, stopped, CONFIG, Progress.NONE);
        assertEquals(whole, files(stopped));
    }

    @Test
    void latentsOfBeforeThereWereChecksumsAreOpenedUnchecked() throws IOException {
        encode(pictures(9), CONFIG);
        Path index = folder.resolve(LatentCache.INDEX);
        String old = Files.readString(index).replaceAll("(?s),\\s*\"checksums\" : \\{[^}]*\\}", "");
        assertFalse(old.contains("checksums"), old);
        Files.writeString(index, old);
        LatentCache.open(folder).close();
        assertTrue(LatentCache.verify(folder).values().stream().allMatch(Optional::isEmpty));
        encode(pictures(9), CONFIG);
        assertEquals(
                List.of(Optional.of(List.of()), Optional.of(List.of())),
                List.copyOf(LatentCache.verify(folder).values()));
    }
}
