package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.NativeObjects;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.junit.jupiter.api.Test;

class FlatParametersTest {
    private static final DiTConfig TINY =
            new DiTConfig(4, 4, 2, 3, 24, 1, 3, 4, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    @Test
    void theWeightsKeepTheirValuesAndTheirOrder() {
        try (DiT network = TINY.network();
                TensorScope scope = new TensorScope()) {
            List<Float> expected = new ArrayList<>();
            StateDict.of(network).forEach((name, tensor) -> {
                if (tensor.requires_grad()) for (float value : Tensors.toFloats(tensor)) expected.add(value);
            });
            try (FlatParameters parameters = new FlatParameters(network)) {
                List<Float> values = new ArrayList<>();
                for (float value : Tensors.toFloats(parameters.values())) values.add(value);
                assertEquals(expected, values);
                assertEquals(expected.size(), parameters.size());
            }
        }
    }

    /** In one go, LibTorch's own norm of 17 million equal numbers is 0.65% too low on the CPU. */
    @Test
    void theNormOfManyGradientsIsExact() {
        for (int outputs : new int[] {1, 3, 4095})
            try (LinearImpl linear = new LinearImpl(4096, outputs);
                    FlatParameters parameters = new FlatParameters(linear);
                    TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                parameters.gradients().fill_(new Scalar(1e-4));
                double expected = (float) 1e-4 * Math.sqrt(parameters.size());
                // within a row the squares are still added one after another, some thousand in each lane, and equal
                // ones round alike
                assertEquals(expected, parameters.gradientNorm().item_double(), 1e-5 * expected);
            }
    }

    @Test
    void whatDoesNotLearnStaysOutside() {
        try (DiT network = TINY.network();
                FlatParameters parameters = new FlatParameters(network);
                TensorScope scope = new TensorScope()) {
            assertFalse(parameters.views(parameters.values()).containsKey("pos_embed"));
            assertEquals(TINY.parameters() - TINY.tokens() * TINY.hiddenSize(), parameters.size());
        }
    }

    @Test
    void theNetworksTensorsAreViewsOfTheBuffer() {
        try (LinearImpl layer = Layers.linear(3, 2);
                FlatParameters parameters = new FlatParameters(layer);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            parameters.values().copy_(Tensors.of(new float[] {1, 2, 3, 4, 5, 6, 10, 20}, 8));
            Tensor out = layer.forward(Tensors.of(new float[] {1, 0, 0}, 1, 3));
            assertArrayEquals(new float[] {11, 24}, Tensors.toFloats(out));
            layer.bias().fill_(new Scalar(7f));
            assertEquals(7, Tensors.toFloats(parameters.values())[6]);
        }
    }

    @Test
    void aBackwardPassAddsToTheGradientBuffer() {
        try (LinearImpl layer = Layers.linear(3, 2);
                FlatParameters parameters = new FlatParameters(layer);
                TensorScope scope = new TensorScope()) {
            Tensor x = Tensors.of(new float[] {1, 2, 3}, 1, 3);
            for (int pass = 1; pass <= 2; pass++) {
                layer.forward(x).sum().backward();
                float[] expected = {1, 2, 3, 1, 2, 3, 1, 1};
                for (int i = 0; i < expected.length; i++) expected[i] *= pass;
                assertArrayEquals(expected, Tensors.toFloats(parameters.gradients()));
            }
        }
    }

    @Test
    void viewsCoverAnyBufferOfTheLayoutOnce() {
        try (DiT network = TINY.network();
                FlatParameters parameters = new FlatParameters(network);
                TensorScope scope = new TensorScope()) {
            Tensor other = torch.zeros_like(parameters.values());
            Map<String, Tensor> state = StateDict.of(network);
            parameters.views(other).forEach((name, view) -> {
                assertArrayEquals(state.get(name).shape(), view.shape(), name);
                view.add_(new Scalar(1f));
            });
            assertTrue(other.eq(new Scalar(1f)).all().item_bool());
        }
    }

    @Test
    void aNetworkWithNothingToLearnIsRefused() {
        try (LinearImpl layer = Layers.linear(3, 2)) {
            try (TensorScope scope = new TensorScope()) {
                layer.weight().requires_grad_(false);
                layer.bias().requires_grad_(false);
            }
            var refused = assertThrows(IllegalArgumentException.class, () -> new FlatParameters(layer));
            assertEquals("the network has no trainable parameters", refused.getMessage());
        }
    }

    @Test
    void theWeightsInBfloat16AreARoundedCopyOfTheNetworks() {
        try (LinearImpl layer = Layers.linear(3, 2);
                FlatParameters parameters = new FlatParameters(layer, ScalarType.BFloat16);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            assertEquals(ScalarType.Float, Tensors.dtype(layer.weight()));
            assertEquals(ScalarType.Float, Tensors.dtype(parameters.gradients()));
            assertEquals(ScalarType.BFloat16, Tensors.dtype(parameters.weights()));
            layer.weight().fill_(new Scalar(1.00390625f)); // 1 + 2⁻⁸, which bfloat16 has not
            parameters.round();
            assertEquals(1, Tensors.toFloats(parameters.weights())[5]);
            assertEquals(1.00390625f, Tensors.toFloats(parameters.values())[5]);
            layer.weight().fill_(new Scalar(1.0078125f)); // 1 + 2⁻⁷, which it has
            parameters.round();
            assertEquals(1.0078125f, Tensors.toFloats(parameters.weights())[5]);
        }
    }

    @Test
    void closedBuffersLeaveNothing() {
        try (LinearImpl layer = Layers.linear(3, 2)) {
            new FlatParameters(layer).close();
            long before = NativeObjects.settled();
            new FlatParameters(layer).close();
            assertEquals(before, Pointer.totalCount());
        }
    }
}
