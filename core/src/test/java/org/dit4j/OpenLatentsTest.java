package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.checkpoint.DiffusersFolder;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.checkpoint.VaeCheckpoint;
import org.dit4j.io.Images;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.sample.StepListener;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentScaling;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model on latents: where its autoencoder comes from, and that pictures come out. */
class OpenLatentsTest {
    private static final DiTConfig SMALL =
            DiTConfig.of("DiT-S/2").withInputSize(8, 8).withClasses(3, 0.1).withTrunk(32, 1, 4);
    private static final SampleRequest REQUEST =
            SampleRequest.of("0", "2").withSteps(3).withSampler(SampleRequest.Sampler.DDIM, 0);

    @TempDir
    static Path folder;

    private static Path model, vae, otherVae, diffusers;

    @BeforeAll
    static void write() throws IOException {
        model = folder.resolve("model.safetensors");
        vae = folder.resolve("vae");
        otherVae = folder.resolve("other-vae");
        diffusers = folder.resolve("diffusers");
        writeVae(vae, 4);
        writeVae(otherVae, 8);
        DiT network = SMALL.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(network), 8);
        }
        DiTCheckpoint.write(model, DiTWeights.of(network, List.of(), ""));
        DiffusersFolder.write(diffusers, DiTWeights.of(network, List.of(), ""), Optional.of(vae));
        network.close();
    }

    private static void writeVae(Path path, int channels) throws IOException {
        AutoencoderKl codec = new AutoencoderKlConfig(
                        3, 3, channels, List.of(8, 8), 1, 4, 16, true, true, true, LatentScaling.STABLE_DIFFUSION)
                .network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(codec), 9);
        }
        VaeCheckpoint.write(path, codec);
        codec.close();
    }

    private static DiTPipeline open(Path path, OpenOptions options) throws IOException {
        return DiTPipeline.open(path, options, "cpu", Precision.FP32);
    }

    private static byte[] draw(DiTPipeline pipeline, SampleRequest request) {
        byte[][] bytes = new byte[1][];
        pipeline.sample(request, StepListener.NONE, batch -> bytes[0] = Images.toRgbBytes(batch));
        return bytes[0];
    }

    @Test
    void withoutAnAutoencoderItSaysWhatToGive() throws IOException {
        try (DiTPipeline pipeline = open(model, OpenOptions.DEFAULT)) {
            assertFalse(pipeline.drawsPictures());
            String message = assertThrows(IllegalStateException.class, () -> pipeline.sample(REQUEST))
                    .getMessage();
            assertTrue(message.contains("latents of 4 channels") && message.contains("--vae"), message);
        }
    }

    @Test
    void anAutoencoderOfOtherLatentsIsRefused() {
        String message = assertThrows(
                        IllegalArgumentException.class, () -> open(model, OpenOptions.DEFAULT.withVae(otherVae)))
                .getMessage();
        assertTrue(message.contains("draws 4 channels, the autoencoder has latents of 8"), message);
    }

    @Test
    void picturesAreDecodedLatentsAndSlicesChangeNothing() throws IOException {
        try (DiTPipeline pipeline = DiTPipeline.open(model, OpenOptions.DEFAULT.withVae(vae), "cpu", Precision.FP32)) {
            List<BufferedImage> pictures = pipeline.sample(REQUEST);
            assertEquals(2, pictures.size());
            assertEquals(16, pictures.get(0).getWidth(), "the autoencoder doubles 8");
            byte[] both = draw(pipeline, REQUEST);
            // five pictures are decoded in two slices; the first two are the same
            SampleRequest five = SampleRequest.ofLabels(0, 2, 1, 1, 1)
                    .withSeed(REQUEST.seed())
                    .withSteps(REQUEST.steps())
                    .withSampler(REQUEST.sampler(), 0)
                    .withGuidance(REQUEST.guidance());
            byte[] more = Arrays.copyOf(draw(pipeline, five), both.length);
            int largest = 0;
            for (int i = 0; i < both.length; i++) largest = Math.max(largest, Math.abs(both[i] - more[i]));
            // float32 sums in another order for another batch size may cross a level
            assertTrue(largest <= 1, "levels differ by " + largest);
        }
    }

    @Test
    void aDiffusersFolderBringsItsAutoencoderAndItsProfile() throws IOException {
        try (DiTPipeline theirs = open(diffusers, OpenOptions.DEFAULT);
                DiTPipeline asOfficial = open(diffusers, OpenOptions.DEFAULT.withProfile(Profile.OFFICIAL));
                DiTPipeline official = open(model, OpenOptions.DEFAULT.withVae(vae))) {
            byte[] pictures = draw(theirs, REQUEST);
            assertFalse(Arrays.equals(pictures, draw(official, REQUEST)));
            assertArrayEquals(draw(official, REQUEST), draw(asOfficial, REQUEST));
            // under diffusers' arithmetic every channel is guided, asked for or not
            assertArrayEquals(pictures, draw(theirs, REQUEST.withAllChannelsGuided()));
        }
    }

    @Test
    void noiseOfTorchRepeatsFromItsSeed() throws IOException {
        try (DiTPipeline pipeline = open(model, OpenOptions.DEFAULT.withVae(vae))) {
            SampleRequest request = REQUEST.withTorchNoise();
            assertArrayEquals(draw(pipeline, request), draw(pipeline, request));
            assertFalse(Arrays.equals(draw(pipeline, request), draw(pipeline, REQUEST)));
            int[] many = new int[65];
            assertThrows(
                    IllegalArgumentException.class,
                    () -> pipeline.sample(SampleRequest.ofLabels(many).withTorchNoise()));
        }
    }

    @Test
    void halfPrecisionDrawsAboutTheSame() throws IOException {
        try (DiTPipeline exact = open(model, OpenOptions.DEFAULT.withVae(vae));
                DiTPipeline half = DiTPipeline.open(model, OpenOptions.DEFAULT.withVae(vae), "cpu", Precision.BF16)) {
            float[][] drawn = new float[2][];
            exact.sample(REQUEST, StepListener.NONE, batch -> drawn[0] = Tensors.toFloats(batch));
            half.sample(REQUEST, StepListener.NONE, batch -> drawn[1] = Tensors.toFloats(batch));
            double difference = 0, norm = 0;
            for (int i = 0; i < drawn[0].length; i++) {
                difference += Math.pow(drawn[0][i] - drawn[1][i], 2);
                norm += Math.pow(drawn[0][i], 2);
            }
            // bfloat16 keeps 8 bits; three steps and an autoencoder of random weights add up
            assertTrue(Math.sqrt(difference / norm) < 0.1, "relative error " + Math.sqrt(difference / norm));
        }
    }

    @Test
    void openingDrawingAndClosingFreeAllTheyMake() throws IOException {
        drawOnce();
        long before = NativeObjects.settled();
        drawOnce();
        assertEquals(before, Pointer.totalCount());
    }

    private static void drawOnce() throws IOException {
        try (DiTPipeline pipeline = open(diffusers, OpenOptions.DEFAULT)) {
            Tensor[] last = new Tensor[1];
            pipeline.sample(REQUEST, StepListener.NONE, batch -> last[0] = batch);
            assertTrue(last[0].isNull(), "a batch lives as long as the call");
        }
    }
}
