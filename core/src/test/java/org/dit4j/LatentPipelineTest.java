package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.vae.LinearRgb;
import org.dit4j.vae.TinyAutoencoder;
import org.dit4j.vae.TinyAutoencoderConfig;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class LatentPipelineTest {
    private static final SampleRequest REQUEST =
            SampleRequest.ofLabels(0, 1).withSteps("ddim2").withGuidance(2);

    private static DiT network;
    private static TinyAutoencoder codec;

    @BeforeAll
    static void make() {
        network = DiTConfig.of("DiT-S/2")
                .withInputSize(4, 4)
                .withInChannels(4)
                .withClasses(2, 0.1)
                .network();
        codec = new TinyAutoencoderConfig(4).network();
        decodedBy(byCodec()).sample(REQUEST); // warms up, so that leaks are leaks
    }

    @AfterAll
    static void free() {
        codec.close();
        network.close();
    }

    private static DiTPipeline decodedBy(PictureDecoder decoder) {
        return DiTPipeline.of(network, DiffusionConfig.PUBLISHED, List.of("a", "b"), "cpu", decoder);
    }

    private static PictureDecoder byCodec() {
        return PictureDecoder.of(codec, Backend.device("cpu"));
    }

    @Test
    void theCodecMakesPicturesOfLatents() {
        List<Integer> previews = new ArrayList<>();
        DiTPipeline pipeline = decodedBy(byCodec());
        var pictures = pipeline.sample(
                REQUEST,
                step -> previews.add(pipeline.decoder()
                        .orElseThrow()
                        .pictures(step.x0())
                        .get(0)
                        .getWidth()));
        assertEquals(2, pictures.size());
        assertEquals(32, pictures.get(0).getWidth());
        assertEquals(List.of(32, 32), previews);
    }

    @Test
    void aProjectionShowsLatentsPixelByPixel() {
        LinearRgb grey = new LinearRgb(4, Collections.nCopies(15, 0.0));
        var picture = decodedBy(PictureDecoder.of(grey)).sample(REQUEST).get(0);
        assertEquals(4, picture.getWidth());
        assertEquals(0x808080, picture.getRGB(1, 2) & 0xffffff);
    }

    @Test
    void latentsWithoutADecoderAreRefused() {
        DiTPipeline pipeline = decodedBy(null);
        IllegalStateException thrown = assertThrows(IllegalStateException.class, () -> pipeline.sample(REQUEST));
        assertTrue(thrown.getMessage().contains("give the autoencoder"), thrown.getMessage());
        LinearRgb other = new LinearRgb(3, Collections.nCopies(12, 0.0));
        assertThrows(IllegalArgumentException.class, () -> decodedBy(PictureDecoder.of(other)));
    }

    @Test
    void drawingThroughACodecFreesAll() {
        try (DiTPipeline pipeline = decodedBy(byCodec())) {
            pipeline.sample(REQUEST);
            long before = NativeObjects.settled();
            pipeline.sample(REQUEST);
            assertEquals(before, Pointer.totalCount());
        }
    }
}
