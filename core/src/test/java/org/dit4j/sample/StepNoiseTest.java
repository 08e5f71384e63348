package org.dit4j.sample;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class StepNoiseTest {
    private TensorScope scope;

    @BeforeEach
    void openScope() {
        scope = new TensorScope();
    }

    @AfterEach
    void closeScope() {
        scope.close();
    }

    private static Tensor latents(long n) {
        return Tensors.of(new float[(int) n * 64], n, 4, 4, 4);
    }

    private static TorchNoise torchNoise(long seed, boolean guided) {
        return new TorchNoise(seed, Backend.device("cpu"), guided);
    }

    @Test
    void noiseByIndexDependsOnSeedIndexAndStepAlone() {
        float[] two = Tensors.toFloats(StepNoise.byIndex(1, 5, 6).draw(3, latents(2)));
        float[] one = Tensors.toFloats(StepNoise.byIndex(1, 6).draw(3, latents(1)));
        assertArrayEquals(one, Arrays.copyOfRange(two, 64, 128));
        assertFalse(Arrays.equals(one, Tensors.toFloats(StepNoise.byIndex(1, 6).draw(4, latents(1)))));
        assertFalse(Arrays.equals(one, Tensors.toFloats(StepNoise.byIndex(2, 6).draw(3, latents(1)))));
        assertFalse(Arrays.equals(one, Tensors.toFloats(StepNoise.byIndex(1, 7).draw(3, latents(1)))));
    }

    @Test
    void noiseForOtherRowsThanTheLatentsIsRefused() {
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> StepNoise.byIndex(1, 5).draw(0, latents(2)))
                .getMessage();
        assertTrue(message.contains("1 images") && message.contains("[2, 4, 4, 4]"), message);
    }

    @Test
    void theGeneratorIsThatOfManualSeedButItsOwn() {
        torch.manual_seed(5);
        float[] expected = Tensors.toFloats(torch.torch_randn(2, 4, 4, 4));
        try (TorchNoise noise = torchNoise(5, false)) {
            torch.torch_randn(100); // nobody else's numbers disturb it
            assertArrayEquals(expected, Tensors.toFloats(noise.draw(0, latents(2))));
        }
    }

    @Test
    void aGuidedBatchDrawsTwiceTheRowsAndUsesTheFirst() {
        try (TorchNoise guided = torchNoise(5, true);
                TorchNoise twice = torchNoise(5, false)) {
            for (int step = 0; step < 2; step++) {
                Tensor both = twice.normal(4, 4, 4, 4);
                assertArrayEquals(
                        Tensors.toFloats(both.narrow(0, 0, 2)), Tensors.toFloats(guided.draw(step, latents(2))));
            }
        }
    }

    @Test
    void aSkippedStepDrawsAllTheSame() {
        try (TorchNoise skipping = torchNoise(5, true);
                TorchNoise drawing = torchNoise(5, true)) {
            skipping.skip(0, latents(2));
            drawing.draw(0, latents(2));
            assertArrayEquals(
                    Tensors.toFloats(drawing.draw(1, latents(2))), Tensors.toFloats(skipping.draw(1, latents(2))));
        }
    }
}
