package org.dit4j.cuda;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.kernels.FusedKernels.Attended;
import org.dit4j.kernels.Ops;
import org.dit4j.torch.TensorScope;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** LibTorch's two fast attentions, cuDNN's and FlashAttention-2, of which the faster is found for each shape by trying, once in a process. */
final class CudaAttention {
    private static final Logger LOGGER = LoggerFactory.getLogger(CudaAttention.class);
    private static final int TRIES = 10, CUDNN_TOKENS = 128;

    private enum Backend {
        CUDNN,
        FLASH
    }

    /** What an operator returned: the result, the logarithm of the sums, and what only LibTorch knows. */
    private record Kept(Backend backend, Tensor mixed, Tensor out, Tensor logSums, List<IValue> rest)
            implements Attended {
        @Override
        public void close() {
            mixed.close();
            out.close();
            logSums.close();
            rest.forEach(IValue::close);
        }
    }

    private final Map<List<Long>, Backend> fastest = new HashMap<>();
    private final Stopwatch stopwatch;

    CudaAttention(Stopwatch stopwatch) {
        this.stopwatch = stopwatch;
    }

    Attended forward(Tensor qkv, boolean backward) {
        return forward(qkv, backend(qkv, backward));
    }

    private static Kept forward(Tensor qkv, Backend backend) {
        try (TensorScope scope = new TensorScope()) {
            IValueVector stack = new IValueVector();
            for (int i = 0; i < 3; i++) stack.push_back(new IValue(part(qkv, i)));
            if (backend == Backend.CUDNN) {
                stack.push_back(new IValue()); // no bias of the weights
                stack.push_back(new IValue(true)); // with the logarithm of the sums
            }
            stack.push_back(new IValue(0.0)); // dropout
            stack.push_back(new IValue(false)); // causal
            stack.push_back(new IValue(false)); // debug mask
            stack.push_back(new IValue()); // scale: 1 / √d
            Ops.call(name(backend), "", stack);
            Tensor out = TensorScope.detached(new Tensor(stack.get(0).toTensor()));
            Tensor mixed = TensorScope.detached(out.transpose(1, 2).contiguous());
            Tensor logSums = TensorScope.detached(new Tensor(stack.get(1).toTensor()));
            List<IValue> rest = new java.util.ArrayList<>();
            for (int i = 2; i < 8; i++) rest.add(TensorScope.detached(new IValue(stack.get(i))));
            return new Kept(backend, mixed, out, logSums, rest);
        }
    }

    private static String name(Backend backend) {
        return backend == Backend.CUDNN
                ? "aten::_scaled_dot_product_cudnn_attention"
                : "aten::_scaled_dot_product_flash_attention";
    }

    /** Gradients of queries, keys and values, (N, heads, T, d) each, in the scope around the call. */
    Tensor[] backward(Tensor qkv, Attended attended, Tensor mixedGradient) {
        Kept kept = (Kept) attended;
        return TensorScope.localAll(() -> {
            IValueVector stack = new IValueVector();
            stack.push_back(new IValue(mixedGradient.transpose(1, 2)));
            for (int i = 0; i < 3; i++) stack.push_back(new IValue(part(qkv, i)));
            stack.push_back(new IValue(kept.out()));
            stack.push_back(new IValue(kept.logSums()));
            List<IValue> rest = kept.rest(); // cumulative lengths of q and k, longest q and k, seed and offset
            if (kept.backend() == Backend.CUDNN) {
                stack.push_back(rest.get(4));
                stack.push_back(rest.get(5));
                stack.push_back(new IValue(new Tensor())); // no bias of the weights
            }
            for (int i = 0; i < 4; i++) stack.push_back(rest.get(i));
            stack.push_back(new IValue(0.0));
            stack.push_back(new IValue(false));
            if (kept.backend() == Backend.FLASH) {
                stack.push_back(rest.get(4));
                stack.push_back(rest.get(5));
            }
            stack.push_back(new IValue());
            Ops.call(name(kept.backend()) + "_backward", "", stack);
            Tensor[] gradients = new Tensor[3];
            for (int i = 0; i < 3; i++) gradients[i] = new Tensor(stack.get(i).toTensor());
            return gradients;
        });
    }

    /** (N, T, 3, heads, d) → (N, heads, T, d), a view. */
    private static Tensor part(Tensor qkv, int which) {
        return qkv.select(2, which).transpose(1, 2);
    }

    private synchronized Backend backend(Tensor qkv, boolean backward) {
        List<Long> shape = List.of(qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4), backward ? 1L : 0L);
        return fastest.computeIfAbsent(shape, key -> {
            Backend best = null;
            double shortest = 0;
            for (Backend backend : Backend.values()) {
                // cuDNN 9's backward pass of 64 tokens reads past its tensors (compute-sanitizer)
                if (backend == Backend.CUDNN && (qkv.size(1) < CUDNN_TOKENS || qkv.size(1) % CUDNN_TOKENS != 0))
                    continue;
                double time;
                try {
                    time = milliseconds(qkv, backend, backward);
                } catch (RuntimeException e) {
                    LOGGER.info(
                            "attention of {} does not run on {}: {}",
                            key,
                            backend,
                            e.getMessage().lines().findFirst().orElse(""));
                    continue;
                }
                LOGGER.debug("attention of {} on {}: {} ms", key, backend, time);
                if (best == null || time < shortest) {
                    best = backend;
                    shortest = time;
                }
            }
            if (best == null)
                throw new IllegalStateException("neither cuDNN nor FlashAttention computes attention of " + key);
            return best;
        });
    }

    /** Of a forward and, where it will follow, a backward pass on the card. */
    private double milliseconds(Tensor qkv, Backend backend, boolean backward) {
        Runnable once = () -> {
            try (TensorScope scope = new TensorScope();
                    Kept kept = forward(qkv, backend)) {
                if (backward) backward(qkv, kept, kept.mixed());
            }
        };
        return stopwatch.milliseconds(once, TRIES);
    }
}
