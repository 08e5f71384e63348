package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Files of torch.save. There is no tolerance: bytes, shapes and dtypes are equal. */
@ExtendWith(Golden.Cases.class)
class TorchFileGoldenTest {
    private static final String EXPECTED = ".expected.safetensors";

    @Test
    void oddTensorsEqualTheExpectedFileInBothFormats() throws IOException {
        for (String name : Golden.list("checkpoints", EXPECTED))
            for (String file : Golden.list("checkpoints", ".pt")) {
                if (!file.equals(name) && !file.equals(name + "_legacy")) continue;
                try (TensorScope scope = new TensorScope()) {
                    Map<String, Tensor> expected = Golden.tensors("checkpoints/" + name + EXPECTED);
                    Map<?, ?> actual = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/" + file + ".pt"));
                    assertEquals(expected.keySet(), actual.keySet(), file);
                    expected.forEach((key, tensor) -> assertEqual(file + " " + key, tensor, (Tensor) actual.get(key)));
                    Golden.ran();
                }
            }
    }

    @Test
    void aViewReadWithoutItsStridesIsRejected() throws IOException {
        for (String name : Golden.list("checkpoints", EXPECTED))
            try (TensorScope scope = new TensorScope()) {
                Map<String, Tensor> expected = Golden.tensors("checkpoints/" + name + EXPECTED);
                Map<?, ?> actual = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/" + name + ".pt"));
                boolean rejected = false;
                for (Map.Entry<String, Tensor> entry : expected.entrySet()) {
                    Tensor view = (Tensor) actual.get(entry.getKey());
                    Tensor plain = view.as_strided(view.shape(), rowMajor(view.shape()));
                    rejected |= !Arrays.equals(bytes(entry.getValue()), bytes(plain));
                }
                assertTrue(rejected, "no tensor of the set needs its strides");
            }
    }

    private static long[] rowMajor(long[] shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape[i];
        }
        return strides;
    }

    private static void assertEqual(String what, Tensor expected, Tensor actual) {
        assertEquals(Dtypes.of(expected), Dtypes.of(actual), what);
        assertArrayEquals(expected.shape(), actual.shape(), what);
        assertArrayEquals(bytes(expected), bytes(actual), what);
    }

    private static byte[] bytes(Tensor tensor) {
        if (tensor.numel() == 0) return new byte[0];
        return Tensors.toBytes(tensor.contiguous().view(-1).view(ScalarType.Byte));
    }

    @Test
    void maliciousFilesAreRefusedByNameWithoutSideEffect() throws IOException {
        Path trace = Path.of("/tmp/pwned"); // what the published set's files would make
        boolean before = Files.exists(trace);
        for (String name : Golden.list("checkpoints", ".pt")) {
            if (!name.startsWith("malicious")) continue;
            Path path = Golden.path("checkpoints/" + name + ".pt");
            String message = assertThrows(FormatException.class, () -> TorchFile.read(path))
                    .getMessage();
            assertTrue(message.startsWith(path.toString()) && message.contains("wants Python to look up"), message);
            assertEquals(before, Files.exists(trace), name);
            Golden.ran();
        }
    }

    @Test
    void aTrainingCheckpointHasItsFourPartsAndPlainOptions() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<?, ?> train = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/train.pt"));
            Map<?, ?> bare = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/bare.pt"));
            Map<?, ?> model = (Map<?, ?>) train.get("model");
            assertEquals(bare.keySet(), model.keySet());
            assertEquals(bare.keySet(), ((Map<?, ?>) train.get("ema")).keySet());
            bare.forEach(
                    (key, tensor) -> assertArrayEquals(((Tensor) tensor).shape(), ((Tensor) model.get(key)).shape()));
            assertInstanceOf(Map.class, ((Map<?, ?>) train.get("opt")).get("state"));
            assertInstanceOf(TorchValues.Namespace.class, train.get("args"));
            Golden.ran();
        }
    }

    @Test
    void theOldFormatHoldsTheSameAsTheNew() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<?, ?> now = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/bare.pt"));
            Map<?, ?> old = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/bare_legacy.pt"));
            assertFalse(now.isEmpty());
            assertEquals(now.keySet(), old.keySet());
            now.forEach((key, tensor) -> assertEqual(key.toString(), (Tensor) tensor, (Tensor) old.get(key)));
            Golden.ran();
        }
    }

    @Test
    void halfPrecisionAndPrefixesAreKept() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<?, ?> root = (Map<?, ?>) TorchFile.read(Golden.path("checkpoints/module_prefix_half.pt"));
            Map<?, ?> half = root.get("state_dict") instanceof Map<?, ?> inner ? inner : root;
            assertTrue(half.keySet().stream().allMatch(key -> key.toString().startsWith("module.")), half::toString);
            assertTrue(half.values().stream().anyMatch(tensor -> Dtypes.of((Tensor) tensor) == ScalarType.Half));
            Golden.ran();
        }
    }
}
