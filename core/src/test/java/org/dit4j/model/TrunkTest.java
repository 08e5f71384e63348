package org.dit4j.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TrunkTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 8, 2, 3, 24, 3, 3, 4, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    @BeforeEach
    void seed() {
        Backend.load();
        torch.manual_seed(9);
    }

    private static Map<String, Tensor> gradients(DiT network, boolean bf16, boolean recompute) {
        torch.manual_seed(4);
        Tensor x = DiTTest.noise(network.config(), 3), gradient = torch.randn(3, 6, 8, 8);
        Trunk pass = Trunk.of(network, bf16 ? Precision.AUTOCAST : Precision.FP32, recompute, DeviceType.CPU);
        network.zero_grad(true);
        pass.forward(x, Tensors.of(new long[] {0, 400, 999}, 3), Tensors.of(new long[] {1, 5, 0}, 3));
        pass.backward(gradient);
        Map<String, Tensor> gradients = new LinkedHashMap<>();
        StateDict.of(network).forEach((name, tensor) -> {
            if (tensor.requires_grad()) gradients.put(name, tensor.grad().clone());
        });
        return gradients;
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void recomputationGivesTheSameGradients(DiTBlock.Kind kind) {
        try (DiT network = DiTTest.randomNetwork(TINY.withBlock(kind));
                TensorScope scope = new TensorScope()) {
            Map<String, Tensor> whole = gradients(network, false, false), again = gradients(network, false, true);
            assertEquals(StateDict.of(network).size() - 1, whole.size());
            // the conditioning's gradient is summed block by block in another order
            whole.forEach((name, gradient) -> {
                double error = Golden.relativeError(gradient, again.get(name));
                assertTrue(error < 1e-5 || torch.max(gradient.abs()).item_double() < 1e-6, name + " " + error);
            });
        }
    }

    @Test
    void autocastGradientsAreFloat32AndCloseToTheExactOnes() {
        try (DiT network = DiTTest.randomNetwork(TINY);
                TensorScope scope = new TensorScope()) {
            Map<String, Tensor> exact = gradients(network, false, false);
            for (boolean recompute : new boolean[] {false, true}) {
                Map<String, Tensor> rough = gradients(network, true, recompute);
                double error = Golden.relativeError(
                        exact.get("blocks.1.mlp.fc1.weight"), rough.get("blocks.1.mlp.fc1.weight"));
                // bfloat16 keeps eight bits
                assertTrue(error < 0.1 && error > 1e-4, "error " + error);
            }
        }
    }

    @Test
    void aPassFreesEverything() {
        try (DiT network = DiTTest.randomNetwork(TINY)) {
            for (boolean recompute : new boolean[] {false, true}) {
                try (TensorScope scope = new TensorScope()) {
                    gradients(network, true, recompute);
                }
                long before = NativeObjects.settled();
                try (TensorScope scope = new TensorScope()) {
                    gradients(network, true, recompute);
                }
                assertEquals(before, Pointer.totalCount());
            }
        }
    }
}
