package org.dit4j.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.NativeObjects;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BatchLoaderTest {
    /** Pictures of 1×1×2 pixels: the item's number and its negative. */
    private static class Numbers implements Dataset {
        final long size;

        Numbers(long size) {
            this.size = size;
        }

        @Override
        public long size() {
            return size;
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
            return 2;
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
            out[offset] = index;
            out[offset + 1] = -index;
        }

        @Override
        public String describe() {
            return "numbers";
        }
    }

    private record Copy(List<Float> pixels, List<Long> labels, long firstSample) {}

    private static Copy copy(BatchLoader loader) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Batch batch = loader.next();
            List<Float> pixels = new ArrayList<>();
            for (float value : Tensors.toFloats(batch.images())) pixels.add(value);
            List<Long> labels = new ArrayList<>();
            for (long label : batch.labels()) labels.add(label);
            return new Copy(pixels, labels, batch.firstSample());
        }
    }

    private static List<Copy> copies(Dataset dataset, LoaderConfig config, int count) throws IOException {
        List<Copy> copies = new ArrayList<>();
        try (BatchLoader loader = new BatchLoader(dataset, config)) {
            for (int i = 0; i < count; i++) copies.add(copy(loader));
        }
        return copies;
    }

    private static Set<Thread> loaderThreads() {
        Set<Thread> threads = new HashSet<>(Thread.getAllStackTraces().keySet());
        threads.removeIf(thread -> !thread.getName().equals("dit4j-loader") || !thread.isAlive());
        return threads;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5, 16})
    void batchesDoNotDependOnTheNumberOfThreads(int numWorkers) throws IOException {
        LoaderConfig config = LoaderConfig.of(3, 13).withFlip(true);
        Dataset glyphs = new Glyphs(1, 16);
        assertEquals(copies(glyphs, config.withNumWorkers(0), 6), copies(glyphs, config.withNumWorkers(numWorkers), 6));
    }

    @Test
    void rowsAreTheSamplesOfTheEpochOrder() throws IOException {
        Numbers numbers = new Numbers(10);
        EpochOrder order = EpochOrder.of(numbers, 5);
        List<Copy> batches = copies(numbers, LoaderConfig.of(5, 4), 7);
        for (int b = 0; b < 7; b++) {
            assertEquals(4 * b, batches.get(b).firstSample());
            for (int row = 0; row < 4; row++) {
                long item = order.index(4 * b + row);
                assertEquals(item, batches.get(b).pixels().get(2 * row));
                assertEquals(item % 2, batches.get(b).labels().get(row));
            }
        }
    }

    @Test
    void aRunResumesInTheMiddleOfAnEpoch() throws IOException {
        LoaderConfig config = LoaderConfig.of(5, 4).withFlip(true);
        List<Copy> whole = copies(new Numbers(11), config, 9);
        assertEquals(whole.subList(6, 9), copies(new Numbers(11), config.withFirstSample(24), 3));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4})
    void theRanksTogetherSeeTheGlobalBatch(int numRanks) throws IOException {
        LoaderConfig config = LoaderConfig.of(2, 12).withFlip(true).withFirstSample(24);
        List<Copy> global = copies(new Numbers(37), config, 5);
        List<List<Copy>> parts = new ArrayList<>();
        for (int rank = 0; rank < numRanks; rank++)
            parts.add(copies(new Numbers(37), new LoaderConfig(2, 12 / numRanks, 24, true, 2, rank, numRanks), 5));
        for (int step = 0; step < 5; step++) {
            List<Float> pixels = new ArrayList<>();
            for (List<Copy> part : parts) pixels.addAll(part.get(step).pixels());
            assertEquals(global.get(step).pixels(), pixels);
            assertEquals(global.get(step).firstSample(), parts.get(0).get(step).firstSample());
        }
    }

    @Test
    void aFlipMirrorsEveryRowAndDependsOnTheSample() throws IOException {
        Glyphs glyphs = new Glyphs(0, 8);
        List<Copy> plain = copies(glyphs, LoaderConfig.of(4, 64), 2);
        List<Copy> flipped = copies(glyphs, LoaderConfig.of(4, 64).withFlip(true), 2);
        int numFlipped = 0;
        for (int row = 0; row < 128; row++) {
            List<Float> a = plain.get(row / 64).pixels().subList(row % 64 * 192, row % 64 * 192 + 192);
            List<Float> b = flipped.get(row / 64).pixels().subList(row % 64 * 192, row % 64 * 192 + 192);
            List<Float> mirrored = new ArrayList<>();
            for (int line = 0; line < 24; line++) {
                List<Float> pixels = new ArrayList<>(a.subList(8 * line, 8 * line + 8));
                Collections.reverse(pixels);
                mirrored.addAll(pixels);
            }
            assertTrue(b.equals(a) || b.equals(mirrored));
            if (!b.equals(a)) numFlipped++;
        }
        assertEquals(64, numFlipped, 20); // standard deviation 5.7
        assertEquals(flipped, copies(glyphs, LoaderConfig.of(4, 64).withFlip(true), 2));
        assertNotEquals(flipped, copies(glyphs, LoaderConfig.of(5, 64).withFlip(true), 2));
    }

    @Test
    void aBatchBelongsToTheScopeOfTheCaller() throws IOException {
        try (BatchLoader loader = new BatchLoader(new Glyphs(0), LoaderConfig.of(0, 8))) {
            for (int warmUp = 0; warmUp < 4; warmUp++) copy(loader);
            long before = NativeObjects.settled();
            try (TensorScope scope = new TensorScope()) {
                Batch batch = loader.next();
                assertArrayEquals(new long[] {8, 3, 32, 32}, batch.images().shape());
                assertEquals(8, batch.size());
                assertEquals(before + 1, Pointer.totalCount(), "one tensor; or the counter is blind");
            }
            assertEquals(before, Pointer.totalCount());
        }
    }

    @Test
    void aBatchKeepsItsLabelsWhenLaterOnesAreRead() throws IOException {
        try (BatchLoader loader = new BatchLoader(new Numbers(1000), LoaderConfig.of(0, 16));
                TensorScope scope = new TensorScope()) {
            Batch first = loader.next();
            long[] labels = first.labels().clone();
            for (int i = 0; i < 10; i++) loader.next();
            assertArrayEquals(labels, first.labels());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    void aBrokenItemFailsItsBatchAndNoneBefore(int numWorkers) throws IOException {
        EpochOrder order = new EpochOrder(100, 1);
        long broken = order.index(9); // in the third batch of four
        IOException thrown = new IOException("/data/cat.png: broken");
        Dataset dataset = new Numbers(100) {
            @Override
            public void pixels(long index, float[] out, int offset) throws IOException {
                if (index == broken) throw thrown;
            }
        };
        try (BatchLoader loader = new BatchLoader(dataset, LoaderConfig.of(1, 4).withNumWorkers(numWorkers))) {
            copy(loader);
            copy(loader);
            for (int again = 0; again < 2; again++) {
                IOException seen = assertThrows(IOException.class, () -> copy(loader));
                assertEquals("/data/cat.png: broken", seen.getMessage());
                assertSame(thrown, seen.getCause());
            }
        }
    }

    @Test
    void aFailureOfTheDataSetsCodeIsNotTakenForBadData() throws IOException {
        Dataset dataset = new Numbers(10) {
            @Override
            public void pixels(long index, float[] out, int offset) {
                throw new ArithmeticException("a mistake");
            }
        };
        try (BatchLoader loader = new BatchLoader(dataset, LoaderConfig.of(0, 2))) {
            IllegalStateException seen = assertThrows(IllegalStateException.class, loader::next);
            assertTrue(seen.getCause() instanceof ArithmeticException);
        }
    }

    @Test
    void waitingCanBeInterrupted() throws IOException {
        CountDownLatch release = new CountDownLatch(1);
        Dataset slow = new Numbers(10) {
            @Override
            public void pixels(long index, float[] out, int offset) {
                try {
                    release.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }
        };
        try (BatchLoader loader = new BatchLoader(slow, LoaderConfig.of(0, 2))) {
            Thread.currentThread().interrupt();
            assertThrows(InterruptedIOException.class, loader::next);
            assertTrue(Thread.interrupted(), "the interrupt is still to be seen");
            release.countDown();
            copy(loader); // and the loader goes on
        }
    }

    @Test
    void closingEndsTheThreads() throws IOException {
        Set<Thread> before = loaderThreads();
        BatchLoader loader =
                new BatchLoader(new Glyphs(0), LoaderConfig.of(0, 64).withNumWorkers(3));
        copy(loader);
        assertNotEquals(before, loaderThreads());
        loader.close();
        loader.close();
        Set<Thread> left = loaderThreads();
        left.removeAll(before);
        assertEquals(Set.of(), left);
        assertThrows(IllegalStateException.class, loader::next);
    }

    @Test
    void theThreadsAreDaemonsAndDoNotHoldTheProgram() throws IOException {
        try (BatchLoader loader = new BatchLoader(new Numbers(10), LoaderConfig.of(0, 2))) {
            copy(loader);
            Set<Thread> threads = loaderThreads();
            assertFalse(threads.isEmpty());
            assertTrue(threads.stream().allMatch(Thread::isDaemon));
        }
    }

    @Test
    void aConfigurationOutOfRangeIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> LoaderConfig.of(0, 0));
        assertThrows(IllegalArgumentException.class, () -> LoaderConfig.of(0, 1).withFirstSample(-1));
        assertThrows(IllegalArgumentException.class, () -> LoaderConfig.of(0, 1).withNumWorkers(-1));
        assertThrows(IllegalArgumentException.class, () -> LoaderConfig.of(0, 1).withRank(2, 2));
    }
}
