package org.dit4j.vae;

import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Layers;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.WeightDigest;

/**
 * The autoencoder of Stable Diffusion (Rombach et al., 2022, <i>High-Resolution Image Synthesis with Latent Diffusion Models</i>), in
 * which the published DiTs live. Parameters have the current names and the order of diffusers' {@code AutoencoderKL}.
 */
public final class AutoencoderKl extends Module implements LatentCodec {
    private final TensorScope layers;
    private final Lifetime lifetime = new Lifetime("this autoencoder", this::free);
    private final AutoencoderKlConfig config;
    final KlEncoder encoder;
    private final KlDecoder decoder;
    final Conv2dImpl quantConv; // null where the configuration has none
    private final Conv2dImpl postQuantConv; // null where the configuration has none

    /** @see AutoencoderKlConfig#network() */
    AutoencoderKl(AutoencoderKlConfig config) {
        this.config = config;
        long c = config.latentChannels();
        layers = new TensorScope();
        try {
            encoder = register_module("encoder", new KlEncoder(config));
            decoder = register_module("decoder", new KlDecoder(config));
            quantConv = config.quantConv()
                    ? register_module("quant_conv", Layers.conv2d(2 * c, 2 * c, 1, 1, 0, true))
                    : null;
            postQuantConv = config.postQuantConv()
                    ? register_module("post_quant_conv", Layers.conv2d(c, c, 1, 1, 0, true))
                    : null;
        } finally {
            layers.suspend();
        }
    }

    /** What this network was built from. */
    public AutoencoderKlConfig config() {
        return config;
    }

    @Override
    public int channels() {
        return config.latentChannels();
    }

    @Override
    public int downsampling() {
        return config.downsampling();
    }

    @Override
    public LatentScaling scaling() {
        return config.scaling();
    }

    @Override
    public LatentDistribution encode(Tensor images) {
        Shapes.requireImages(images, config.inChannels(), downsampling());
        Tensor moments = lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                Tensor h = encoder.forward(Weights.like(encoder.convIn, images));
                return (quantConv == null ? h : quantConv.forward(h)).to(ScalarType.Float);
            }
        }));
        LatentDistribution distribution = LatentDistribution.ofMoments(moments);
        moments.close();
        return distribution;
    }

    @Override
    public Tensor decode(Tensor latents) {
        Shapes.requireLatents(latents, channels());
        return lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                Tensor rawLatents = scaling().toRawLatents(latents.to(ScalarType.Float));
                Tensor h = Weights.like(encoder.convIn, rawLatents);
                return decoder.forward(postQuantConv == null ? h : postQuantConv.forward(h))
                        .to(ScalarType.Float);
            }
        }));
    }

    @Override
    public String encoderDigest() {
        return lifetime.use(() -> WeightDigest.of(
                this, ScalarType.BFloat16, name -> name.startsWith("encoder.") || name.startsWith("quant_conv.")));
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
}
