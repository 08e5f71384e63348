package org.dit4j.eval;

import static org.dit4j.Golden.assertClose;
import static org.dit4j.Golden.assertRejected;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Against torch-fidelity's network. */
@ExtendWith(Golden.Cases.class)
class InceptionV3GoldenTest {
    // float32 sums in another order, and batch normalisation folded into the convolutions, give 1e-6 through 50 layers
    private static final double TOLERANCE = 5e-6;

    private static final Map<Tap, String> NAMES =
            Map.of(Tap.FEATURES, "2048", Tap.SPATIAL, "spatial", Tap.LOGITS, "logits_unbiased");

    private static List<String> sets() {
        try (TensorScope scope = new TensorScope()) {
            return Golden.tensors(InceptionFixture.FILE).keySet().stream()
                    .filter(name -> name.endsWith(".images"))
                    .map(name -> name.substring(0, name.indexOf('.')))
                    .sorted()
                    .toList();
        }
    }

    @Test
    void featuresOfAllPicturesEqualTheReference() {
        try (TensorScope scope = new TensorScope();
                InceptionV3 network = InceptionFixture.network(InceptionV3.Profile.ADM);
                InceptionV3 other = InceptionFixture.network(InceptionV3.Profile.PYTORCH_FID)) {
            Map<String, Tensor> golden = Golden.tensors(InceptionFixture.FILE);
            for (String set : sets()) {
                Tensor pictures = golden.get(set + ".images");
                Map<Tap, Tensor> actual = network.features(pictures);
                Tensor inverted =
                        pictures.to(ScalarType.Short).neg().add(new Scalar(255)).to(ScalarType.Byte);
                Map<Tap, Tensor> ofInverted = network.features(inverted), halfPixel = other.features(pictures);
                Tensor halfResized = torch.upsample_bilinear2d(
                                pictures.to(ScalarType.Float),
                                new long[] {299, 299},
                                false,
                                new DoubleOptional(),
                                new DoubleOptional())
                        .round()
                        .to(ScalarType.Byte);
                if (pictures.size(3) != 299)
                    assertRejected(
                            set + " resized with the half pixel",
                            golden.get(set + ".2048"),
                            network.features(halfResized).get(Tap.FEATURES),
                            TOLERANCE);
                NAMES.forEach((tap, name) -> {
                    Tensor expected = golden.get(set + "." + name);
                    assertClose(set + "." + name, expected, actual.get(tap), TOLERANCE);
                    assertRejected(set + "." + name + " inverted", expected, ofInverted.get(tap), TOLERANCE);
                    // also where nothing is resized: its range is 2 · x / 255 − 1, not (x − 128) / 128
                    assertRejected(set + "." + name + " half pixel", expected, halfPixel.get(tap), TOLERANCE);
                    // the worst picture, not only all together
                    for (long i = 0; i < expected.size(0); i++)
                        assertClose(
                                set + "." + name + " " + i,
                                expected.narrow(0, i, 1),
                                actual.get(tap).narrow(0, i, 1),
                                TOLERANCE);
                });
                assertRejected(
                        set + " channels first",
                        golden.get(set + ".spatial"),
                        channelsFirst(actual.get(Tap.SPATIAL)),
                        TOLERANCE);
            }
        }
    }

    /** The spatial features as PyTorch would lay them out. */
    private static Tensor channelsFirst(Tensor spatial) {
        return spatial.view(-1, 17, 17, 7).permute(0, 3, 1, 2).reshape(spatial.size(0), -1);
    }

    /** The half pixel alone: the same range as the reference. */
    @Test
    void theResizeIsTensorFlows() {
        try (TensorScope scope = new TensorScope()) {
            Tensor pictures =
                    Golden.tensors(InceptionFixture.FILE).get("a.images").to(ScalarType.Float);
            long height = pictures.size(2), width = pictures.size(3);
            float[] source = Tensors.toFloats(pictures);
            float[] expected = new float[(int) (pictures.size(0) * 3 * 299 * 299)];
            for (int plane = 0, at = 0; plane < pictures.size(0) * 3; plane++)
                for (int y = 0; y < 299; y++)
                    for (int x = 0; x < 299; x++, at++)
                        expected[at] = bilinear(source, plane, (int) height, (int) width, y, x);
            assertArrayEquals(expected, Tensors.toFloats(TensorFlowResize.apply(pictures, 299)));
            Golden.ran();
        }
    }

    /** One pixel, as TensorFlow's kernel computes it. */
    private static float bilinear(float[] source, int plane, int height, int width, int y, int x) {
        float down = y * (height / 299f), across = x * (width / 299f);
        int top = (int) down, left = (int) across;
        int bottom = Math.min(top + 1, height - 1), right = Math.min(left + 1, width - 1);
        int begin = plane * height * width;
        float upper = source[begin + top * width + left], lower = source[begin + bottom * width + left];
        upper += (source[begin + top * width + right] - upper) * (across - left);
        lower += (source[begin + bottom * width + right] - lower) * (across - left);
        return upper + (lower - upper) * (down - top);
    }

    @Test
    void thePictureAloneDecidesItsFeaturesAndNothingIsLeftBehind() {
        InceptionV3 network;
        try (TensorScope scope = new TensorScope()) {
            network = InceptionFixture.network(InceptionV3.Profile.TORCH_FIDELITY);
        }
        try (TensorScope warm = new TensorScope()) {
            network.features(InceptionFixture.pictures(1, 32, 32, 0));
        }
        long before = Pointer.totalCount();
        try (TensorScope scope = new TensorScope()) {
            Tensor three = InceptionFixture.pictures(3, 40, 30, 5);
            Tensor together = network.features(three).get(Tap.FEATURES).narrow(0, 1, 1);
            Tensor alone = network.features(three.narrow(0, 1, 1)).get(Tap.FEATURES);
            Golden.ran();
            assertClose("a picture alone", together, alone, 1e-6); // other blocks of the same sums
        }
        assertEquals(before, Pointer.totalCount());
        network.close();
    }

    @Test
    void bfloat16StaysNear() {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> golden = Golden.tensors(InceptionFixture.FILE);
            long seed = Long.parseLong(Golden.metadata(InceptionFixture.FILE).get("seed"));
            try (InceptionV3 network = InceptionV3.of(
                    InceptionFixture.weights(seed), "recipe", InceptionV3.Profile.ADM, "cpu", Precision.BF16)) {
                Tensor actual = network.features(golden.get("a.images")).get(Tap.FEATURES);
                assertClose("bfloat16", golden.get("a.2048"), actual, 0.05); // 8 bits through 50 layers
                assertEquals(ScalarType.Float, Tensors.dtype(actual));
            }
        }
    }
}
