package org.dit4j.vae;

import static org.bytedeco.pytorch.global.torch.upsample_nearest2d;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Layers;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.ModuleArray;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.WeightDigest;

/**
 * TAESD, Ollin Boer Bohan's small autoencoder for the latents of Stable Diffusion: 2.4 million parameters in place of 84 million. It gives
 * a mean without a variance. Parameters have the names of diffusers' {@code AutoencoderTiny}.
 */
public final class TinyAutoencoder extends Module implements LatentCodec {
    private static final int WIDTH = 64;
    /** Latents are squeezed into (−3, 3) before they are decoded. */
    private static final double LATENT_MAGNITUDE = 3;

    private final TensorScope layers;
    private final Lifetime lifetime = new Lifetime("this autoencoder", this::free);
    private final int latentChannels;
    private final Sequence encoder, decoder;

    /** @see TinyAutoencoderConfig#network() */
    TinyAutoencoder(TinyAutoencoderConfig config) {
        latentChannels = config.latentChannels();
        layers = new TensorScope();
        try {
            encoder = register_module("encoder", new Sequence());
            encoder.conv(3, WIDTH, 1, true).blocks(1);
            for (int i = 0; i < 3; i++) encoder.conv(WIDTH, WIDTH, 2, false).blocks(3);
            encoder.conv(WIDTH, latentChannels, 1, true);
            decoder = register_module("decoder", new Sequence());
            decoder.conv(latentChannels, WIDTH, 1, true).then(Tensor::relu);
            for (int i = 0; i < 3; i++)
                decoder.blocks(3).then(TinyAutoencoder::twice).conv(WIDTH, WIDTH, 1, false);
            decoder.blocks(1).conv(WIDTH, 3, 1, true);
        } finally {
            layers.suspend();
        }
    }

    private static Tensor twice(Tensor x) {
        return upsample_nearest2d(x, 2 * x.size(2), 2 * x.size(3));
    }

    @Override
    public int channels() {
        return latentChannels;
    }

    @Override
    public int downsampling() {
        return 8;
    }

    @Override
    public LatentScaling scaling() {
        return LatentScaling.TAESD;
    }

    @Override
    public LatentDistribution encode(Tensor images) {
        Shapes.requireImages(images, 3, downsampling());
        return LatentDistribution.ofMean(lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                // inside, pixels are in [0, 1]
                Tensor pixels = images.to(ScalarType.Float).mul(new Scalar(0.5)).add_(new Scalar(0.5));
                return encoder.forward(encoder.like(pixels)).to(ScalarType.Float);
            }
        })));
    }

    @Override
    public Tensor decode(Tensor latents) {
        Shapes.requireLatents(latents, channels());
        return lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                Tensor rawLatents = scaling().toRawLatents(latents.to(ScalarType.Float));
                Tensor squeezed =
                        rawLatents.div(new Scalar(LATENT_MAGNITUDE)).tanh_().mul_(new Scalar(LATENT_MAGNITUDE));
                return decoder.forward(decoder.like(squeezed))
                        .to(ScalarType.Float)
                        .mul_(new Scalar(2.0))
                        .sub_(new Scalar(1.0));
            }
        }));
    }

    @Override
    public String encoderDigest() {
        return lifetime.use(() -> WeightDigest.of(this, ScalarType.BFloat16, name -> name.startsWith("encoder.")));
    }

    @Override
    public void to(Device device, ScalarType dtype) {
        Weights.requireComputable(dtype);
        lifetime.use(() -> {
            to(device, dtype, false);
            return null;
        });
    }

    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        if (isNull()) return;
        Weights.free(this);
        super.close();
        layers.close();
    }

    /** Layers in a row, numbered as in the checkpoint, where those without parameters have a number too. */
    private static final class Sequence extends Module {
        private final ModuleArray<Module> layers = new ModuleArray<>(this, "layers");
        private final List<UnaryOperator<Tensor>> functions = new ArrayList<>();
        private Conv2dImpl first;

        Sequence conv(int in, int out, int stride, boolean bias) {
            Conv2dImpl conv = Layers.conv2d(in, out, 3, stride, 1, bias);
            layers.put(Integer.toString(functions.size()), conv);
            if (first == null) first = conv;
            return then(conv::forward);
        }

        Sequence blocks(int count) {
            for (int i = 0; i < count; i++) {
                Block block = new Block();
                layers.put(Integer.toString(functions.size()), block);
                then(block::forward);
            }
            return this;
        }

        Sequence then(UnaryOperator<Tensor> function) {
            functions.add(function);
            return this;
        }

        Tensor like(Tensor x) {
            return Weights.like(first, x);
        }

        Tensor forward(Tensor x) {
            for (UnaryOperator<Tensor> function : functions) x = Activations.pass(x, function);
            return x;
        }
    }

    /** relu(conv(relu(conv(relu(conv(x))))) + x). */
    private static final class Block extends Module {
        private final Conv2dImpl conv0, conv2, conv4;

        Block() {
            ModuleArray<Conv2dImpl> conv = new ModuleArray<>(this, "conv");
            conv0 = conv.put("0", Layers.conv2d(WIDTH, WIDTH, 3, 1, 1, true));
            conv2 = conv.put("2", Layers.conv2d(WIDTH, WIDTH, 3, 1, 1, true));
            conv4 = conv.put("4", Layers.conv2d(WIDTH, WIDTH, 3, 1, 1, true));
        }

        Tensor forward(Tensor x) {
            Tensor h = conv2.forward(conv0.forward(x).relu_()).relu_();
            // the method relu_ gives back the same owner; the function torch.relu_ would give one that dies with this
            // scope
            return conv4.forward(h).add_(x).relu_();
        }
    }
}
