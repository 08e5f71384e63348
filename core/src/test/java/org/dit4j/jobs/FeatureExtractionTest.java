package org.dit4j.jobs;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.data.Glyphs;
import org.dit4j.eval.Evaluation;
import org.dit4j.eval.FeatureNetwork;
import org.dit4j.eval.FeatureSet;
import org.dit4j.eval.FrechetDistance;
import org.dit4j.eval.Nearest;
import org.dit4j.eval.NpzPictures;
import org.dit4j.eval.Reference;
import org.dit4j.eval.Tap;
import org.dit4j.eval.TinyScript;
import org.dit4j.eval.TorchScriptNetwork;
import org.dit4j.io.FormatException;
import org.dit4j.io.Npz;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FeatureExtractionTest {
    private static final int PICTURES = 2100; // three shards

    @TempDir
    private Path folder;

    private FeatureNetwork network;

    @BeforeEach
    void openNetwork() throws IOException {
        network = TorchScriptNetwork.open(
                TinyScript.moments(folder.resolve("tiny.pt")), TorchScriptNetwork.Input.UNIT, "cpu");
    }

    private FeatureSet features(String name, long seed, int count, int rows) throws IOException {
        try (DatasetPictures pictures = new DatasetPictures(new Glyphs(seed, 16), count, 2)) {
            Path out = folder.resolve(name);
            ShardRunner.run(new FeatureExtraction(pictures, network, rows), out, Progress.NONE);
            return FeatureSet.open(out);
        }
    }

    @Test
    void aJobThatWasEndedGoesOnAndGivesTheSameBytes() throws IOException {
        FeatureSet whole = features("whole", 1, PICTURES, 64);
        assertEquals(PICTURES, whole.count());
        Path out = folder.resolve("ended");
        try (DatasetPictures pictures = new DatasetPictures(new Glyphs(1, 16), PICTURES, 0)) {
            FeatureExtraction job = new FeatureExtraction(pictures, network, 64);
            assertThrows(
                    CancellationException.class,
                    () -> ShardRunner.run(job, out, (done, leftOut) -> {
                        if (done > 1500) throw new CancellationException();
                    }));
            assertThrows(IOException.class, () -> FeatureSet.open(out));
        }
        features("ended", 1, PICTURES, 64);
        for (String file : new String[] {"features-00000.safetensors", "features-00002.safetensors", FeatureSet.INDEX})
            assertArrayEquals(
                    Files.readAllBytes(folder.resolve("whole").resolve(file)), Files.readAllBytes(out.resolve(file)));
        long before = Pointer.totalCount();
        try (TensorScope scope = new TensorScope()) {
            Tensor some = whole.first(Tap.FEATURES, 1500);
            assertArrayEquals(new long[] {1500, 6}, some.shape());
        }
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void statisticsDoNotDependOnTheBatchSize() throws IOException {
        FeatureSet one = features("one", 1, 300, 64), other = features("other", 1, 300, 7);
        double distance = FrechetDistance.of(one.gaussian(Tap.FEATURES), other.gaussian(Tap.FEATURES));
        assertTrue(distance < 1e-9, "" + distance);
        assertThrows(IllegalArgumentException.class, () -> features("one", 2, 300, 64)); // another job's folder
    }

    @Test
    void aPictureIsNearestToItself() throws IOException {
        FeatureSet sample = features("some", 1, 20, 64), reference = features("many", 1, 100, 64);
        long[][] nearest = Nearest.of(sample, reference, 10, 3);
        for (int i = 0; i < 10; i++) assertEquals(i, nearest[i][0]);
        assertThrows(IllegalArgumentException.class, () -> Nearest.of(sample, reference, 21, 3));
    }

    @Test
    void anEvaluationSaysWhatIsWrongWithIt() throws IOException {
        FeatureSet sample = features("sample", 1, 200, 64), reference = features("reference", 2, 300, 64);
        Evaluation figures = Evaluation.of(sample, Reference.of(reference), Evaluation.Options.ALL);
        assertTrue(figures.frechetDistance().orElseThrow() > 0);
        assertTrue(figures.precisionRecall().orElseThrow().precision() > 0.5, "glyphs are alike");
        assertTrue(
                figures.inceptionScore().isEmpty() && figures.spatialDistance().isEmpty());
        assertEquals(1, figures.kernelDistance().orElseThrow().subsets(), "200 are no subset of 1000");
        assertTrue(figures.warnings().toString().contains("200 samples, where papers compare 50,000"));
        Evaluation itself = Evaluation.of(sample, Reference.of(sample), new Evaluation.Options(false, 0, false));
        assertEquals(0, itself.frechetDistance().orElseThrow());
        assertTrue(itself.warnings().toString().contains("the sample itself"));
        FeatureSet few = features("few", 3, 5, 64);
        assertTrue(Evaluation.of(few, Reference.of(reference), Evaluation.Options.ALL)
                .warnings()
                .toString()
                .contains("5 samples are fewer than the 6 features"));
    }

    @Test
    void statisticsThatWereWrittenAreReadAndThoseOfAnotherNetworkRefused() throws IOException {
        FeatureSet set = features("set", 1, 200, 64);
        Path file = folder.resolve("stats.npz");
        Reference.write(file, set);
        Reference read = Reference.read(file, "any");
        assertEquals(
                0,
                FrechetDistance.of(set.gaussian(Tap.FEATURES), read.gaussians().get(Tap.FEATURES)));
        assertEquals(set.origin(), read.origin().orElseThrow());
        assertEquals(200, read.gaussians().get(Tap.FEATURES).count());
        Evaluation.of(set, read, Evaluation.Options.ALL);
        try (FeatureNetwork scaled = TorchScriptNetwork.open(
                folder.resolve("tiny.pt"),
                new TorchScriptNetwork.Input(8, java.util.List.of(0.0, 0.0, 0.0), java.util.List.of(1.0, 1.0, 1.0)),
                "cpu")) {
            network = scaled;
            FeatureSet other = features("scaled", 1, 100, 64);
            String message = assertThrows(
                            IllegalArgumentException.class, () -> Evaluation.of(other, read, Evaluation.Options.ALL))
                    .getMessage();
            assertTrue(message.contains("own size") && message.contains("bilinear 8"), message);
        }
        Reference wide = new Reference(
                Map.of(Tap.FEATURES, new org.dit4j.eval.Gaussian(0, new double[7], new double[49])),
                Optional.empty(),
                Optional.empty());
        assertThrows(IllegalArgumentException.class, () -> Evaluation.of(set, wide, Evaluation.Options.ALL));
    }

    @Test
    void packedPicturesAreReadInAnyOrder() throws IOException {
        byte[] levels = new byte[600 * 2 * 3 * 3];
        new java.util.Random(3).nextBytes(levels);
        Path file = folder.resolve("pictures.npz");
        try (TensorScope scope = new TensorScope()) {
            Npz.write(file, Map.of(NpzPictures.KEY, Tensors.of(levels, 600, 2, 3, 3)), true);
        }
        try (NpzPictures pictures = NpzPictures.open(file);
                TensorScope scope = new TensorScope()) {
            assertEquals(600, pictures.size());
            for (long from : new long[] {0, 400, 3}) {
                byte[] read = Tensors.toBytes(pictures.read(from, 2));
                for (int i = 0; i < read.length; i++) {
                    int picture = i / 18, channel = i % 18 / 6, pixel = i % 6;
                    assertEquals(levels[(int) (from + picture) * 18 + pixel * 3 + channel], read[i]);
                }
            }
            assertThrows(IndexOutOfBoundsException.class, () -> pictures.read(599, 2));
        }
        assertThrows(FormatException.class, () -> NpzPictures.open(statistics()));
    }

    private Path statistics() throws IOException {
        Path file = folder.resolve("statistics.npz");
        try (TensorScope scope = new TensorScope()) {
            Npz.write(file, Map.of("mu", Tensors.of(new double[] {1}, 1)), false);
        }
        return file;
    }
}
