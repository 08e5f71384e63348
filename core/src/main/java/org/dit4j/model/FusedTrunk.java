package org.dit4j.model;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.kernels.FusedKernels;
import org.dit4j.kernels.FusedKernels.Modulation;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The adaLN-Zero trunk with a forward and a backward pass of its own. The residual stream stays wide (float32); what goes through products is in
 * the compute dtype (bfloat16). Between two branches lies one {@link FusedKernels#junction}, 2 · depth + 1 in all. Of each block the backward
 * pass needs its input, the projections, the attention's result, what goes into the GELU and both branches; it computes again what is normalised
 * and what comes out of the GELU, which takes no product. Embedders and conditioning, which are small, are computed wide, the conditioning
 * by autograd.
 */
final class FusedTrunk implements AutoCloseable {
    private final DiT network;
    private final DiTConfig config;
    private final FusedKernels kernels;
    private final Map<String, Tensor> weights, masters, gradients;
    private final Tensor modulationWeights, modulationBiases, modulationWeightGradients, modulationBiasGradients;
    private final ScalarType compute, wide;
    private final int depth, d;
    private static final int MOST_ANSWERS = 3;

    private final Map<List<Long>, Asked> answers = new HashMap<>();
    private Activations activations;
    private Tensor conditioning, leafConditioning;

    /** @param parameters the network's, with weights in the compute dtype; gradients are added to its gradients */
    FusedTrunk(DiT network, FlatParameters parameters, FusedKernels kernels) {
        this.network = network;
        this.kernels = kernels;
        config = network.config();
        depth = config.depth();
        d = config.hiddenSize();
        compute = Tensors.dtype(parameters.weights());
        wide = Tensors.dtype(parameters.values());
        weights = kept(parameters, parameters.weights());
        masters = kept(parameters, parameters.values());
        gradients = kept(parameters, parameters.gradients());
        modulationWeights = ofAllBlocks(weights, "adaLN_modulation.1.weight");
        modulationBiases = ofAllBlocks(weights, "adaLN_modulation.1.bias");
        modulationWeightGradients = ofAllBlocks(gradients, "adaLN_modulation.1.weight");
        modulationBiasGradients = ofAllBlocks(gradients, "adaLN_modulation.1.bias");
    }

    /**
     * Of a network that is not trained.
     *
     * @param network with all weights in the compute dtype; they stay what they are
     * @param wide of the residual stream
     */
    FusedTrunk(DiT network, ScalarType wide, FusedKernels kernels) {
        this.network = network;
        this.kernels = kernels;
        this.wide = wide;
        config = network.config();
        depth = config.depth();
        d = config.hiddenSize();
        weights = new LinkedHashMap<>();
        masters = new LinkedHashMap<>();
        gradients = Map.of();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            StateDict.of(network).forEach((name, tensor) -> {
                weights.put(name, TensorScope.detached(tensor));
                if (name.startsWith("x_embedder") || name.startsWith("final_layer"))
                    masters.put(name, TensorScope.detached(tensor.to(wide)));
            });
        }
        compute = Tensors.dtype(weights.get("x_embedder.proj.weight"));
        modulationWeights = stacked("adaLN_modulation.1.weight");
        modulationBiases = stacked("adaLN_modulation.1.bias");
        modulationWeightGradients = null;
        modulationBiasGradients = null;
    }

    /** A copy of the same parameter of all blocks, (depth, …). */
    private Tensor stacked(String name) {
        Tensor[] each = new Tensor[depth];
        for (int i = 0; i < depth; i++) each[i] = weight(i, name);
        try (NoGradGuard noGrad = new NoGradGuard()) {
            return TensorScope.keeping(() -> Tensors.stack(0, each));
        }
    }

    private static Map<String, Tensor> kept(FlatParameters parameters, Tensor flat) {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> views = new LinkedHashMap<>();
            parameters.views(flat).forEach((name, view) -> views.put(name, TensorScope.detached(view)));
            return views;
        }
    }

    private static String block(int i, String name) {
        return "blocks." + i + "." + name;
    }

    /** The same parameter of all blocks, (depth, …): in a flat buffer they lie at equal distances. */
    private Tensor ofAllBlocks(Map<String, Tensor> views, String name) {
        return TensorScope.keeping(() -> {
            Tensor first = views.get(block(0, name));
            long[] shape = first.shape(), all = new long[shape.length + 1], strides = new long[shape.length + 1];
            all[0] = depth;
            strides[0] =
                    depth == 1 ? first.numel() : views.get(block(1, name)).storage_offset() - first.storage_offset();
            for (int i = 0; i < shape.length; i++) {
                all[i + 1] = shape[i];
                strides[i + 1] = first.stride(i);
            }
            return first.as_strided(all, strides, new LongOptional(first.storage_offset()));
        });
    }

    /** As {@link Trunk#forward}. */
    Tensor forward(Tensor x, Tensor t, Tensor y) {
        network.requireInput(x);
        conditioning = network.condition(t, y);
        leafConditioning = conditioning.detach();
        return TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                return predict(activations(x.size(0)), x, leafConditioning);
            }
        });
    }

    private Tensor predict(Activations a, Tensor x, Tensor conditioning) {
        modulate(a, conditioning);
        embed(x, a);
        for (int i = 0; i < depth; i++) block(i, a);
        junction(2 * depth, a, a.stream[depth]);
        kernels.linear(
                a.normal[2 * depth],
                weights.get("final_layer.linear.weight"),
                weights.get("final_layer.linear.bias"),
                a.last);
        return network.unpatchify(a.last.to(wide).view(a.n, config.tokens(), -1));
    }

    /** What a batch size needs to be asked again and again: its memory, and where a device can, its work as one graph. */
    private final class Asked implements AutoCloseable {
        final Activations activations;
        final Tensor x, t, y, prediction;
        final FusedKernels.Replay replay;

        Asked(Tensor x, Tensor t, Tensor y) {
            activations =
                    new Activations(config, x.size(0), compute, wide, false, masters.get("final_layer.linear.bias"));
            this.x = TensorScope.keeping(() -> x.to(wide).clone());
            this.t = TensorScope.keeping(() -> t.to(ScalarType.Float).clone());
            this.y = y == null ? null : TensorScope.keeping(y::clone);
            prediction = TensorScope.keeping(() -> torch.zeros(
                    new long[] {x.size(0), config.outChannels(), config.inputHeight(), config.inputWidth()},
                    this.x.options()));
            replay = kernels.capture(() -> {
                try (TensorScope scope = new TensorScope()) {
                    prediction.copy_(predicted());
                }
            });
        }

        private Tensor predicted() {
            return predict(activations, x, network.condition(t, y).to(wide));
        }

        Tensor ask(Tensor x, Tensor t, Tensor y) {
            this.x.copy_(x);
            this.t.copy_(t);
            if (y != null) this.y.copy_(y);
            replay.run();
            return prediction.clone();
        }

        @Override
        public void close() {
            replay.close();
            activations.close();
            prediction.close();
            x.close();
            t.close();
            if (y != null) y.close();
        }
    }

    /** As {@link Trunk#predict}; one thread at a time, others wait. */
    synchronized Tensor ask(Tensor x, Tensor t, Tensor y) {
        network.requireInput(x);
        return TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                List<Long> key = y == null ? List.of(x.size(0)) : List.of(x.size(0), y.dim());
                Asked asked = answers.get(key);
                if (asked == null) {
                    if (answers.size() >= MOST_ANSWERS) forget();
                    asked = new Asked(x, t, y);
                    answers.put(key, asked);
                }
                return asked.ask(x, t, y);
            }
        });
    }

    private void forget() {
        answers.values().forEach(Asked::close);
        answers.clear();
    }

    private Activations activations(long n) {
        if (activations != null && activations.n == n) return activations;
        if (activations != null) activations.close();
        return activations = new Activations(config, n, compute, wide, true, masters.get("final_layer.linear.bias"));
    }

    private void modulate(Activations a, Tensor conditioning) {
        kernels.modulations(conditioning.to(compute), modulationWeights, modulationBiases, a.modulations);
        Tensor weight = masters.get("final_layer.adaLN_modulation.1.weight");
        a.finalModulation.copy_(
                torch.addmm(masters.get("final_layer.adaLN_modulation.1.bias"), conditioning, weight.t()));
    }

    private void embed(Tensor x, Activations a) {
        long p = config.patchSize(), h = config.inputHeight() / p, w = config.inputWidth() / p;
        a.patches.copy_(x.view(a.n, config.inChannels(), h, p, w, p)
                .permute(0, 2, 4, 1, 3, 5)
                .reshape(a.patches.shape()));
        Tensor weight = masters.get("x_embedder.proj.weight").view(d, -1);
        Tensor tokens = torch.addmm(masters.get("x_embedder.proj.bias"), a.patches, weight.t());
        a.stream[0].copy_(tokens.view(a.n, -1, d).add(network.positions()).view(a.m, d));
    }

    private void block(int i, Activations a) {
        junction(2 * i, a, a.stream[i]);
        kernels.linear(
                a.normal[2 * i], weight(i, "attn.qkv.weight"), weight(i, "attn.qkv.bias"), a.qkv[i].view(a.m, -1));
        a.keep(i, kernels.attention(a.qkv[i], a.backward));
        kernels.linear(
                a.kept(i).mixed().view(a.m, d),
                weight(i, "attn.proj.weight"),
                weight(i, "attn.proj.bias"),
                a.attended[i]);
        junction(2 * i + 1, a, a.middle[i]);
        kernels.linearGelu(
                a.normal[2 * i + 1],
                weight(i, "mlp.fc1.weight"),
                weight(i, "mlp.fc1.bias"),
                a.hidden[i],
                a.activated[i]);
        kernels.linear(a.activated[i], weight(i, "mlp.fc2.weight"), weight(i, "mlp.fc2.bias"), a.mlp[i]);
    }

    /**
     * The junction before branch {@code j}: block j / 2's attention where j is even, its MLP where j is odd, the final layer where j is
     * 2 · depth. Leaves what is normalised in {@code normal}.
     */
    private void junction(int j, Activations a, Tensor sum) {
        Tensor before = j % 2 == 0 ? a.stream[Math.max(0, j / 2 - 1)] : a.stream[j / 2];
        if (j > 0 && j % 2 == 0) before = a.middle[j / 2 - 1];
        kernels.junction(
                before,
                branchBefore(j, a),
                modulation(j, a.modulations, a.finalModulation),
                eps(j),
                sum,
                a.normal[j],
                a.statistics[j]);
    }

    /** The branch that ends in junction {@code j}; null in the first. */
    private Tensor branchBefore(int j, Activations a) {
        if (j == 0) return null;
        return j % 2 == 0 ? a.mlp[j / 2 - 1] : a.attended[j / 2];
    }

    /** Shift and scale of the branch that begins, gate of the one that ends. */
    private Modulation modulation(int j, Tensor ofBlocks, Tensor ofFinalLayer) {
        int begins = j % 2 == 0 ? 0 : 3, ends = j % 2 == 0 ? 5 : 2;
        Tensor shift = j < 2 * depth ? part(ofBlocks, j / 2, begins) : ofFinalLayer.narrow(1, 0, d);
        Tensor scale = j < 2 * depth ? part(ofBlocks, j / 2, begins + 1) : ofFinalLayer.narrow(1, d, d);
        Tensor gate = j == 0 ? null : part(ofBlocks, (j - 1) / 2, ends);
        return new Modulation(shift, scale, gate);
    }

    private Tensor part(Tensor modulations, int block, int which) {
        return modulations.select(0, block).narrow(1, (long) which * d, d);
    }

    private double eps(int j) {
        return j % 2 == 0 ? Norms.EPS : network.profile().mlpNormEps();
    }

    /** As {@link Trunk#backward}. */
    void backward(Tensor predictionGradient) {
        Tensor conditioningGradient;
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Activations a = activations;
            backwardOfFinalLayer(predictionGradient, a);
            for (int i = depth - 1; i >= 0; i--) {
                backwardOfMlp(i, a);
                backwardOfAttention(i, a);
            }
            backwardOfEmbedding(a);
            conditioningGradient = TensorScope.detached(backwardOfModulation(a));
        }
        try (conditioningGradient) {
            Gradients.backward(conditioning, conditioningGradient);
        }
    }

    private void backwardOfFinalLayer(Tensor predictionGradient, Activations a) {
        long p = config.patchSize(), h = config.inputHeight() / p, w = config.inputWidth() / p;
        Tensor outputs = predictionGradient
                .view(a.n, config.outChannels(), h, p, w, p)
                .permute(0, 2, 4, 3, 5, 1)
                .reshape(a.m, -1);
        gradients.get("final_layer.linear.bias").add_(outputs.sum(0));
        a.last.copy_(outputs);
        a.gradient.zero_();
        kernels.weightGradient(a.last, a.normal[2 * depth], gradients.get("final_layer.linear.weight"));
        kernels.linearBackward(a.last, weights.get("final_layer.linear.weight"), a.normalGradient);
        backwardOfJunction(2 * depth, a, a.stream[depth], gradients.get(block(depth - 1, "mlp.fc2.bias")));
    }

    private void backwardOfMlp(int i, Activations a) {
        if (!a.keepsAll) junction(2 * i + 1, a, a.middle[i]);
        kernels.linearGeluBackward(
                a.branchGradient,
                weight(i, "mlp.fc2.weight"),
                a.hidden[i],
                a.keepsAll ? null : a.activated[i],
                a.hiddenGradient,
                gradient(i, "mlp.fc1.bias"));
        kernels.weightGradient(a.branchGradient, a.activated[i], gradient(i, "mlp.fc2.weight"));
        kernels.weightGradient(a.hiddenGradient, a.normal[2 * i + 1], gradient(i, "mlp.fc1.weight"));
        kernels.linearBackward(a.hiddenGradient, weight(i, "mlp.fc1.weight"), a.normalGradient);
        backwardOfJunction(2 * i + 1, a, a.middle[i], gradient(i, "attn.proj.bias"));
    }

    private void backwardOfAttention(int i, Activations a) {
        Tensor mixed = a.kept(i).mixed().view(a.m, d), projections = a.qkvGradient.view(a.m, -1);
        kernels.weightGradient(a.branchGradient, mixed, gradient(i, "attn.proj.weight"));
        kernels.linearBackward(a.branchGradient, weight(i, "attn.proj.weight"), a.mixedGradient.view(a.m, d));
        kernels.attentionBackward(a.qkv[i], a.kept(i), a.mixedGradient, a.qkvGradient, gradient(i, "attn.qkv.bias"));
        if (!a.keepsAll)
            kernels.junction(
                    a.stream[i],
                    null,
                    modulation(2 * i, a.modulations, null),
                    eps(2 * i),
                    a.stream[i],
                    a.normal[2 * i],
                    a.statistics[2 * i]);
        kernels.weightGradient(projections, a.normal[2 * i], gradient(i, "attn.qkv.weight"));
        kernels.linearBackward(projections, weight(i, "attn.qkv.weight"), a.normalGradient);
        backwardOfJunction(2 * i, a, a.stream[i], i == 0 ? null : gradient(i - 1, "mlp.fc2.bias"));
    }

    private void backwardOfJunction(int j, Activations a, Tensor sum, Tensor biasGradient) {
        kernels.junctionBackward(
                a.normalGradient,
                sum,
                a.statistics[j],
                branchBefore(j, a),
                modulation(j, a.modulations, a.finalModulation),
                a.gradient,
                a.branchGradient,
                biasGradient,
                modulation(j, a.modulationGradients, a.finalModulationGradient));
    }

    private void backwardOfEmbedding(Activations a) {
        gradients.get("x_embedder.proj.weight").view(d, -1).add_(a.gradient.t().matmul(a.patches));
        gradients.get("x_embedder.proj.bias").add_(a.gradient.sum(0));
    }

    /** d loss / d conditioning, (N, D) wide. */
    private Tensor backwardOfModulation(Activations a) {
        Tensor weight = masters.get("final_layer.adaLN_modulation.1.weight");
        Tensor into = a.finalModulationGradient.matmul(weight);
        gradients
                .get("final_layer.adaLN_modulation.1.weight")
                .add_(a.finalModulationGradient.t().matmul(leafConditioning));
        gradients.get("final_layer.adaLN_modulation.1.bias").add_(a.finalModulationGradient.sum(0));
        kernels.modulationsBackward(
                a.modulationGradients,
                leafConditioning.to(compute),
                modulationWeights,
                modulationWeightGradients,
                modulationBiasGradients,
                into);
        return into;
    }

    private Tensor weight(int block, String name) {
        return weights.get(block(block, name));
    }

    private Tensor gradient(int block, String name) {
        return gradients.get(block(block, name));
    }

    @Override
    public void close() {
        if (activations != null) activations.close();
        forget();
        for (Map<String, Tensor> views : List.of(weights, masters, gradients))
            views.values().forEach(Tensor::close);
        modulationWeights.close();
        modulationBiases.close();
        if (modulationWeightGradients == null) return;
        modulationWeightGradients.close();
        modulationBiasGradients.close();
    }
}
