package org.dit4j.eval;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.QualifiedName;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.Sha256;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InceptionWeightsTest {
    @TempDir
    private Path folder;

    private static Map<String, Tensor> weights() {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        weights.put("Mixed_5b.branch1x1.conv.weight", torch.randn(3, 2, 1, 1));
        weights.put("fc.bias", torch.randn(5));
        return weights;
    }

    private static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((name, tensor) ->
                assertArrayEquals(Tensors.toFloats(tensor), Tensors.toFloats(actual.get(name)), name));
    }

    @Test
    void anAbsentFileIsAskedForByNameSizeDigestAndPlace() {
        String message = assertThrows(
                        NoSuchFileException.class, () -> InceptionWeights.read(folder.resolve("none.pth"), false))
                .getMessage();
        for (String part : new String[] {
            "pt_inception-2015-12-05-6726825d.pth", "95628359 bytes", InceptionWeights.PUBLISHED, ".cache", "dit4j"
        }) assertTrue(message.contains(part), message);
    }

    @Test
    void otherWeightsAreRefusedUnlessTheyAreAskedFor() throws IOException {
        Path file = folder.resolve("weights.pth");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> weights = weights();
            TorchFile.write(file, weights, Map.of());
            String message = assertThrows(FormatException.class, () -> InceptionWeights.read(file, false))
                    .getMessage();
            assertTrue(message.contains(Sha256.hex(file)) && message.contains(InceptionWeights.PUBLISHED), message);
            InceptionWeights read = InceptionWeights.read(file, true);
            assertEquals(Sha256.hex(file), read.digest());
            assertSame(weights, read.tensors());
            Path safe = folder.resolve("weights.safetensors");
            Safetensors.write(safe, weights, Map.of());
            assertSame(weights, InceptionWeights.read(safe, true).tensors());
        }
    }

    @Test
    void aTorchScriptArchiveHasTheSameNames() throws IOException {
        Path file = folder.resolve("weights.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> weights = weights();
            JitModule root = new JitModule(new QualifiedName("Root"));
            JitModule block = new JitModule(new QualifiedName("Block")),
                    branch = new JitModule(new QualifiedName("Branch")),
                    conv = new JitModule(new QualifiedName("Conv")),
                    fc = new JitModule(new QualifiedName("Linear"));
            conv.register_parameter("weight", weights.get("Mixed_5b.branch1x1.conv.weight"), false);
            branch.register_module("conv", conv);
            block.register_module("branch1x1", branch);
            root.register_module("Mixed_5b", block);
            fc.register_buffer("bias", weights.get("fc.bias"));
            root.register_module("fc", fc);
            root.save(file.toString());
            assertSame(weights, InceptionWeights.read(file, true).tensors());
        }
    }

    @Test
    void weightsOfAnotherNetworkAreNamed() {
        try (TensorScope scope = new TensorScope()) {
            String message = assertThrows(
                            IllegalArgumentException.class,
                            () -> InceptionV3.of(weights(), "", InceptionV3.Profile.ADM, "cpu", Precision.FP32))
                    .getMessage();
            assertTrue(message.contains("missing Conv2d_1a_3x3.conv.weight [32, 3, 3, 3]"), message);
            assertTrue(message.contains("and ") && message.contains(" more"), message);
        }
    }
}
