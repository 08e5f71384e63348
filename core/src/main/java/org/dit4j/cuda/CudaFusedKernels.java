package org.dit4j.cuda;

import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_BIAS;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_DEFAULT;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_GELU_AUX_BIAS;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.cuda.CublasLt.Shape;
import org.dit4j.kernels.FusedKernels;
import org.dit4j.torch.TensorScope;

/** Our kernels between cuBLASLt's products and LibTorch's attention: bfloat16 in products, float32 in the residual stream. */
public final class CudaFusedKernels implements FusedKernels {
    private static final int ROWS = 32, SUM_ROWS = 64;
    /** Of fewer than these, a block of one warp each spreads over the whole card. */
    private static final int FEW_ROWS = 2048;
    /** A hidden size, for kernels that have none. */
    static final long ANY = 384;

    private final Map<Long, CudaModule> modules = new HashMap<>();
    private final Stopwatch stopwatch = new Stopwatch(module(ANY));
    private final CudaAttention attention = new CudaAttention(stopwatch);
    private final CublasLt products = new CublasLt(stopwatch);
    private final List<Tensor> outgrown = new ArrayList<>();
    /** By stream; a captured graph goes on using what it was captured with, so none is ever freed. */
    private final Map<Long, Tensor> scratch = new HashMap<>();

    private synchronized CudaModule module(long d) {
        return modules.computeIfAbsent(d, key -> {
            if (d % 4 != 0) throw new IllegalArgumentException("hidden size " + d + " is not a multiple of 4");
            return CudaModule.of("trunk.cu", "-DD=" + d);
        });
    }

    /** Float32 memory for partial sums; what uses it runs on one stream in order. */
    private synchronized Tensor scratch(long floats, Tensor like) {
        long stream = Cuda.streamAddress();
        Tensor last = scratch.get(stream);
        if (last != null && last.numel() >= floats) return last;
        Tensor larger = TensorScope.keeping(() -> torch.empty(
                new long[] {floats},
                new TensorOptions(ScalarType.Float).device(new DeviceOptional(like.device())),
                new MemoryFormatOptional()));
        if (last != null) outgrown.add(last);
        scratch.put(stream, larger);
        return larger;
    }

    @Override
    public void junction(
            Tensor x, Tensor branch, Modulation modulation, double eps, Tensor sum, Tensor normal, Tensor statistics) {
        long rows = x.size(0), d = x.size(1), stride = modulation.shift().stride(0);
        int tokens = (int) (rows / modulation.shift().size(0)), warps = rows < FEW_ROWS ? 1 : 4;
        if (branch == null)
            module(d)
                    .launch(
                            "junction_first",
                            (rows + warps - 1) / warps,
                            1,
                            1,
                            32 * warps,
                            x,
                            modulation.shift(),
                            modulation.scale(),
                            stride,
                            (float) eps,
                            normal,
                            statistics,
                            (int) rows,
                            tokens);
        else
            module(d)
                    .launch(
                            "junction",
                            (rows + warps - 1) / warps,
                            1,
                            1,
                            32 * warps,
                            x,
                            branch,
                            modulation.shift(),
                            modulation.scale(),
                            modulation.gate(),
                            stride,
                            stride(modulation.gate()),
                            (float) eps,
                            sum,
                            normal,
                            statistics,
                            (int) rows,
                            tokens);
    }

    private static long stride(Tensor modulation) {
        return modulation == null ? 0 : modulation.stride(0);
    }

    @Override
    public void junctionBackward(
            Tensor normalGradient,
            Tensor sum,
            Tensor statistics,
            Tensor branch,
            Modulation modulation,
            Tensor gradient,
            Tensor branchGradient,
            Tensor biasGradient,
            Modulation gradients) {
        long rows = sum.size(0), d = sum.size(1), samples = modulation.shift().size(0);
        int tokens = (int) (rows / samples), chunks = (tokens + ROWS - 1) / ROWS;
        int threads = (int) ((d / 4 + 31) / 32 * 32);
        Tensor partial = scratch(samples * chunks * 4 * d, sum);
        if (branch == null)
            module(d)
                    .launch(
                            "junction_first_backward",
                            samples * chunks,
                            1,
                            1,
                            threads,
                            normalGradient,
                            sum,
                            statistics,
                            modulation.scale(),
                            modulation.scale().stride(0),
                            gradient,
                            partial,
                            tokens,
                            chunks);
        else
            module(d)
                    .launch(
                            "junction_backward",
                            samples * chunks,
                            1,
                            1,
                            threads,
                            normalGradient,
                            sum,
                            statistics,
                            branch,
                            modulation.scale(),
                            modulation.gate(),
                            modulation.scale().stride(0),
                            stride(modulation.gate()),
                            gradient,
                            branchGradient,
                            partial,
                            tokens,
                            chunks);
        module(d)
                .launch(
                        "junction_sums",
                        (d + 31) / 32,
                        samples,
                        1,
                        256,
                        partial,
                        gradients.shift(),
                        gradients.scale(),
                        branch == null ? null : gradients.gate(),
                        gradients.shift().stride(0),
                        stride(gradients.gate()),
                        chunks);
        if (branch == null) return;
        try (TensorScope scope = new TensorScope()) {
            addColumnSums(partial.narrow(0, 3 * d, 1), biasGradient, samples * chunks, 4 * d);
        }
    }

    @Override
    public void linear(Tensor x, Tensor weight, Tensor bias, Tensor out) {
        products.multiply(forward(x, weight, CUBLASLT_EPILOGUE_BIAS), weight, x, out, bias, null);
    }

    private static Shape forward(Tensor x, Tensor weight, int epilogue) {
        return Shape.of(true, false, weight.size(0), x.size(0), x.size(1), CublasLt.BF16, false, epilogue);
    }

    @Override
    public void linearGelu(Tensor x, Tensor weight, Tensor bias, Tensor before, Tensor after) {
        Shape fused = forward(x, weight, CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
        if (products.supports(fused, weight, x, bias, before)) products.multiply(fused, weight, x, after, bias, before);
        else {
            linear(x, weight, bias, before);
            long count = before.numel();
            module(ANY).launch("gelu", (count + 2047) / 2048, 1, 1, 256, before, after, count);
        }
    }

    @Override
    public void linearBackward(Tensor outGradient, Tensor weight, Tensor gradient) {
        products.multiply(
                backward(outGradient, weight, CUBLASLT_EPILOGUE_DEFAULT), weight, outGradient, gradient, null, null);
    }

    private static Shape backward(Tensor outGradient, Tensor weight, int epilogue) {
        return Shape.of(
                false, false, weight.size(1), outGradient.size(0), weight.size(0), CublasLt.BF16, false, epilogue);
    }

    @Override
    public void linearGeluBackward(
            Tensor outGradient, Tensor weight, Tensor before, Tensor after, Tensor gradient, Tensor biasGradient) {
        // not cuBLASLt's epilogue for it, which takes longer than the product and a kernel of our own
        linearBackward(outGradient, weight, gradient);
        long rows = before.size(0), width = before.size(1), parts = (rows + SUM_ROWS - 1) / SUM_ROWS;
        Tensor partial = scratch(parts * width, before);
        module(ANY)
                .launch(
                        "gelu_backward",
                        (width + 1023) / 1024,
                        parts,
                        1,
                        128,
                        before,
                        after,
                        gradient,
                        partial,
                        (int) rows,
                        (int) width);
        addColumnSums(partial, biasGradient, parts, width);
    }

    /** Adds up parts that lie at a distance. */
    private void addColumnSums(Tensor partial, Tensor sums, long parts, long distance) {
        int width = (int) sums.numel();
        module(ANY).launch("column_sums", (width + 31) / 32, 1, 1, 1024, partial, sums, (int) parts, distance, width);
    }

    @Override
    public void weightGradient(Tensor outGradient, Tensor x, Tensor weightGradient) {
        Shape shape = Shape.of(
                false,
                true,
                x.size(1),
                outGradient.size(1),
                x.size(0),
                CublasLt.FLOAT,
                true,
                CUBLASLT_EPILOGUE_DEFAULT);
        products.multiply(shape, x, outGradient, weightGradient, null, null);
    }

    @Override
    public void modulations(Tensor c, Tensor weights, Tensor biases, Tensor out) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            long depth = weights.size(0), p = weights.size(1), d = weights.size(2), n = c.size(0);
            out.copy_(biases.unsqueeze(1));
            Shape shape = Shape.of(true, false, p, n, d, CublasLt.FLOAT, true, CUBLASLT_EPILOGUE_DEFAULT)
                    .batched((int) depth, weights.stride(0), 0, n * p);
            products.multiply(shape, weights, c, out, null, null);
        }
    }

    @Override
    public void modulationsBackward(
            Tensor outGradient,
            Tensor c,
            Tensor weights,
            Tensor weightGradients,
            Tensor biasGradients,
            Tensor gradient) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            long depth = weights.size(0), p = weights.size(1), d = weights.size(2), n = c.size(0);
            Tensor rounded = outGradient.to(ScalarType.BFloat16);
            Shape ofWeights = Shape.of(false, true, d, p, n, CublasLt.FLOAT, true, CUBLASLT_EPILOGUE_DEFAULT)
                    .batched((int) depth, 0, n * p, weightGradients.stride(0));
            products.multiply(ofWeights, c, rounded, weightGradients, null, null);
            biasGradients.add_(outGradient.sum(1));
            Tensor each = torch.empty(new long[] {depth, n, d}, gradient.options(), new MemoryFormatOptional());
            Shape ofInput = Shape.of(false, false, d, n, p, CublasLt.FLOAT, false, CUBLASLT_EPILOGUE_DEFAULT)
                    .batched((int) depth, weights.stride(0), n * p, n * d);
            products.multiply(ofInput, weights, rounded, each, null, null);
            gradient.add_(each.sum(0));
        }
    }

    @Override
    public Replay capture(Runnable body) {
        return new CudaGraph(body);
    }

    @Override
    public Attended attention(Tensor qkv, boolean backward) {
        return attention.forward(qkv, backward);
    }

    @Override
    public void attentionBackward(
            Tensor qkv, Attended attended, Tensor mixedGradient, Tensor qkvGradient, Tensor biasGradient) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            int tokens = (int) qkv.size(1), heads = (int) qkv.size(3), d = (int) qkv.size(4);
            int rows = (int) qkv.size(0) * tokens, width = heads * d;
            long parts = (rows + SUM_ROWS - 1) / SUM_ROWS;
            Tensor[] gradients = attention.backward(qkv, attended, mixedGradient);
            Object[] arguments = new Object[18];
            for (int i = 0; i < 3; i++) {
                arguments[i] = gradients[i];
                arguments[3 + 3 * i] = gradients[i].stride(0);
                arguments[4 + 3 * i] = gradients[i].stride(2);
                arguments[5 + 3 * i] = gradients[i].stride(1);
            }
            Tensor partial = scratch(parts * 3 * width, qkv);
            System.arraycopy(new Object[] {qkvGradient, partial, rows, tokens, heads, d}, 0, arguments, 12, 6);
            int threads = Math.min(512, (width / 8 + 31) / 32 * 32);
            module(ANY).launch("pack_qkv", (width / 8 + threads - 1) / threads, parts, 3, threads, arguments);
            addColumnSums(partial, biasGradient, parts, 3L * width);
        }
    }
}
