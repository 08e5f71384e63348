package org.dit4j.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.EventFile;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** How the weights of a training, their gradients and their average are spread, each block by itself. */
public final class Histograms {
    private static final int RANGES = 50;

    private Histograms() {}

    /** {@code weights/blocks.0}, {@code gradients/final_layer}, {@code ema/x_embedder} and so on; without those that are not finite. */
    public static List<EventFile.Value> of(TrainState state) {
        Map<String, Tensor> buffers = new LinkedHashMap<>();
        buffers.put("weights", state.parameters().values());
        buffers.put("gradients", state.parameters().gradients());
        buffers.put("ema", state.average());
        List<EventFile.Value> values = new ArrayList<>();
        buffers.forEach((kind, flat) -> {
            try (TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                Map<String, List<Tensor>> groups = new LinkedHashMap<>();
                state.parameters()
                        .views(flat)
                        .forEach((name, tensor) -> groups.computeIfAbsent(group(name), group -> new ArrayList<>())
                                .add(tensor.flatten()));
                groups.forEach((group, tensors) -> of(
                                kind + "/" + group, Tensors.cat(0, tensors.toArray(Tensor[]::new)))
                        .ifPresent(values::add));
            }
        });
        return values;
    }

    /** {@code blocks.3} of {@code blocks.3.attn.qkv.weight}, {@code x_embedder} of {@code x_embedder.proj.bias}. */
    private static String group(String name) {
        String[] parts = name.split("\\.");
        return parts[0].equals("blocks") ? parts[0] + "." + parts[1] : parts[0];
    }

    private static Optional<EventFile.Value> of(String tag, Tensor all) {
        double[] figures = Tensors.toDoubles(
                Tensors.stack(0, all.min(), all.max(), all.sum(), all.square().sum()));
        double min = figures[0], max = figures[1];
        if (!Double.isFinite(figures[2] + figures[3])) return Optional.empty();
        // fresh weights that are zero, or gradients that hardly differ: a range needs a width whose inverse is a
        // float32
        if (RANGES / (max - min) > Float.MAX_VALUE) {
            min -= 0.5;
            max += 0.5;
        }
        // histc has no deterministic version on CUDA, and refuses there to run where runs are to be repeatable
        Tensor ranges = all.sub(new Scalar(min)).mul(new Scalar(RANGES / (max - min)));
        Tensor inside =
                ranges.clamp_(new ScalarOptional(new Scalar(0.0)), new ScalarOptional(new Scalar(RANGES - 0.5)));
        double[] counts = Tensors.toDoubles(inside.to(ScalarType.Long).bincount(new TensorOptional(), RANGES));
        return Optional.of(EventFile.histogram(tag, min, max, figures[2], figures[3], counts));
    }
}
