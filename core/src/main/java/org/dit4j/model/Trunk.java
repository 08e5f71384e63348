package org.dit4j.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.kernels.FusedKernels;
import org.dit4j.kernels.KernelLookup;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;

/**
 * How a network is computed: the trainer's and the pipeline's one way through it, and the one place to be fast. {@link #predict} is for who
 * only asks; {@link #forward} and {@link #backward} belong together and are for one thread. The objective stops at the prediction: it gives
 * d loss / d prediction, and {@link #backward} takes it from there into the gradients of the parameters.
 */
public abstract sealed class Trunk implements AutoCloseable {
    final DiT network;
    private final Precision precision;
    private final DeviceType device;

    private Trunk(DiT network, Precision precision, DeviceType device) {
        this.network = network;
        this.precision = precision;
        this.device = device;
    }

    /**
     * LibTorch's autograd over the plain blocks.
     *
     * @param precision the network's weights have its dtype; gradients have theirs
     * @param recompute keep only the input of each block and compute the rest again in the backward pass: about a third more arithmetic for a
     *     fraction of the memory
     */
    public static Trunk of(DiT network, Precision precision, boolean recompute, DeviceType device) {
        return recompute ? new Recomputing(network, precision, device) : new Plain(network, precision, device);
    }

    /**
     * A forward and a backward pass of its own, with products in the dtype of {@code parameters}' weights; for adaLN-Zero.
     *
     * @param parameters the network's; its gradients are added to
     */
    public static Trunk fused(DiT network, FlatParameters parameters, FusedKernels kernels, DeviceType device) {
        return new Fused(network, new FusedTrunk(network, parameters, kernels), device);
    }

    /** Bytes that {@link #fused(DiT, FlatParameters, FusedKernels, DeviceType)} keeps for so many images at once, products in bfloat16. */
    public static long fusedBytes(DiTConfig config, long images) {
        return Activations.bytes(config, images);
    }

    /**
     * The fused trunk of a network that is not trained, whose weights have the dtype of products: it predicts only. Where the device can, the
     * work of a batch size is captured and started as a whole.
     */
    public static Trunk fused(DiT network, FusedKernels kernels, DeviceType device) {
        return new Fused(network, new FusedTrunk(network, ScalarType.Float, kernels), device);
    }

    /**
     * The fastest way to ask a network that is not trained, whose weights have the dtype of {@code precision}: on a card in BF16 the fused
     * trunk, where the network has one.
     */
    public static Trunk toPredict(DiT network, Precision precision, Device device) {
        DeviceType kind = device.type().intern();
        return precision == Precision.BF16 && device.is_cuda() && network.canFuse()
                ? fused(network, KernelLookup.fusedOf(device), kind)
                : of(network, precision, false, kind);
    }

    /**
     * The prediction in float32, (N, outChannels, H, W), as {@link DiT#forward}, without a graph: nothing of a block outlives it. Any number
     * of threads may ask at once.
     */
    public Tensor predict(Tensor x, Tensor t, Tensor y) {
        return network.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                Tensor conditioning = cast(() -> network.condition(t, y));
                Tensor tokens = TensorScope.local(() -> cast(() -> network.embed(x, conditioning)));
                for (DiTBlock block : network.blocks()) {
                    Tensor input = tokens;
                    tokens = TensorScope.local(() -> cast(() -> block.forward(input, conditioning)));
                    input.close();
                }
                Tensor last = tokens;
                return cast(() -> network.decode(last, conditioning)).to(ScalarType.Float);
            }
        }));
    }

    /** As {@link #predict}, and keeps what {@link #backward} needs. */
    public abstract Tensor forward(Tensor x, Tensor t, Tensor y);

    /** Adds d loss / d parameter to the parameters' gradients, given d loss / d prediction of the last {@link #forward}. */
    public abstract void backward(Tensor gradient);

    final Tensor cast(Supplier<Tensor> body) {
        return precision.compute(device, body);
    }

    /** Frees what is kept from step to step. */
    @Override
    public void close() {}

    /** The one written by hand. */
    private static final class Fused extends Trunk {
        private final FusedTrunk trunk;
        private final Lifetime lifetime;

        Fused(DiT network, FusedTrunk trunk, DeviceType device) {
            super(network, Precision.AUTOCAST, device);
            this.trunk = trunk;
            lifetime = new Lifetime("this trunk", trunk::close);
        }

        @Override
        public Tensor predict(Tensor x, Tensor t, Tensor y) {
            return lifetime.use(() -> trunk.ask(x, t, y));
        }

        @Override
        public Tensor forward(Tensor x, Tensor t, Tensor y) {
            return lifetime.use(() -> trunk.forward(x, t, y));
        }

        @Override
        public void backward(Tensor gradient) {
            lifetime.use(() -> {
                trunk.backward(gradient);
                return null;
            });
        }

        @Override
        public void close() {
            lifetime.close();
        }
    }

    /** Autograd over the whole network. */
    private static final class Plain extends Trunk {
        private Tensor prediction;

        Plain(DiT network, Precision precision, DeviceType device) {
            super(network, precision, device);
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
    private static final class Recomputing extends Trunk {
        private final List<Tensor> inputs = new ArrayList<>();
        private Tensor conditioning, leafConditioning, embedded, leafTokens, prediction;

        Recomputing(DiT network, Precision precision, DeviceType device) {
            super(network, precision, device);
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
