package org.dit4j.io;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/** Numbers that are none, checked where weights come in and where pictures go out: between the two they are a black picture. */
public final class Finite {
    static {
        Backend.configure();
    }

    private Finite() {}

    /**
     * Checks weights that were just read; one pass over their memory.
     *
     * @param file for the message
     * @throws FormatException naming the first tensor that has NaN or infinite numbers, and how many
     */
    public static void requireWeights(Path file, Map<String, Tensor> tensors) throws FormatException {
        for (Map.Entry<String, Tensor> named : tensors.entrySet()) {
            Tensor tensor = named.getValue();
            long strange = tensor == null ? 0 : notFinite(tensor);
            if (strange == 0) continue;
            String half = Dtypes.of(tensor) == ScalarType.Half
                    ? "; numbers above 65504 are infinite in float16, so take the file in float32 or bfloat16"
                    : "; take another copy of the file, or a checkpoint from before the training diverged";
            throw new FormatException(
                    file,
                    String.format(
                            Locale.ROOT,
                            "%s has %d NaN or infinite numbers among its %d, with which nothing can be drawn or trained%s",
                            named.getKey(),
                            strange,
                            tensor.numel(),
                            half));
        }
    }

    /**
     * Checks pictures, or the latents before them.
     *
     * @param pictures (N, …)
     * @param what they are, as the message begins: "the pictures"
     * @param cause the likely cause and what to do, for the message; may be empty
     * @throws IllegalStateException if a number is NaN or infinite
     */
    public static void requirePictures(Tensor pictures, String what, String cause) {
        long strange = notFinite(pictures);
        if (strange > 0)
            throw new IllegalStateException(what + " have " + strange + " NaN or infinite numbers among "
                    + pictures.numel() + (cause.isEmpty() ? "" : ": " + cause));
    }

    private static long notFinite(Tensor tensor) {
        if (!tensor.is_floating_point() && !tensor.is_complex()) return 0;
        try (TensorScope scope = new TensorScope()) {
            boolean small = tensor.element_size() == 1; // float8 has no sum
            Tensor numbers = small ? tensor.to(ScalarType.Float) : tensor;
            // a sum is finite only if all are, and costs a quarter of looking at each; it may also overflow
            if (!tensor.is_complex() && Double.isFinite(numbers.sum().item_double())) return 0;
            return numbers.isfinite().logical_not().sum().item_long();
        }
    }
}
