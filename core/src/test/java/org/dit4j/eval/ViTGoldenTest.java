package org.dit4j.eval;

import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.Golden;
import org.dit4j.io.Safetensors;
import org.dit4j.io.Sha256;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against DINOv2's published code; {@code vit.safetensors} says in its metadata how it was made. */
@ExtendWith(Golden.Cases.class)
class ViTGoldenTest {
    private static final double TOLERANCE = 1e-5; // float32 sums in another order through two blocks

    private static Path file() {
        try {
            return Path.of(ViTGoldenTest.class.getResource("vit.safetensors").toURI());
        } catch (java.net.URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The recipe of the file's metadata. */
    private static Map<String, Tensor> weights(int registers) throws IOException {
        long d = 128;
        Map<String, long[]> shapes = new TreeMap<>();
        shapes.put("cls_token", new long[] {1, 1, d});
        shapes.put("pos_embed", new long[] {1, 26, d});
        if (registers > 0) shapes.put("register_tokens", new long[] {1, registers, d});
        shapes.put("patch_embed.proj.weight", new long[] {d, 3, 14, 14});
        shapes.put("patch_embed.proj.bias", new long[] {d});
        for (String block : new String[] {"blocks.0.", "blocks.1."}) {
            for (String norm :
                    new String[] {"norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"})
                shapes.put(block + norm, new long[] {d});
            put(shapes, block + "attn.qkv", d, 3 * d);
            put(shapes, block + "attn.proj", d, d);
            put(shapes, block + "mlp.fc1", d, 4 * d);
            put(shapes, block + "mlp.fc2", 4 * d, d);
        }
        shapes.put("norm.weight", new long[] {d});
        shapes.put("norm.bias", new long[] {d});
        Generator generator = torch.make_generator_cpu(
                Long.parseLong(Safetensors.header(file()).metadata().get("seed")));
        Map<String, Tensor> weights = new HashMap<>();
        shapes.forEach((name, shape) ->
                weights.put(name, scaled(name, torch.randn(shape, new GeneratorOptional(generator)))));
        return weights;
    }

    private static void put(Map<String, long[]> shapes, String name, long in, long out) {
        shapes.put(name + ".weight", new long[] {out, in});
        shapes.put(name + ".bias", new long[] {out});
    }

    private static Tensor scaled(String name, Tensor n) {
        if (name.matches("cls_token|pos_embed|register_tokens")) return n.mul(new Scalar(0.5));
        if (n.dim() >= 2) return n.div(new Scalar(Math.sqrt((double) n.numel() / n.size(0))));
        if (name.matches(".*\\.(weight|gamma)")) return n.mul(new Scalar(0.1)).add(new Scalar(1.0));
        return n.mul(new Scalar(0.1));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 4})
    void featuresEqualThePublishedCode(int registers) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> golden = Safetensors.read(file());
            Map<String, Tensor> weights = weights(registers);
            Tensor pictures = golden.get("pictures"), expected = golden.get("reg" + registers + ".class");
            try (ViT network = ViT.of(weights, "recipe", "cpu")) {
                assertClose("class token", expected, network.features(pictures).get(Tap.FEATURES), TOLERANCE);
                Tensor part = network.prepared(pictures)
                        .narrow(0, 0, 1)
                        .narrow(2, 0, 70)
                        .narrow(3, 0, 56);
                Tensor tokens = network.tokens(part);
                assertClose(
                        "patches of a picture that is not square",
                        golden.get("reg" + registers + ".patches"),
                        tokens.narrow(1, 1 + registers, 20),
                        TOLERANCE);
            }
            weights.put("blocks.1.ls2.gamma", torch.ones(128));
            try (ViT network = ViT.of(weights, "recipe", "cpu")) {
                assertRejected(
                        "no layer scale", expected, network.features(pictures).get(Tap.FEATURES), TOLERANCE);
            }
        }
    }

    /** The positions of the one, interpolated as those of the other, would be seen. */
    @Test
    void registersChangeHowPositionsAreInterpolated() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> golden = Safetensors.read(file());
            assertRejected("the other interpolation", golden.get("reg0.class"), golden.get("reg4.class"), TOLERANCE);
        }
    }

    @Test
    void picturesAreResizedAsPillowDoes() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> golden = Safetensors.read(file());
            Tensor resized = PillowBatch.bicubic(golden.get("pictures"), ViT.SIZE);
            assertEquals(
                    Safetensors.header(file()).metadata().get("resized_sha256"), Sha256.hex(Tensors.toBytes(resized)));
            assertArrayEquals(
                    Tensors.toBytes(golden.get("resized_corner")),
                    Tensors.toBytes(resized.narrow(2, 0, 8).narrow(3, ViT.SIZE - 8, 8)));
            Golden.ran();
        }
    }

    @Test
    void nothingIsLeftBehind() throws IOException {
        ViT network;
        try (TensorScope scope = new TensorScope()) {
            network = ViT.of(weights(4), "recipe", "cpu");
        }
        long before = Pointer.totalCount();
        try (TensorScope scope = new TensorScope()) {
            network.features(InceptionFixture.pictures(2, 20, 30, 1));
        }
        assertEquals(before, Pointer.totalCount());
        network.close();
        Golden.ran();
    }

    @Test
    void filesAreReadAndTheGiantIsRefusedByName(@TempDir Path folder) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> weights = weights(4);
            weights.put("mask_token", torch.zeros(1, 128));
            Path file = folder.resolve("dinov2.pth");
            TorchFile.write(file, weights, Map.of());
            try (ViT network = ViT.open(file, "cpu")) {
                assertEquals("dinov2-vit-128-14-reg4", network.space().network());
                assertEquals(Sha256.hex(file), network.space().weights());
            }
            weights.put("blocks.0.mlp.w12.weight", torch.zeros(2, 2));
            String giant = assertThrows(IllegalArgumentException.class, () -> ViT.of(weights, "", "cpu"))
                    .getMessage();
            assertTrue(giant.contains("giant") && giant.contains("take L"), giant);
            weights.remove("blocks.0.mlp.w12.weight");
            weights.remove("blocks.1.ls1.gamma");
            String missing = assertThrows(IllegalArgumentException.class, () -> ViT.of(weights, "", "cpu"))
                    .getMessage();
            assertTrue(missing.contains("missing blocks.1.ls1.gamma [128]"), missing);
            Golden.ran();
        }
    }
}
