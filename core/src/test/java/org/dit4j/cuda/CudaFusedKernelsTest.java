package org.dit4j.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.kernels.AdamW;
import org.dit4j.kernels.AtenFusedKernels;
import org.dit4j.kernels.AtenKernels;
import org.dit4j.kernels.FusedKernels;
import org.dit4j.kernels.FusedKernels.Attended;
import org.dit4j.kernels.FusedKernels.Modulation;
import org.dit4j.kernels.Kernels;
import org.dit4j.kernels.OptimizerScalars;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Each kernel against the plain operators that define it. Needs a card; skipped without one. */
class CudaFusedKernelsTest {
    private static final ScalarType BF16 = ScalarType.BFloat16, FLOAT = ScalarType.Float;
    /** Of sums of the same float32 numbers in another order. */
    private static final double SAME = 1e-5;
    /** Where both round to bfloat16, of which a last bit may differ here and there. */
    private static final double ROUNDED = 2e-4;
    /** Where one rounds to bfloat16 in between, or only at the end: eight bits. */
    private static final double BITS = 5e-3;

    private Device card;
    private TensorScope scope;
    private NoGradGuard noGrad;

    @BeforeEach
    void onACard() {
        Backend.load();
        assumeTrue(torch.cuda_is_available(), "no card");
        card = Backend.device("cuda");
        scope = new TensorScope();
        noGrad = new NoGradGuard();
        torch.manual_seed(8);
    }

    @AfterEach
    void free() {
        if (scope == null) return;
        noGrad.close();
        scope.close();
    }

    private Tensor random(ScalarType dtype, long... shape) {
        return Tensors.to(torch.randn(shape), card).to(dtype);
    }

    /** Two buffers of the same numbers: for what defines, and for what is tested. */
    private Tensor[] twice(ScalarType dtype, long... shape) {
        Tensor numbers = random(dtype, shape);
        return new Tensor[] {numbers, numbers.clone()};
    }

    private static final FusedKernels[] BOTH = new FusedKernels[2];

    private static void each(BiConsumer<FusedKernels, Integer> work) {
        if (BOTH[0] == null) {
            BOTH[0] = new AtenFusedKernels();
            BOTH[1] = new CudaFusedKernels();
        }
        for (int i = 0; i < 2; i++) work.accept(BOTH[i], i);
    }

    private static void assertSame(double tolerance, Tensor[] pair) {
        double error = Golden.relativeError(pair[0].to(FLOAT), pair[1].to(FLOAT));
        assertTrue(error <= tolerance, "relative error " + error);
    }

    @ParameterizedTest
    @CsvSource({"3, 64, 384", "2, 256, 1152", "5, 49, 96", "1, 7, 20", "4, 16, 1024"})
    void junctions(int n, int t, int d) {
        long m = (long) n * t;
        Tensor all = random(FLOAT, n, 6L * d).mul(new Scalar(0.3));
        Modulation modulation = parts(all, d);
        Tensor x = random(FLOAT, m, d), branch = random(BF16, m, d), normalGradient = random(BF16, m, d);
        for (Tensor given : new Tensor[] {branch, null}) {
            Tensor[] sum = twice(FLOAT, m, d), normal = twice(BF16, m, d), statistics = twice(FLOAT, m, 2);
            each((kernels, i) -> kernels.junction(x, given, modulation, 1e-6, sum[i], normal[i], statistics[i]));
            assertSame(SAME, sum);
            assertSame(ROUNDED, normal);
            assertSame(SAME, statistics);
            Tensor total = given == null ? x : sum[0];
            Tensor[] gradient = twice(FLOAT, m, d), branchGradient = twice(BF16, m, d), bias = twice(FLOAT, d);
            Tensor[] gradients = twice(FLOAT, n, 6L * d);
            each((kernels, i) -> kernels.junctionBackward(
                    normalGradient,
                    total,
                    statistics[0],
                    given,
                    modulation,
                    gradient[i],
                    branchGradient[i],
                    bias[i],
                    parts(gradients[i], d)));
            assertSame(SAME, gradient);
            assertSame(ROUNDED, branchGradient);
            assertSame(SAME, bias);
            assertSame(SAME, gradients);
        }
    }

    private static Modulation parts(Tensor all, long d) {
        return new Modulation(all.narrow(1, 0, d), all.narrow(1, d, d), all.narrow(1, 5 * d, d));
    }

    @ParameterizedTest
    @CsvSource({"192, 384", "512, 1152", "245, 96"})
    void products(int m, int d) {
        long f = 4L * d;
        Tensor x = random(BF16, m, d), bias = random(BF16, f), gradient = random(BF16, m, d);
        Tensor up = random(BF16, f, d).mul(new Scalar(0.05)),
                down = random(BF16, d, f).mul(new Scalar(0.05));
        Tensor[] before = twice(BF16, m, f), after = twice(BF16, m, f), out = twice(BF16, m, d);
        each((kernels, i) -> kernels.linearGelu(x, up, bias, before[i], after[i]));
        assertSame(ROUNDED, before);
        assertSame(BITS, after);
        each((kernels, i) -> kernels.linear(before[0], down, bias.narrow(0, 0, d), out[i]));
        assertSame(BITS, out);
        each((kernels, i) -> kernels.linearBackward(before[0], up, out[i]));
        assertSame(BITS, out);
        Tensor[] into = twice(BF16, m, f), biasGradient = twice(FLOAT, f), weightGradient = twice(FLOAT, f, d);
        each((kernels, i) -> kernels.linearGeluBackward(gradient, down, before[0], after[i], into[i], biasGradient[i]));
        assertSame(ROUNDED, after);
        assertSame(ROUNDED, into);
        assertSame(SAME, biasGradient);
        each((kernels, i) -> kernels.weightGradient(before[0], x, weightGradient[i]));
        assertSame(BITS, weightGradient);
    }

    @Test
    void modulationsOfAllBlocks() {
        long depth = 3, n = 2, d = 384, p = 6 * d, distance = p * d + 1000;
        Tensor c = random(BF16, n, d), biases = random(BF16, depth, p);
        Tensor weights = spread(random(BF16, depth * distance).mul(new Scalar(0.05)), depth, p, d, distance);
        Tensor[] out = twice(FLOAT, depth, n, p), flat = twice(FLOAT, depth * distance);
        each((kernels, i) -> kernels.modulations(c, weights, biases, out[i]));
        assertSame(BITS, out);
        Tensor[] biasGradients = twice(FLOAT, depth, p), gradient = twice(FLOAT, n, d);
        each((kernels, i) -> kernels.modulationsBackward(
                out[0], c, weights, spread(flat[i], depth, p, d, distance), biasGradients[i], gradient[i]));
        assertSame(BITS, flat);
        assertSame(SAME, biasGradients);
        assertSame(BITS, gradient);
    }

    private static Tensor spread(Tensor flat, long depth, long p, long d, long distance) {
        return flat.as_strided(new long[] {depth, p, d}, new long[] {distance, d, 1}, new LongOptional(0));
    }

    @ParameterizedTest
    @CsvSource({"3, 64, 6, 64", "2, 256, 16, 72", "5, 49, 2, 48"})
    void attention(int n, int t, int heads, int d) {
        Tensor qkv = random(BF16, n, t, 3, heads, d), mixedGradient = random(BF16, n, t, heads, d);
        Tensor[] qkvGradient = twice(BF16, n, t, 3, heads, d), bias = twice(FLOAT, 3L * heads * d);
        List<Attended> attended = new ArrayList<>();
        each((kernels, i) -> attended.add(kernels.attention(qkv, true)));
        assertSame(BITS, new Tensor[] {attended.get(0).mixed(), attended.get(1).mixed()});
        each((kernels, i) -> kernels.attentionBackward(qkv, attended.get(i), mixedGradient, qkvGradient[i], bias[i]));
        assertSame(BITS, qkvGradient);
        assertSame(BITS, bias);
        attended.forEach(Attended::close);
    }

    @Test
    void theNoiseHasTheBitsOfTheNoiseInJava() {
        long[] indices = {0, 1, 5, 1L << 33, (1L << 40) + 7919};
        for (Purpose purpose : Purpose.values())
            for (long[] shape : new long[][] {{4, 32, 32}, {3, 5, 7}, {1}}) {
                Tensor expected = new AtenKernels().normal(99, purpose, 3, indices, card, shape);
                Tensor actual = new CudaKernels().normal(99, purpose, 3, indices, card, shape);
                assertTrue(torch.equal(expected, actual), purpose + " " + java.util.Arrays.toString(shape));
            }
    }

    @Test
    void stepsOfAdamW() {
        long count = 100_003;
        Tensor start = random(FLOAT, count);
        List<Tensor> gradients = new ArrayList<>();
        for (int step = 0; step < 5; step++) gradients.add(random(FLOAT, count));
        List<Tensor[]> results = new ArrayList<>();
        for (Kernels kernels : new Kernels[] {new AtenKernels(), new CudaKernels()})
            try (OptimizerScalars scalars = new OptimizerScalars(card)) {
                Tensor values = start.clone(), rounded = start.to(BF16), average = start.clone();
                Tensor first = torch.zeros_like(start), second = torch.zeros_like(start);
                for (int step = 0; step < 5; step++) {
                    Tensor skip = Tensors.to(Tensors.of(new float[] {step == 2 ? 1 : 0}), card);
                    scalars.set(1e-3, 0.1);
                    kernels.adamWEma(
                            values,
                            rounded,
                            gradients.get(step),
                            first,
                            second,
                            average,
                            skip,
                            scalars,
                            AdamW.withDecay(0.1));
                }
                results.add(new Tensor[] {values.sub(start), first, second, average.sub(start), rounded});
            }
        for (int i = 0; i < 5; i++) assertSame(SAME, new Tensor[] {results.get(0)[i], results.get(1)[i]});
    }
}
