package org.dit4j.vae;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.RecipeWeights;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class LatentSpaceTest {
    private static final AutoencoderKlConfig CONFIG = new AutoencoderKlConfig(
            3, 3, 4, List.of(32, 64), 1, 32, 64, true, true, true, LatentScaling.STABLE_DIFFUSION);

    private static AutoencoderKl original, rounded, other;

    @BeforeAll
    static void make() {
        original = codec(3);
        rounded = codec(3);
        other = codec(4);
        try (TensorScope scope = new TensorScope()) { // as the fp16 variant of an autoencoder comes
            Map<String, Tensor> weights = StateDict.of(rounded);
            weights.replaceAll((name, tensor) -> tensor.to(ScalarType.Half).to(ScalarType.Float));
            StateDict.load(rounded, weights);
        }
    }

    private static AutoencoderKl codec(int seed) {
        AutoencoderKl codec = CONFIG.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(codec), seed);
        }
        return codec;
    }

    @AfterAll
    static void free() {
        for (AutoencoderKl codec : List.of(original, rounded, other)) codec.close();
    }

    @Test
    void aRoundedCopyIsKnownByWhatItsEncoderMakesOfAPicture() {
        LatentSpace space = LatentSpace.of(original);
        assertNotEquals(space.encoderDigest(), rounded.encoderDigest(), "else the digest alone would do");
        assertDoesNotThrow(() -> space.requireThatOf(rounded, "the latents are of", ""));
        assertTrue(space.isLike(LatentSpace.of(rounded)));
        assertTrue(LatentSpace.of(rounded).isLike(space));
    }

    @Test
    void anotherEncoderOrScaleIsRefused() {
        LatentSpace space = LatentSpace.of(original);
        assertTrue(
                assertThrows(IllegalArgumentException.class, () -> space.requireThatOf(other, "the latents are of", ""))
                        .getMessage()
                        .contains("the latents are of another autoencoder"));
        assertFalse(space.isLike(LatentSpace.of(other)));
        LatentSpace scaled = new LatentSpace(space.encoderDigest(), new LatentScaling(0.5, 0), space.probe());
        assertThrows(IllegalArgumentException.class, () -> scaled.requireThatOf(rounded, "the latents are of", ""));
    }

    @Test
    void whereNobodyTookAProbeTheDigestAloneDecides() {
        LatentSpace old = new LatentSpace(original.encoderDigest(), original.scaling());
        assertDoesNotThrow(() -> old.requireThatOf(original, "the latents are of", ""));
        assertThrows(IllegalArgumentException.class, () -> old.requireThatOf(rounded, "the latents are of", ""));
        assertEquals(old, LatentSpace.of(original), "files from before are of the same space");
    }

    @Test
    void itIsReadFromFilesWithAndWithoutAProbe() throws IOException {
        ObjectMapper json = new ObjectMapper();
        LatentSpace space = LatentSpace.of(original);
        LatentSpace read = json.readValue(json.writeValueAsString(space), LatentSpace.class);
        assertEquals(space.probe(), read.probe());
        LatentSpace old = new LatentSpace(original.encoderDigest(), original.scaling());
        assertFalse(json.writeValueAsString(old).contains("probe"));
        assertEquals(old, json.readValue(json.writeValueAsString(old), LatentSpace.class));
    }

    @Test
    void computingInBfloat16IsTheSameEncoder() {
        LatentSpace space = LatentSpace.of(original);
        AutoencoderKl low = codec(3);
        try (TensorScope scope = new TensorScope()) {
            low.to(Backend.device("cpu"), ScalarType.BFloat16);
        }
        assertTrue(LatentProbe.close(space.probe(), low.probe()));
        low.close();
    }
}
