package org.dit4j.eval;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.Golden;
import org.dit4j.torch.Precision;
import org.dit4j.torch.Tensors;

/** Inception with the weights of a recipe, since the published ones are not at hand. */
final class InceptionFixture {
    static final String FILE = "inception/recipe.io.safetensors";

    private InceptionFixture() {}

    /**
     * The recipe of the golden file: for each tensor, in the order of {@code shapes.json}, one normal number for each element; matrices and
     * kernels times √(1.6 · rows / elements), and so on.
     */
    static Map<String, Tensor> weights(long seed) {
        Map<String, Tensor> weights = new LinkedHashMap<>();
        Generator generator = torch.make_generator_cpu(seed);
        for (Map.Entry<String, JsonNode> entry :
                Golden.json("inception/shapes.json").properties()) {
            String name = entry.getKey();
            if (name.endsWith("num_batches_tracked")) continue;
            long[] shape = new long[entry.getValue().size()];
            for (int i = 0; i < shape.length; i++)
                shape[i] = entry.getValue().get(i).asLong();
            Tensor n = torch.randn(shape, new GeneratorOptional(generator));
            weights.put(name, scaled(name, n));
        }
        return weights;
    }

    private static Tensor scaled(String name, Tensor n) {
        if (n.dim() >= 2) return n.mul(new Scalar(Math.sqrt(1.6 * n.size(0) / n.numel())));
        if (name.endsWith(".running_var"))
            return n.sigmoid().mul(new Scalar(0.4)).add(new Scalar(0.6));
        if (name.endsWith(".weight")) return n.mul(new Scalar(0.1)).add(new Scalar(1.0));
        return n.mul(new Scalar(0.1));
    }

    /** The caller closes it. */
    static InceptionV3 network(InceptionV3.Profile profile) {
        long seed = Long.parseLong(Golden.metadata(FILE).get("seed"));
        return InceptionV3.of(
                weights(seed), "recipe", profile, System.getProperty("dit.device", "cpu"), Precision.FP32);
    }

    /** (n, 3, height, width) of random levels. */
    static Tensor pictures(int n, int height, int width, long seed) {
        byte[] levels = new byte[n * 3 * height * width];
        new java.util.Random(seed).nextBytes(levels);
        return Tensors.of(levels, n, 3, height, width);
    }
}
