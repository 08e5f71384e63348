package org.dit4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Autocast;
import org.dit4j.torch.TensorScope;

/**
 * One forward pass of a network that is being trained and the backward pass that belongs to it. The objective stops at the prediction: it
 * gives d loss / d prediction, and {@link #backward} takes it from there into the gradients of the parameters.
 */
public abstract sealed class TrainingPass {
    final DiT network;
    private final boolean bf16;
    private final DeviceType device;

    private TrainingPass(DiT network, boolean bf16, DeviceType device) {
        this.network = network;
        this.bf16 = bf16;
        this.device = device;
    }

    /**
     * @param bf16 run the matrix products in bfloat16 (autocast); parameters, gradients and the prediction stay float32
     * @param recompute keep only the input of each block and compute the rest again in the backward pass: about a third more arithmetic for a
     *     fraction of the memory
     */
    public static TrainingPass of(DiT network, boolean bf16, boolean recompute, DeviceType device) {
        return recompute ? new Recomputing(network, bf16, device) : new Whole(network, bf16, device);
    }

    /** The prediction in float32, (N, outChannels, H, W); as {@link DiT#forward}. */
    public abstract Tensor forward(Tensor x, Tensor t, Tensor y);

    /** Adds d loss / d parameter to the parameters' gradients, given d loss / d prediction of the last {@link #forward}. */
    public abstract void backward(Tensor gradient);

    Tensor cast(Supplier<Tensor> body) {
        if (!bf16) return body.get();
        try (Autocast autocast = new Autocast(device)) {
            return body.get();
        }
    }

    /** LibTorch's autograd over the whole network. */
    private static final class Whole extends TrainingPass {
        private Tensor prediction;

        Whole(DiT network, boolean bf16, DeviceType device) {
            super(network, bf16, device);
        }

        @Override
        public Tensor forward(Tensor x, Tensor t, Tensor y) {
            prediction = cast(() -> network.forward(x, t, y)).to(ScalarType.Float);
            return prediction.detach();
        }

        @Override
        public void backward(Tensor gradient) {
            Gradients.backward(prediction, gradient);
        }
    }

    /** Autograd over one block at a time. */
    private static final class Recomputing extends TrainingPass {
        private final List<Tensor> inputs = new ArrayList<>();
        private Tensor conditioning, leafConditioning, embedded, leafTokens, prediction;

        Recomputing(DiT network, boolean bf16, DeviceType device) {
            super(network, bf16, device);
        }

        @Override
        public Tensor forward(Tensor x, Tensor t, Tensor y) {
            inputs.clear();
            conditioning = cast(() -> network.condition(t, y));
            leafConditioning = leaf(conditioning);
            embedded = cast(() -> network.embed(x, conditioning));
            Tensor tokens = embedded.detach();
            try (NoGradGuard noGrad = new NoGradGuard()) {
                for (DiTBlock block : network.blocks()) {
                    inputs.add(tokens);
                    Tensor input = tokens;
                    tokens = TensorScope.local(() -> cast(() -> block.forward(input, leafConditioning)));
                }
            }
            leafTokens = leaf(tokens);
            prediction =
                    cast(() -> network.decode(leafTokens, leafConditioning)).to(ScalarType.Float);
            return prediction.detach();
        }

        @Override
        public void backward(Tensor gradient) {
            Gradients.backward(prediction, gradient);
            Tensor flowing = new Tensor(leafTokens.grad()); // grad() points into its tensor
            for (int i = inputs.size() - 1; i >= 0; i--) {
                DiTBlock block = network.blocks().get(i);
                Tensor input = leaf(inputs.get(i)), above = flowing;
                flowing = TensorScope.local(() -> {
                    Gradients.backward(cast(() -> block.forward(input, leafConditioning)), above);
                    return new Tensor(input.grad()); // grad() points into its tensor
                });
            }
            // the conditioning also reaches the embedded tokens where it is in context, so its graph must outlive the
            // first of the two
            Gradients.backwardKeepingGraph(embedded, flowing);
            Tensor intoConditioning = leafConditioning.grad();
            if (intoConditioning.defined()) Gradients.backward(conditioning, intoConditioning);
        }

        private static Tensor leaf(Tensor tensor) {
            return tensor.detach().requires_grad_(true);
        }
    }
}
