package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.sample.StepListener;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DiTPipelineTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 12, 4, 3, 32, 2, 2, 4, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);
    private static final List<String> NAMES = List.of("ash", "birch", "cedar", "elm", "fir");
    private static final int PIXELS = 3 * 8 * 12;

    private static final DiffusionConfig PUBLISHED = DiffusionConfig.PUBLISHED;

    private static DiT network;
    private static DiTPipeline pipeline;

    @TempDir
    Path folder;

    @BeforeAll
    static void open() {
        network = random(TINY);
        pipeline = DiTPipeline.of(network, PUBLISHED, NAMES, "cpu", PictureDecoder.PIXELS);
    }

    @AfterAll
    static void close() {
        pipeline.close();
        network.close();
    }

    /** A fresh network predicts zero for every class; this one does not. */
    private static DiT random(DiTConfig config) {
        DiT random = config.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(random), 3);
        }
        return random;
    }

    private static SampleRequest request(String... classes) {
        return SampleRequest.of(classes).withSteps(4).withGuidance(2);
    }

    /** What the solver ends with, (N, C, H, W): finer than the pictures' 256 levels. */
    private static float[] latents(DiTPipeline asked, SampleRequest request) {
        List<float[]> last = new ArrayList<>();
        asked.sample(request, step -> {
            if (step.number() == step.numSteps()) last.add(Tensors.toFloats(step.x()));
            return true;
        });
        return last.get(0);
    }

    private static float[] row(float[] latents, int row) {
        return Arrays.copyOfRange(latents, row * PIXELS, (row + 1) * PIXELS);
    }

    private static double distance(float[] a, float[] b) {
        double most = 0;
        for (int i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
        return most;
    }

    @Test
    void eightThreadsAtOnceGetThePicturesThatEachWouldGetAlone() throws Exception {
        List<SampleRequest> requests = new ArrayList<>();
        for (int i = 0; i < 8; i++)
            requests.add(request(NAMES.get(i % 5), NAMES.get(i / 2 % 5))
                    .withSeed(i)
                    .withSampler(i % 2 == 0 ? Sampler.DDPM : Sampler.DDIM, 0.5));
        List<float[]> alone =
                requests.stream().map(request -> latents(pipeline, request)).toList();
        assertFalse(Arrays.equals(alone.get(0), alone.get(1)));
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            CyclicBarrier together = new CyclicBarrier(8);
            List<Future<float[]>> answers = new ArrayList<>();
            for (SampleRequest request : requests)
                answers.add(threads.submit(() -> {
                    float[] latents = null;
                    for (int round = 0; round < 3; round++) {
                        together.await();
                        latents = latents(pipeline, request);
                    }
                    return latents;
                }));
            for (int i = 0; i < 8; i++)
                assertArrayEquals(alone.get(i), answers.get(i).get(), "thread " + i);
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void aPictureIsTheSameWhateverElseIsInItsBatch() {
        float[] one = latents(pipeline, request("elm", "ash", "fir"));
        float[] other = latents(pipeline, request("elm", "birch", "cedar"));
        assertArrayEquals(row(one, 0), row(other, 0));
        assertFalse(Arrays.equals(row(one, 1), row(other, 1)));
        // at another batch shape LibTorch may sum in another order; float32, four steps
        assertEquals(0, distance(row(one, 0), latents(pipeline, request("elm"))), 1e-5);
    }

    @Test
    void seedClassAndPlaceDecideThePicture() {
        float[] elm = latents(pipeline, request("elm", "elm"));
        assertArrayEquals(elm, latents(pipeline, request("3", "ELM")));
        assertTrue(distance(row(elm, 0), row(elm, 1)) > 0.1, "two of a class are two pictures");
        assertTrue(distance(elm, latents(pipeline, request("ash", "ash"))) > 1e-3);
        assertTrue(distance(elm, latents(pipeline, request("elm", "elm").withSeed(1))) > 0.1);
        assertTrue(distance(elm, latents(pipeline, request("elm", "elm").withGuidance(1))) > 1e-3);
    }

    @Test
    void picturesHaveTheModelsSizeAndTheLatentsColours() {
        List<BufferedImage> pictures = pipeline.sample(request("ash", "fir"));
        float[] latents = latents(pipeline, request("ash", "fir"));
        assertEquals(2, pictures.size());
        assertEquals(12, pictures.get(1).getWidth());
        assertEquals(8, pictures.get(1).getHeight());
        byte[] rgb = Images.toRgbBytes(pictures.get(1));
        int red = Math.max(0, Math.min(255, (int) (127.5f * latents[PIXELS] + 128)));
        assertEquals(red, rgb[0] & 255);
    }

    @Test
    void moreThanABatchIsDrawnInSeveralAndEachPictureKeepsItsPlace() {
        int count = 64 + 2;
        SampleRequest many = SampleRequest.of(Collections.nCopies(count, ClassChoice.of("cedar")))
                .withSteps(2);
        List<Integer> batches = new ArrayList<>();
        List<BufferedImage> pictures = pipeline.sample(many, step -> {
            if (step.number() == 1) batches.add((int) step.x().size(0));
            return true;
        });
        assertEquals(List.of(64, 2), batches);
        assertEquals(count, pictures.size());
        assertFalse(
                Arrays.equals(Images.toRgbBytes(pictures.get(0)), Images.toRgbBytes(pictures.get(count - 2))),
                "the second batch has noise of its own");
    }

    @Test
    void aListenerHearsEveryStepAndMayEndThem() {
        List<Integer> timesteps = new ArrayList<>();
        pipeline.sample(request("ash"), step -> timesteps.add((int) step.timestep()));
        assertEquals(List.of(999, 666, 333, 0), timesteps);
        assertThrows(CancellationException.class, () -> pipeline.sample(request("ash"), step -> step.number() < 2));
    }

    @Test
    void samplingFreesEverythingThatItMakes() throws IOException {
        Path file = folder.resolve("tiny.safetensors");
        DiTCheckpoint.write(file, network, NAMES, PUBLISHED, "");
        Runnable everything = () -> {
            try (DiTPipeline opened = DiTPipeline.open(file, "cpu", Precision.AUTOCAST)) {
                opened.sample(request("ash").withSampler(Sampler.DDIM, 0.5));
                pipeline.sample(request("ash", "fir").withAllChannelsGuided().withGuidanceWithin(100, 700));
                assertThrows(CancellationException.class, () -> pipeline.sample(request("elm"), step -> false));
                assertThrows(IllegalArgumentException.class, () -> pipeline.sample(request("oak")));
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        };
        everything.run();
        long before = NativeObjects.settled();
        everything.run();
        assertEquals(before, Pointer.totalCount());
        long[] inside = {0};
        pipeline.sample(request("ash"), step -> {
            inside[0] = NativeObjects.settled();
            return true;
        });
        assertTrue(inside[0] > before, "or the counter is blind");
    }

    @ParameterizedTest
    @EnumSource(Precision.class)
    void aCheckpointDrawsTheSamePictureInEveryPrecision(Precision precision) throws IOException {
        Path file = folder.resolve("tiny.safetensors");
        DiTCheckpoint.write(file, network, NAMES, PUBLISHED, "random");
        try (DiTPipeline opened = DiTPipeline.open(file, "cpu", precision)) {
            assertEquals(TINY, opened.config());
            assertEquals(NAMES, opened.classNames().names());
            assertEquals("random", opened.weights());
            float[] exact = latents(pipeline, request("birch")), rough = latents(opened, request("birch"));
            double error = relativeError(exact, rough);
            // bfloat16 rounds to 4e-3, a dozen products in a row; guidance and the steps enlarge it. Another class is
            // far off.
            if (precision == Precision.FP32) assertEquals(0, error);
            else assertTrue(error > 1e-4 && error < 0.1, "error " + error);
            assertTrue(relativeError(exact, latents(pipeline, request("ash"))) > 0.3);
        }
    }

    private static double relativeError(float[] exact, float[] rough) {
        double difference = 0, norm = 0;
        for (int i = 0; i < exact.length; i++) {
            difference += Math.pow(exact[i] - rough[i], 2);
            norm += Math.pow(exact[i], 2);
        }
        return Math.sqrt(difference / norm);
    }

    @Test
    void anUnconditionalModelTakesEmptyNames() {
        try (DiT unconditional = random(TINY.withClasses(0, 0.1));
                DiTPipeline asked = DiTPipeline.of(unconditional, PUBLISHED, List.of(), "cpu", PictureDecoder.PIXELS)) {
            assertEquals(
                    2,
                    asked.sample(SampleRequest.of("", "").withSteps(2).withGuidance(1))
                            .size());
            assertThrows(
                    IllegalStateException.class,
                    () -> asked.sample(SampleRequest.of("").withSteps(2).withGuidance(3)));
        }
    }

    @Test
    void aCheckpointSaysWhatItsNetworkPredicts() throws IOException {
        DiffusionConfig other = DiffusionConfig.of(NoiseSchedule.COSINE, 1000, Prediction.X0, Variance.FIXED_SMALL);
        Path file = folder.resolve("fixed.safetensors");
        try (DiT fixed = random(TINY.withLearnSigma(false));
                DiTPipeline asked = DiTPipeline.of(fixed, other, NAMES, "cpu", PictureDecoder.PIXELS)) {
            DiTCheckpoint.write(file, fixed, NAMES, other, "");
            try (DiTPipeline opened = DiTPipeline.open(file, "cpu", Precision.FP32)) {
                assertArrayEquals(latents(asked, request("ash")), latents(opened, request("ash")));
                assertEquals(other, opened.diffusion());
            }
            Map<String, String> metadata = DiTCheckpoint.describe(file).metadata();
            for (String wrong : List.of(
                    PUBLISHED.toJson().toString(),
                    other.toJson().put("version", 2).toString(),
                    other.toJson().put("process", "flow").toString(),
                    "{",
                    "linear 1000 noise",
                    "linear 1000 sound learned_range")) {
                metadata.put("dit4j.diffusion", wrong);
                try (TensorScope scope = new TensorScope()) {
                    Safetensors.write(file, StateDict.of(fixed), metadata);
                }
                assertThrows(FormatException.class, () -> DiTPipeline.open(file, "cpu", Precision.FP32), wrong);
            }
            metadata.put("dit4j.diffusion", "squaredcos_cap_v2 1000 x0 fixed_small"); // as version 0.1.0 wrote it
            try (TensorScope scope = new TensorScope()) {
                Safetensors.write(file, StateDict.of(fixed), metadata);
            }
            assertEquals(other, DiTCheckpoint.describe(file).diffusion());
        }
    }

    @Test
    void mistakesInARequestAreRefusedBeforeAnythingIsDrawn() {
        StepListener never = step -> {
            throw new AssertionError("a step was taken");
        };
        String message = assertThrows(
                        IllegalArgumentException.class, () -> pipeline.sample(request("ash", "oak"), never))
                .getMessage();
        assertEquals("unknown class \"oak\"; known are [ash, birch, cedar, elm, fir]", message);
        assertThrows(
                IllegalArgumentException.class,
                () -> pipeline.sample(request("ash").withSteps("some"), never));
        assertThrows(IllegalArgumentException.class, () -> SampleRequest.of());
        assertThrows(IllegalArgumentException.class, () -> request("ash").withGuidance(Double.NaN));
        assertThrows(IllegalArgumentException.class, () -> request("ash").withSampler(Sampler.DDIM, 2));
        assertThrows(IllegalArgumentException.class, () -> request("ash").withGuidanceWithin(2, 1));
    }

    @Test
    void aPathWithoutACheckpointIsRefusedWithWhatItShouldBe() throws IOException {
        assertThrows(NoSuchFileException.class, () -> DiTPipeline.open(folder.resolve("none")));
        String message = assertThrows(FormatException.class, () -> DiTPipeline.open(folder))
                .getMessage();
        assertTrue(message.startsWith(folder + ": holds no checkpoint"), message);
        Path text = Files.writeString(folder.resolve("a.safetensors"), "not at all");
        assertThrows(FormatException.class, () -> DiTPipeline.open(text));
    }

    @Test
    void aPartDrawsWhatTheWholeDrawsOfIt() {
        SampleRequest whole = request("elm", "ash", "fir", "elm").withBatchSize(2);
        List<float[]> batches = new ArrayList<>();
        pipeline.sampleLatents(whole, StepListener.NONE, batch -> batches.add(Tensors.toFloats(batch)));
        assertEquals(2, batches.size());
        float[][] part = new float[1][];
        pipeline.sampleLatents(whole.part(2, 2), StepListener.NONE, batch -> part[0] = Tensors.toFloats(batch));
        assertArrayEquals(batches.get(1), part[0]);
    }

    @Test
    void withoutAClassTheNullLabelIsDrawn() {
        float[] none = latents(pipeline, SampleRequest.unconditional(1).withSteps(4));
        float[] guided = latents(
                pipeline,
                SampleRequest.of(List.of(ClassChoice.none())).withSteps(4).withGuidance(3));
        assertEquals(0, distance(none, guided), 1e-5, "guidance away from nothing towards nothing");
        assertTrue(distance(none, latents(pipeline, request("elm").withGuidance(1))) > 1e-3);
    }

    @Test
    void numbersThatAreNoneAreNoPicture() {
        try (DiT broken = random(TINY)) {
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                StateDict.of(broken).get("x_embedder.proj.bias").fill_(new Scalar(Float.NaN));
            }
            try (DiTPipeline asked = DiTPipeline.of(broken, PUBLISHED, NAMES, "cpu", PictureDecoder.PIXELS)) {
                String message = assertThrows(IllegalStateException.class, () -> asked.sample(request("ash")))
                        .getMessage();
                assertTrue(message.contains("NaN"), message);
            }
        }
    }

    @Test
    void closingEndsWhatDrawsAndRefusesWhatComes() throws Exception {
        Path file = folder.resolve("closed.safetensors");
        DiTCheckpoint.write(file, network, NAMES, PUBLISHED, "");
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            for (int round = 0; round < 10; round++) {
                DiTPipeline opened = DiTPipeline.open(file, "cpu", Precision.FP32);
                CountDownLatch drawing = new CountDownLatch(4);
                List<Future<?>> all = new ArrayList<>();
                for (int i = 0; i < 4; i++)
                    all.add(threads.submit(() -> opened.sample(request("ash").withSteps(1000), step -> {
                        if (step.number() == 1) drawing.countDown();
                        return true;
                    })));
                drawing.await();
                opened.close();
                for (Future<?> one : all) {
                    Throwable cause =
                            assertThrows(ExecutionException.class, one::get).getCause();
                    assertTrue(cause instanceof CancellationException, cause.toString());
                }
                assertThrows(IllegalStateException.class, () -> opened.sample(request("ash")));
                opened.close();
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
