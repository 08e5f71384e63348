package org.dit4j.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Field;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.kernels.AtenFusedKernels;
import org.dit4j.torch.Backend;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The pass that is written by hand against autograd's. */
class FusedTrunkTest {
    private static final DiTConfig TINY =
            new DiTConfig(8, 12, 2, 3, 24, 3, 3, 4, 5, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    @BeforeEach
    void seed() {
        Backend.load();
        torch.manual_seed(9);
    }

    private record Pass(Tensor prediction, Map<String, Tensor> gradients) {}

    private interface Trunks {
        Tensor forward(Tensor x, Tensor t, Tensor y);

        void backward(Tensor gradient);
    }

    private static Pass pass(FlatParameters parameters, ScalarType dtype, Trunks trunk) {
        torch.manual_seed(4);
        parameters.gradients().zero_();
        Tensor x = torch.randn(3, 3, 8, 12).to(dtype),
                gradient = torch.randn(3, 6, 8, 12).to(dtype);
        Tensor prediction =
                trunk.forward(x, Tensors.of(new long[] {0, 400, 999}, 3), Tensors.of(new long[] {1, 5, 0}, 3));
        trunk.backward(gradient);
        Map<String, Tensor> gradients = new LinkedHashMap<>();
        parameters.views(parameters.gradients()).forEach((name, view) -> gradients.put(name, view.clone()));
        return new Pass(prediction.detach().clone(), gradients);
    }

    private static Trunks fused(FusedTrunk trunk) {
        return new Trunks() {
            @Override
            public Tensor forward(Tensor x, Tensor t, Tensor y) {
                return trunk.forward(x, t, y);
            }

            @Override
            public void backward(Tensor gradient) {
                trunk.backward(gradient);
            }
        };
    }

    private static Trunks plain(DiT network) {
        Tensor[] prediction = new Tensor[1];
        return new Trunks() {
            @Override
            public Tensor forward(Tensor x, Tensor t, Tensor y) {
                return prediction[0] = network.forward(x, t, y);
            }

            @Override
            public void backward(Tensor gradient) {
                Gradients.backward(prediction[0], gradient);
            }
        };
    }

    private static DiT network(DiTConfig config, Profile profile, ScalarType dtype) {
        DiT network = config.network(profile);
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            network.to(dtype, false);
            // nothing is zero that a fresh network has at zero
            StateDict.of(network).forEach((name, tensor) -> {
                if (!name.equals("pos_embed")) torch.normal_(tensor, 0, 0.15);
            });
        }
        return network;
    }

    /** Of float64, both are exact to some 1e-15 at each operation. */
    @ParameterizedTest
    @EnumSource(Profile.class)
    void inFloat64ItIsAutogradsPass(Profile profile) {
        for (DiTConfig config : new DiTConfig[] {TINY, TINY.withClasses(0, 0), TINY.withTrunk(48, 1, 2)}) {
            try (DiT network = network(config, profile, ScalarType.Double);
                    TensorScope scope = new TensorScope()) {
                try (FlatParameters parameters = new FlatParameters(network, ScalarType.Double);
                        FusedTrunk trunk = new FusedTrunk(network, parameters, new AtenFusedKernels())) {
                    Pass expected = pass(parameters, ScalarType.Double, plain(network));
                    Pass actual = pass(parameters, ScalarType.Double, fused(trunk));
                    assertTrue(Golden.relativeError(expected.prediction(), actual.prediction()) < 1e-6);
                    assertEquals(
                            expected.gradients().keySet(), actual.gradients().keySet());
                    expected.gradients().forEach((name, gradient) -> {
                        double error = Golden.relativeError(
                                gradient, actual.gradients().get(name));
                        assertTrue(error < 1e-12, name + " " + error);
                    });
                }
            }
        }
    }

    @Test
    void inBfloat16ItIsCloserToTheExactPassThanAutocast() {
        try (DiT network = network(TINY, Profile.OFFICIAL, ScalarType.Float);
                TensorScope scope = new TensorScope();
                FlatParameters parameters = new FlatParameters(network, ScalarType.BFloat16);
                FusedTrunk trunk = new FusedTrunk(network, parameters, new AtenFusedKernels())) {
            Pass exact = pass(parameters, ScalarType.Float, plain(network));
            Pass autocast = pass(parameters, ScalarType.Float, cast(network));
            Pass fused = pass(parameters, ScalarType.Float, fused(trunk));
            double rough = Golden.relativeError(exact.prediction(), autocast.prediction());
            double error = Golden.relativeError(exact.prediction(), fused.prediction());
            assertTrue(error < 1.2 * rough && error > 1e-4, error + " beside autocast's " + rough);
            double sum = 0, sumOfAutocast = 0;
            for (String name : exact.gradients().keySet()) {
                sum += Golden.relativeError(
                        exact.gradients().get(name), fused.gradients().get(name));
                sumOfAutocast += Golden.relativeError(
                        exact.gradients().get(name), autocast.gradients().get(name));
            }
            assertTrue(sum < 1.2 * sumOfAutocast, sum + " beside autocast's " + sumOfAutocast);
        }
    }

    private static Trunks cast(DiT network) {
        Trunk trunk = Trunk.of(network, Precision.AUTOCAST, false, DeviceType.CPU);
        return new Trunks() {
            @Override
            public Tensor forward(Tensor x, Tensor t, Tensor y) {
                return trunk.forward(x, t, y);
            }

            @Override
            public void backward(Tensor gradient) {
                trunk.backward(gradient);
            }
        };
    }

    @Test
    void whoOnlyPredictsGetsWhatTheForwardPassGives() {
        try (DiT network = network(TINY, Profile.OFFICIAL, ScalarType.Float);
                TensorScope scope = new TensorScope();
                FlatParameters parameters = new FlatParameters(network, ScalarType.BFloat16);
                FusedTrunk trained = new FusedTrunk(network, parameters, new AtenFusedKernels())) {
            Tensor x = torch.randn(2, 3, 8, 12),
                    t = Tensors.of(new long[] {3, 700}, 2),
                    y = Tensors.of(new long[] {1, 5}, 2);
            Tensor expected = trained.forward(x, t, y);
            for (int again = 0; again < 2; again++)
                assertEquals(0, Golden.relativeError(expected, trained.ask(x, t, y)));
            network.to(ScalarType.BFloat16, false);
            try (Trunk trunk = Trunk.fused(network, new AtenFusedKernels(), DeviceType.CPU)) {
                // the conditioning is computed in bfloat16 there
                double error = Golden.relativeError(expected, trunk.predict(x, t, y));
                assertTrue(error < 0.03, "relative error " + error);
                // another batch size has memory of its own
                assertEquals(
                        1,
                        trunk.predict(x.narrow(0, 0, 1), t.narrow(0, 0, 1), y.narrow(0, 0, 1))
                                .size(0));
            }
        }
    }

    @Test
    void whatIsComputedAgainIsNotKeptForLargeBatches() {
        DiTConfig large = DiTConfig.of("DiT-XL/2");
        assertTrue(Activations.keepsAll(large, 64));
        assertFalse(Activations.keepsAll(large, 128));
    }

    /** But for the attention's, whose own memory no field has: its result of each block, and three gradients. */
    @Test
    void theBytesAreThoseOfTheBuffers() throws Exception {
        DiTConfig config = TINY.withInputSize(32, 32).withTrunk(96, 3, 3);
        Tensor like = torch.zeros(1);
        Activations activations = new Activations(config, 5, ScalarType.BFloat16, ScalarType.Float, true, like);
        try (like;
                activations) {
            Set<Tensor> buffers = new HashSet<>(); // a tensor of JavaCPP equals another at the same address
            for (Field field : Activations.class.getDeclaredFields()) {
                field.setAccessible(true);
                if (field.get(activations) instanceof Tensor[] each) buffers.addAll(List.of(each));
                if (field.get(activations) instanceof Tensor one) buffers.add(one);
            }
            long found = buffers.stream().mapToLong(Tensor::nbytes).sum();
            long attention = 2L * (3 + 3) * 5 * config.tokens() * config.hiddenSize();
            double counted = Trunk.fusedBytes(config, 5) - attention;
            // statistics, modulations, patches and what the final layer gives are not counted
            assertTrue(found >= counted && found < 1.05 * counted, found + " bytes, counted " + counted);
        }
    }

    @Test
    void aPassFreesWhatItMakes() {
        try (DiT network = network(TINY, Profile.OFFICIAL, ScalarType.Float)) {
            for (int round = 0; round < 2; round++) {
                long before = NativeObjects.settled();
                try (TensorScope scope = new TensorScope();
                        FlatParameters parameters = new FlatParameters(network, ScalarType.BFloat16);
                        FusedTrunk trunk = new FusedTrunk(network, parameters, new AtenFusedKernels())) {
                    pass(parameters, ScalarType.Float, fused(trunk));
                    trunk.ask(
                            torch.randn(2, 3, 8, 12),
                            Tensors.of(new long[] {3, 700}, 2),
                            Tensors.of(new long[] {1, 5}, 2));
                }
                if (round == 1) assertEquals(before, Pointer.totalCount());
            }
        }
    }
}
