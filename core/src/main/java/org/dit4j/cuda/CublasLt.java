package org.dit4j.cuda;

import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_BIAS_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSA;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSB;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET;
import static org.bytedeco.cuda.global.cublas.CUBLAS_COMPUTE_32F;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_N;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_T;
import static org.bytedeco.cuda.global.cublas.cublasLtCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmul;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulAlgoGetHeuristic;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescInit;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceInit;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutInit;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutSetAttribute;

import java.util.HashMap;
import java.util.Map;
import org.bytedeco.cuda.cublas.cublasLtContext;
import org.bytedeco.cuda.cublas.cublasLtMatmulAlgo_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulDescOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulHeuristicResult_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulPreferenceOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatrixLayoutOpaque_t;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.TensorScope;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Products of bfloat16 matrices by cuBLASLt, with an epilogue. Of the algorithms that cuBLASLt proposes for a shape the fastest is found by
 * trying, once in a process.
 */
final class CublasLt {
    private static final Logger LOGGER = LoggerFactory.getLogger(CublasLt.class);
    private static final long WORKSPACE = 64L << 20;
    private static final int CANDIDATES = 24, TRIES = 4, TURNS = 3;
    /** CUDA_R_16BF and CUDA_R_32F of library_types.h. */
    static final int BF16 = 14, FLOAT = 0;

    /**
     * d ← op(a) · op(b) + beta · d, column-major as cuBLAS counts, and {@code batch} of them at a distance.
     *
     * @param m rows of d; n its columns, k what is summed over; ld leading dimensions; stride distances of a batch, in elements
     * @param dType of d: {@link #BF16} or {@link #FLOAT}
     */
    record Shape(
            boolean transA,
            boolean transB,
            long m,
            long n,
            long k,
            long lda,
            long ldb,
            long ldd,
            int dType,
            boolean accumulate,
            int epilogue,
            int batch,
            long strideA,
            long strideB,
            long strideD) {
        static Shape of(
                boolean transA, boolean transB, long m, long n, long k, int dType, boolean accumulate, int epilogue) {
            return new Shape(
                    transA,
                    transB,
                    m,
                    n,
                    k,
                    transA ? k : m,
                    transB ? n : k,
                    m,
                    dType,
                    accumulate,
                    epilogue,
                    1,
                    0,
                    0,
                    0);
        }

        Shape batched(int count, long ofA, long ofB, long ofD) {
            return new Shape(transA, transB, m, n, k, lda, ldb, ldd, dType, accumulate, epilogue, count, ofA, ofB, ofD);
        }
    }

    private record Plan(
            cublasLtMatmulDescOpaque_t product,
            cublasLtMatrixLayoutOpaque_t a,
            cublasLtMatrixLayoutOpaque_t b,
            cublasLtMatrixLayoutOpaque_t d,
            cublasLtMatmulAlgo_t algorithm) {}

    private final cublasLtContext handle;
    private final FloatPointer one, zero;
    private final Stopwatch stopwatch;
    private final Map<Shape, Plan> plans = new HashMap<>();
    private final Map<Long, Tensor> workspaces = new HashMap<>();

    CublasLt(Stopwatch stopwatch) {
        this.stopwatch = stopwatch;
        handle = TensorScope.keeping(cublasLtContext::new);
        Cuda.check(cublasLtCreate(handle), "cuBLASLt");
        one = TensorScope.keeping(() -> new FloatPointer(1f));
        zero = TensorScope.keeping(() -> new FloatPointer(0f));
    }

    /** Whether cuBLASLt knows an algorithm; tries them on these operands, but writes to memory of its own. */
    synchronized boolean supports(Shape shape, Tensor a, Tensor b, Tensor bias, Tensor aux) {
        return plan(shape, a, b, bias, aux) != null;
    }

    /**
     * @param bias (m), or null; @param aux what a GELU epilogue takes or gives, (m, n), or null
     * @throws IllegalStateException if cuBLASLt cannot
     */
    synchronized void multiply(Shape shape, Tensor a, Tensor b, Tensor d, Tensor bias, Tensor aux) {
        Plan plan = plan(shape, a, b, bias, aux);
        if (plan == null) throw new IllegalStateException("cuBLASLt knows no algorithm for " + shape);
        try (TensorScope scope = new TensorScope()) {
            point(plan.product(), bias, aux);
            CUstream_st stream = Cuda.stream();
            Cuda.check(run(plan, shape, a, b, d.data_ptr(), plan.algorithm(), stream), "cuBLASLt with " + shape);
        }
    }

    private int run(
            Plan plan, Shape shape, Tensor a, Tensor b, Pointer d, cublasLtMatmulAlgo_t algorithm, CUstream_st stream) {
        return cublasLtMatmul(
                handle,
                plan.product(),
                one,
                a.data_ptr(),
                plan.a(),
                b.data_ptr(),
                plan.b(),
                shape.accumulate() ? one : zero,
                d,
                plan.d(),
                d,
                plan.d(),
                algorithm,
                workspace(stream, a).data_ptr(),
                WORKSPACE,
                stream);
    }

    /** One for each stream, since what runs on two of them may overlap. */
    private Tensor workspace(CUstream_st stream, Tensor like) {
        return workspaces.computeIfAbsent(stream == null ? 0 : stream.address(), key -> memory(WORKSPACE, like));
    }

    private static Tensor memory(long bytes, Tensor like) {
        return TensorScope.keeping(() -> torch.empty(
                new long[] {bytes},
                new TensorOptions(ScalarType.Byte).device(new DeviceOptional(like.device())),
                new MemoryFormatOptional()));
    }

    private Plan plan(Shape shape, Tensor a, Tensor b, Tensor bias, Tensor aux) {
        if (!plans.containsKey(shape)) plans.put(shape, search(shape, a, b, bias, aux));
        return plans.get(shape);
    }

    private Plan search(Shape shape, Tensor a, Tensor b, Tensor bias, Tensor aux) {
        Plan plan = new Plan(
                description(shape),
                layout(
                        BF16,
                        shape.transA() ? shape.k() : shape.m(),
                        shape.transA() ? shape.m() : shape.k(),
                        shape.lda(),
                        shape.batch(),
                        shape.strideA()),
                layout(
                        BF16,
                        shape.transB() ? shape.n() : shape.k(),
                        shape.transB() ? shape.k() : shape.n(),
                        shape.ldb(),
                        shape.batch(),
                        shape.strideB()),
                layout(shape.dType(), shape.m(), shape.n(), shape.ldd(), shape.batch(), shape.strideD()),
                TensorScope.keeping(cublasLtMatmulAlgo_t::new));
        try (TensorScope scope = new TensorScope()) {
            point(plan.product(), bias, aux);
            cublasLtMatmulPreferenceOpaque_t preference = new cublasLtMatmulPreferenceOpaque_t();
            Cuda.check(cublasLtMatmulPreferenceInit(preference), "cuBLASLt");
            cublasLtMatmulPreferenceSetAttribute(
                    preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, new LongPointer(new long[] {WORKSPACE}), 8);
            cublasLtMatmulHeuristicResult_t results = new cublasLtMatmulHeuristicResult_t(CANDIDATES);
            IntPointer found = new IntPointer(new int[] {0});
            int status = cublasLtMatmulAlgoGetHeuristic(
                    handle,
                    plan.product(),
                    plan.a(),
                    plan.b(),
                    plan.d(),
                    plan.d(),
                    preference,
                    CANDIDATES,
                    results,
                    found);
            if (status != 0 || found.get() == 0) return null;
            long bytes = shape.batch()
                    * Math.max(shape.strideD(), shape.ldd() * shape.n())
                    * (shape.dType() == FLOAT ? 4 : 2);
            float[] times = new float[found.get()];
            int best = 0;
            try (Tensor out = memory(bytes, a)) {
                // the card's clock wanders, so each has several turns, and its fastest counts
                for (int turn = 0; turn < TURNS; turn++)
                    for (int i = 0; i < times.length; i++) {
                        float time = time(
                                plan, shape, a, b, out, results.getPointer(i).algo());
                        times[i] = turn == 0 ? time : Math.min(times[i], time);
                    }
            }
            for (int i = 1; i < times.length; i++) if (times[i] < times[best]) best = i;
            if (times[best] == Float.POSITIVE_INFINITY) return null;
            plan.algorithm().put((Pointer) results.getPointer(best).algo());
            LOGGER.debug(
                    "{}: algorithm {} of {}, {} ms; cuBLASLt's choice {}",
                    shape,
                    best,
                    times.length,
                    times[best],
                    times[0]);
            return plan;
        }
    }

    /** Milliseconds of one product; infinite if the algorithm does not run. */
    private float time(Plan plan, Shape shape, Tensor a, Tensor b, Tensor out, cublasLtMatmulAlgo_t algorithm) {
        CUstream_st stream = Cuda.stream();
        if (run(plan, shape, a, b, out.data_ptr(), algorithm, stream) != 0) return Float.POSITIVE_INFINITY;
        return (float) stopwatch.milliseconds(() -> run(plan, shape, a, b, out.data_ptr(), algorithm, stream), TRIES);
    }

    private static cublasLtMatmulDescOpaque_t description(Shape shape) {
        cublasLtMatmulDescOpaque_t product = TensorScope.keeping(cublasLtMatmulDescOpaque_t::new);
        Cuda.check(cublasLtMatmulDescInit(product, CUBLAS_COMPUTE_32F, FLOAT), "cuBLASLt");
        try (TensorScope scope = new TensorScope()) {
            set(product, CUBLASLT_MATMUL_DESC_TRANSA, shape.transA() ? CUBLAS_OP_T : CUBLAS_OP_N);
            set(product, CUBLASLT_MATMUL_DESC_TRANSB, shape.transB() ? CUBLAS_OP_T : CUBLAS_OP_N);
            set(product, CUBLASLT_MATMUL_DESC_EPILOGUE, shape.epilogue());
            if ((shape.epilogue() & 128) != 0)
                Cuda.check(
                        cublasLtMatmulDescSetAttribute(
                                product,
                                CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD,
                                new LongPointer(new long[] {shape.ldd()}),
                                8),
                        "cuBLASLt");
        }
        return product;
    }

    private static void set(cublasLtMatmulDescOpaque_t product, int attribute, int value) {
        Cuda.check(
                cublasLtMatmulDescSetAttribute(product, attribute, new IntPointer(new int[] {value}), 4), "cuBLASLt");
    }

    private static void point(cublasLtMatmulDescOpaque_t product, Tensor bias, Tensor aux) {
        if (bias != null)
            cublasLtMatmulDescSetAttribute(
                    product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, new LongPointer(new long[] {Cuda.address(bias)}), 8);
        if (aux != null)
            cublasLtMatmulDescSetAttribute(
                    product,
                    CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
                    new LongPointer(new long[] {Cuda.address(aux)}),
                    8);
    }

    private static cublasLtMatrixLayoutOpaque_t layout(
            int type, long rows, long columns, long ld, int batch, long stride) {
        cublasLtMatrixLayoutOpaque_t layout = TensorScope.keeping(cublasLtMatrixLayoutOpaque_t::new);
        Cuda.check(cublasLtMatrixLayoutInit(layout, type, rows, columns, ld), "cuBLASLt");
        if (batch > 1)
            try (TensorScope scope = new TensorScope()) {
                cublasLtMatrixLayoutSetAttribute(
                        layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, new IntPointer(new int[] {batch}), 4);
                cublasLtMatrixLayoutSetAttribute(
                        layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, new LongPointer(new long[] {stride}), 8);
            }
        return layout;
    }
}
