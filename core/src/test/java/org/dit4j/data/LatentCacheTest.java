package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.dit4j.io.FormatException;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LatentCacheTest {
    private static final LatentsHeader HEADER =
            new LatentsHeader("ab".repeat(32), 0.5, 1, 8, 16, 2, 1, 2, true, List.of("cat", "dog"));
    private static final float[] LOG_VARIANCE = {(float) Math.log(4), (float) Math.log(9), 0, -30};

    @TempDir
    Path folder;

    /** Two shards of one item each, and an empty one between them. */
    @BeforeEach
    void write() throws IOException {
        Path[] files = {file(0), file(1), file(2)};
        shard(files[0], HEADER, 1, 10);
        shard(files[1], HEADER);
        shard(files[2], HEADER, 0, 20);
        LatentCache.writeIndex(
                folder, HEADER, List.of(files), Optional.of(List.of(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)));
    }

    private Path file(int shard) {
        return folder.resolve("latents-0000" + shard + ".safetensors");
    }

    /** A shard of one item (its label, and the first of its four numbers), or of none. */
    private static void shard(Path file, LatentsHeader header, int... labelAndValue) throws IOException {
        int n = labelAndValue.length / 2;
        float value = n == 0 ? 0 : labelAndValue[1];
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            for (String name : List.of(LatentShard.MEAN, LatentShard.FLIPPED_MEAN)) {
                float sign = name.equals(LatentShard.MEAN) ? 1 : -1;
                float[] mean = {sign * value, sign * (value + 1), sign * (value + 2), sign * (value + 3)};
                tensors.put(name, Tensors.of(Arrays.copyOf(mean, 4 * n), n, 2, 1, 2));
            }
            for (String name : List.of(LatentShard.LOG_VARIANCE, LatentShard.FLIPPED_LOG_VARIANCE))
                tensors.put(name, Tensors.of(Arrays.copyOf(LOG_VARIANCE, 4 * n), n, 2, 1, 2));
            long[] label = n == 0 ? new long[0] : new long[] {labelAndValue[0]};
            tensors.put(LatentShard.LABELS, Tensors.of(label, n));
            tensors.put(LatentShard.ITEMS, Tensors.of(label, n));
            LatentShard.write(file, header, Map.of("a", "b"), List.of(), tensors);
        }
    }

    private static float[] pixels(LatentCache cache, long item) throws IOException {
        float[] out = new float[6];
        cache.pixels(item, out, 1);
        return out;
    }

    @Test
    void itemsAreFoundInTheirShards() throws IOException {
        try (LatentCache cache = LatentCache.open(folder)) {
            assertEquals(2, cache.size());
            assertEquals(1, cache.label(0));
            assertEquals(0, cache.label(1));
            // (mean − 1) · ½
            assertArrayEquals(new float[] {0, 4.5f, 5, 5.5f, 6, 0}, pixels(cache, 0));
            assertArrayEquals(new float[] {0, 9.5f, 10, 10.5f, 11, 0}, pixels(cache, 1));
            assertEquals(HEADER, cache.header());
            assertEquals(9, cache.linearRgb().orElseThrow().size());
            assertThrows(IndexOutOfBoundsException.class, () -> cache.label(2));
            assertThrows(IndexOutOfBoundsException.class, () -> cache.pixels(0, new float[4], 1));
            assertThrows(IndexOutOfBoundsException.class, () -> pixels(cache, -1));
        }
    }

    @Test
    void aSampleIsMeanPlusDeviationTimesNoiseOfItsNumber() throws IOException {
        float[] noise = new float[4], out = new float[4];
        Noise.normal(3, Purpose.POSTERIOR, 0, 77, noise, 0, 4);
        try (LatentCache cache = LatentCache.open(folder)) {
            cache.sample(3, 77, 0, true, out, 0);
        }
        float[] deviations = {2, 3, 1, 0};
        for (int i = 0; i < 4; i++) assertEquals((-(10 + i) + deviations[i] * noise[i] - 1) * 0.5, out[i], 1e-5);
    }

    @Test
    void samplesSpreadAsTheVarianceSays() throws IOException {
        double sum = 0, squares = 0;
        float[] out = new float[4];
        try (LatentCache cache = LatentCache.open(folder)) {
            for (int sample = 0; sample < 4000; sample++) {
                cache.sample(3, sample, 0, false, out, 0);
                sum += out[1];
                squares += (double) out[1] * out[1];
            }
        }
        double mean = sum / 4000, deviation = Math.sqrt(squares / 4000 - mean * mean);
        // standard errors: 1.5 / √4000 = 0.024, and 1.5 / √8000 = 0.017; five of them
        assertEquals(5, mean, 0.12);
        assertEquals(1.5, deviation, 0.085);
    }

    @Test
    void theLoaderDrawsAnewInEachEpochAndAlikeForAnyNumberOfThreads() throws IOException {
        try (LatentCache cache = LatentCache.open(folder)) {
            float[] alone = batch(cache, 0), many = batch(cache, 3);
            assertArrayEquals(alone, many);
            // four epochs of two items: no two rows are alike
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < i; j++)
                    assertTrue(alone[4 * i] != alone[4 * j], "samples " + i + " and " + j + " are one draw");
        }
    }

    private static float[] batch(LatentCache cache, int numWorkers) throws IOException {
        LoaderConfig config = LoaderConfig.of(5, 8).withFlip(true).withNumWorkers(numWorkers);
        try (BatchLoader loader = new BatchLoader(cache, config);
                TensorScope scope = new TensorScope()) {
            return Tensors.toFloats(loader.next().images());
        }
    }

    private void edit(String from, String to) throws IOException {
        Path index = folder.resolve(LatentCache.INDEX);
        String text = Files.readString(index);
        assertTrue(text.contains(from), text);
        Files.writeString(index, text.replace(from, to));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "\"dit4j latents\" | \"other\" | is no index",
                "\"version\" : 1 | \"version\" : 2 | version 2",
                "\"numItems\" : 2 | \"numItems\" : 3 | says 3 items",
                "\"scale\" : 0.5 | \"scale\" : 0 | scale is 0",
                "\"scale\" : 0.5 | \"scale\" : 0.25 | does not belong",
                "\"channels\" : 2 | \"channels\" : 70000 | 70000",
                "\"hasVariance\" : true | \"hasVariance\" : false | does not belong",
                "\"dog\" | \"dog\", \"cow\" | does not belong",
                "latents-00001.safetensors | ../latents-00001.safetensors | names no shard",
                "latents-00001.safetensors | /etc/passwd | names no shard",
                "[ 1.0, 2.0 | [ 1.0 | linearRgb",
                "[ 1.0, 2.0 | [ null, 2.0 | linearRgb",
                "\"version\" : 1 | \"version\" : 1, \"version\" : 1 | Duplicate",
                "\"version\" : 1 | \"version\" : 1, \"unknown\" : 1 | unknown",
                "\"version\" : 1 | \"version\" : { | describe latents"
            })
    void anIndexThatCannotBeIsRefused(String from, String to, String problem) throws IOException {
        edit(from, to);
        FormatException thrown = assertThrows(FormatException.class, () -> LatentCache.open(folder));
        assertTrue(thrown.getMessage().contains(problem), thrown.getMessage());
        assertTrue(thrown.getMessage().startsWith(folder.toString()), thrown.getMessage());
    }

    @Test
    void anIndexInStrangeCharactersIsRefused() throws IOException {
        Files.write(folder.resolve(LatentCache.INDEX), new byte[] {0, 0, '{', 0});
        assertThrows(FormatException.class, () -> LatentCache.open(folder));
    }

    @Test
    void aLabelWithoutANameIsRefused() throws IOException {
        shard(file(0), HEADER, 2, 10);
        FormatException thrown = assertThrows(FormatException.class, () -> LatentCache.open(folder));
        assertTrue(thrown.getMessage().contains("label 2 is outside 0 … 1"), thrown.getMessage());
    }

    @Test
    void aDamagedOrAbsentShardIsRefused() throws IOException {
        byte[] whole = Files.readAllBytes(file(0));
        Files.write(file(0), Arrays.copyOf(whole, whole.length - 4));
        assertThrows(FormatException.class, () -> LatentCache.open(folder));
        Files.delete(file(0));
        assertThrows(NoSuchFileException.class, () -> LatentCache.open(folder));
        Files.delete(folder.resolve(LatentCache.INDEX));
        assertThrows(NoSuchFileException.class, () -> LatentCache.open(folder));
    }

    @Test
    void aShardWhoseMetadataAreNullIsRefused() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = org.dit4j.io.Safetensors.read(file(0));
            Map<String, String> metadata =
                    org.dit4j.io.Safetensors.header(file(0)).metadata();
            for (String key : metadata.keySet()) {
                Map<String, String> hostile = new LinkedHashMap<>(metadata);
                hostile.put(key, "null");
                org.dit4j.io.Safetensors.write(file(0), tensors, hostile);
                assertThrows(FormatException.class, () -> LatentShard.open(file(0)), key);
            }
        }
    }

    @Test
    void whatIsNoNumberIsRefusedWhenItIsRead() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = org.dit4j.io.Safetensors.read(file(0));
            tensors.put(LatentShard.MEAN, Tensors.of(new float[] {1, Float.NaN, 0, 0}, 1, 2, 1, 2));
            LatentShard.write(file(0), HEADER, Map.of(), List.of(), tensors);
        }
        LatentCache.writeIndex(folder, HEADER, List.of(file(0), file(1), file(2)), Optional.empty());
        try (LatentCache cache = LatentCache.open(folder)) {
            assertThrows(FormatException.class, () -> pixels(cache, 0));
        }
    }

    @Test
    void readingMakesNothingNative() throws IOException {
        long before = NativeObjects.settled();
        try (LatentCache cache = LatentCache.open(folder)) {
            cache.sample(1, 2, 0, true, new float[4], 0);
        }
        assertEquals(before, Pointer.totalCount());
    }
}
