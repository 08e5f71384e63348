package org.dit4j;

import java.util.Map;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.TensorScope;

/**
 * The recipe that golden files of full-size networks name in their metadata instead of holding the weights: numbers of LibTorch's CPU
 * generator, walked through the state dict in order.
 */
public final class RecipeWeights {
    private RecipeWeights() {}

    /**
     * For every floating-point tensor but {@code pos_embed} and {@code num_batches_tracked}: n = randn(shape); with two or more dimensions
     * n / √(numel / shape[0]); a running variance 0.5 + n²; a one-dimensional weight 1 + 0.02 n; every other one 0.02 n.
     */
    public static void fill(Map<String, Tensor> stateInOrder, long seed) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Generator generator = torch.make_generator_cpu(seed);
            stateInOrder.forEach((key, tensor) -> {
                if (key.endsWith("num_batches_tracked") || key.equals("pos_embed") || !tensor.is_floating_point())
                    return;
                try (TensorScope one = new TensorScope()) {
                    Tensor n = torch.randn(tensor.shape(), new GeneratorOptional(generator));
                    tensor.copy_(shaped(key, n));
                }
            });
        }
    }

    private static Tensor shaped(String key, Tensor n) {
        if (n.dim() >= 2) return n.div(new Scalar(Math.sqrt((double) n.numel() / n.size(0))));
        if (key.endsWith("running_var")) return n.mul(n).add(new Scalar(0.5));
        if (key.endsWith(".weight")) return n.mul(new Scalar(0.02)).add(new Scalar(1));
        return n.mul(new Scalar(0.02));
    }
}
