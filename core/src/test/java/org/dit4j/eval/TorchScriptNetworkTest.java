package org.dit4j.eval;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.FormatException;
import org.dit4j.io.Sha256;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchScriptNetworkTest {
    @TempDir
    private Path folder;

    private static Tensor pictures() {
        return InceptionFixture.pictures(2, 4, 4, 1);
    }

    @Test
    void theNetworkGetsNormalisedPixelsAndIsNamedByFileAndDigest() throws IOException {
        Path file = TinyScript.moments(folder.resolve("tiny.pt"));
        TorchScriptNetwork.Input input =
                new TorchScriptNetwork.Input(0, List.of(0.5, 0.0, 0.0), List.of(1 / 255.0, 1.0, 1.0));
        try (TorchScriptNetwork network = TorchScriptNetwork.open(file, input, "cpu")) {
            long before = Pointer.totalCount();
            try (TensorScope scope = new TensorScope()) {
                Tensor pictures = pictures();
                float[] features = Tensors.toFloats(network.features(pictures).get(Tap.FEATURES));
                double red = Tensors.toDoubles(pictures.narrow(0, 0, 1)
                        .narrow(1, 0, 1)
                        .to(org.bytedeco.pytorch.global.torch.ScalarType.Double)
                        .mean())[0];
                assertEquals(red - 127.5, features[0], 1e-3);
                assertEquals(12, features.length);
            }
            assertEquals(before, Pointer.totalCount());
            assertEquals("tiny.pt", network.space().network());
            assertEquals(Sha256.hex(file), network.space().weights());
        }
    }

    @Test
    void resizingIsThatOfTheAskedSizeAndAConstantStaysIt() throws IOException {
        Path file = TinyScript.write(folder.resolve("size.pt"), "return x.flatten(1)");
        try (TensorScope scope = new TensorScope();
                TorchScriptNetwork network = TorchScriptNetwork.open(
                        file, new TorchScriptNetwork.Input(2, List.of(0.0, 0.0, 0.0), List.of(1.0, 1.0, 1.0)), "cpu")) {
            byte[] grey = new byte[3 * 5 * 5];
            java.util.Arrays.fill(grey, (byte) 51);
            float[] features = Tensors.toFloats(
                    network.features(Tensors.of(grey, 1, 3, 5, 5)).get(Tap.FEATURES));
            float[] expected = new float[12];
            java.util.Arrays.fill(expected, 0.2f);
            assertArrayEquals(expected, features, 1e-6f);
        }
    }

    @Test
    void whereFeaturesHaveToBeAskedForTheyAre() throws IOException {
        Path file = TinyScript.write(
                folder.resolve("nvidia.pt"),
                "x: Tensor, return_features: bool = False",
                "return x.mean([2, 3]) if return_features else x.mean([1, 2, 3])");
        try (TensorScope scope = new TensorScope();
                TorchScriptNetwork network = TorchScriptNetwork.open(file, TorchScriptNetwork.Input.UNIT, "cpu")) {
            assertArrayEquals(
                    new long[] {2, 3},
                    network.features(pictures()).get(Tap.FEATURES).shape());
        }
    }

    @Test
    void whatIsNoFeatureNetworkIsRefused() throws IOException {
        Path text = folder.resolve("text.pt");
        Files.writeString(text, "no network");
        assertTrue(assertThrows(
                        FormatException.class,
                        () -> TorchScriptNetwork.open(text, TorchScriptNetwork.Input.UNIT, "cpu"))
                .getMessage()
                .contains("torch.jit.save"));
        Path flat = TinyScript.write(folder.resolve("flat.pt"), "return x.mean()");
        try (TensorScope scope = new TensorScope();
                TorchScriptNetwork network = TorchScriptNetwork.open(flat, TorchScriptNetwork.Input.UNIT, "cpu")) {
            String message = assertThrows(IllegalArgumentException.class, () -> network.features(pictures()))
                    .getMessage();
            assertTrue(message.contains("features are (N, D)"), message);
        }
        assertThrows(
                IllegalArgumentException.class,
                () -> new TorchScriptNetwork.Input(0, List.of(0.0), List.of(1.0, 1.0, 1.0)));
    }
}
