package org.dit4j.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DiTBlockTest {
    private static final int D = 12, HEADS = 3, HIDDEN = 20;

    @BeforeEach
    void seed() {
        Backend.load();
        torch.manual_seed(5);
    }

    private static DiTBlock random(DiTBlock.Kind kind) {
        DiTBlock block = kind.create(D, HEADS, HIDDEN, Profile.OFFICIAL);
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            block.to(ScalarType.Double, false);
            StateDict.of(block).values().forEach(tensor -> torch.normal_(tensor, 0, 0.4));
        }
        return block;
    }

    private static Tensor tokens() {
        return torch.randn(2, 5, D).to(ScalarType.Double);
    }

    private static Tensor conditioning(DiTBlock.Kind kind) {
        return (kind.conditionsByTokens() ? torch.randn(2, 2, D) : torch.randn(2, D)).to(ScalarType.Double);
    }

    @Test
    void adaLnZeroWithZeroModulationIsTheIdentity() {
        try (DiTBlock block = random(DiTBlock.Kind.ADALN_ZERO);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            torch.zero_(block.modulation().weight());
            torch.zero_(block.modulation().bias());
            Tensor x = tokens();
            assertTrue(torch.equal(x, block.forward(x, conditioning(DiTBlock.Kind.ADALN_ZERO))));
        }
    }

    @Test
    void everyBlockOfAFreshAdaLnZeroModelIsTheIdentityAndNoBlockOfTheOthersIs() {
        for (DiTBlock.Kind kind : DiTBlock.Kind.values())
            try (DiT network = new DiTConfig(4, 4, 2, 3, D, 2, HEADS, 2, 3, 0.1, true, kind).network();
                    TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                for (DiTBlock block : network.blocks()) {
                    Tensor x = tokens().to(ScalarType.Float);
                    Tensor out = block.forward(x, conditioning(kind).to(ScalarType.Float));
                    assertEquals(kind == DiTBlock.Kind.ADALN_ZERO, torch.equal(x, out), kind.toString());
                }
            }
    }

    @Test
    void anInContextBlockSeesTheConditioningOnlyAmongItsTokens() {
        try (DiTBlock block = random(DiTBlock.Kind.IN_CONTEXT);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = tokens();
            assertTrue(torch.equal(
                    block.forward(x, conditioning(DiTBlock.Kind.IN_CONTEXT)),
                    block.forward(x, conditioning(DiTBlock.Kind.IN_CONTEXT))));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DiTBlock.Kind.class,
            names = {"CROSS_ATTENTION", "ADALN", "ADALN_ZERO"})
    void theOtherDesignsDependOnTheConditioningOfTheirOwnRowOnly(DiTBlock.Kind kind) {
        try (DiTBlock block = random(kind);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = tokens(), c = conditioning(kind), changed = c.clone();
            changed.narrow(0, 1, 1).add_(conditioning(kind).narrow(0, 1, 1));
            Tensor before = block.forward(x, c), after = block.forward(x, changed);
            assertTrue(torch.equal(before.narrow(0, 0, 1), after.narrow(0, 0, 1)));
            assertFalse(torch.equal(before.narrow(0, 1, 1), after.narrow(0, 1, 1)));
        }
    }

    @Test
    void crossAttentionDoesNotCareAboutTheOrderOfItsContext() {
        try (DiTBlock block = random(DiTBlock.Kind.CROSS_ATTENTION);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = tokens(), c = conditioning(DiTBlock.Kind.CROSS_ATTENTION);
            assertTrue(Golden.relativeError(block.forward(x, c), block.forward(x, torch.flip(c, new long[] {1})))
                    < 1e-14);
        }
    }

    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void permutingTheTokensPermutesTheOutput(DiTBlock.Kind kind) {
        try (DiTBlock block = random(kind);
                TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = tokens(), c = conditioning(kind);
            Tensor rolled = block.forward(torch.roll(x, new long[] {2}, 1), c);
            assertTrue(Golden.relativeError(torch.roll(block.forward(x, c), new long[] {2}, 1), rolled) < 1e-13);
        }
    }

    /** Central differences in float64 are good to some 1e-9 at a step of 1e-5. */
    @ParameterizedTest
    @EnumSource(DiTBlock.Kind.class)
    void gradientsEqualFiniteDifferences(DiTBlock.Kind kind) {
        try (DiTBlock block = random(kind);
                TensorScope scope = new TensorScope()) {
            Tensor x = tokens(), c = conditioning(kind), weight = tokens();
            x.requires_grad_(true);
            c.requires_grad_(true);
            Gradients.backward(block.forward(x, c), weight);
            Map<String, Tensor> checked = new java.util.LinkedHashMap<>(StateDict.of(block));
            checked.put("x", x);
            if (kind != DiTBlock.Kind.IN_CONTEXT) checked.put("conditioning", c);
            checked.forEach((name, tensor) -> {
                for (long element : List.of(0L, tensor.numel() / 2, tensor.numel() - 1))
                    assertEquals(
                            finiteDifference(block, x, c, weight, tensor, element),
                            new DoublePointer(tensor.grad().contiguous().data_ptr()).get(element),
                            1e-7,
                            kind + " " + name);
            });
        }
    }

    private static double finiteDifference(
            DiTBlock block, Tensor x, Tensor c, Tensor weight, Tensor moved, long element) {
        double step = 1e-5, difference = 0;
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            DoublePointer value = new DoublePointer(moved.data_ptr());
            double original = value.get(element);
            for (int sign : new int[] {1, -1}) {
                value.put(element, original + sign * step);
                difference += sign * block.forward(x, c).mul(weight).sum().item_double();
            }
            value.put(element, original);
        }
        return difference / (2 * step);
    }
}
