package org.dit4j.vae;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Layers;

/**
 * What fixes a {@link TinyAutoencoder}.
 *
 * @param latentChannels channels of the latents; 4 for Stable Diffusion 1 and 2
 */
public record TinyAutoencoderConfig(int latentChannels) {
    // a program comes by here before it makes the network, whose class would load JavaCPP first
    static {
        Backend.configure();
    }

    /** Of TAESD, for the latents of Stable Diffusion 1 and 2. */
    public static final TinyAutoencoderConfig TAESD = new TinyAutoencoderConfig(4);

    /** @throws IllegalArgumentException if the number of channels is out of range */
    public TinyAutoencoderConfig {
        if (latentChannels < 1 || latentChannels > 1024)
            throw new IllegalArgumentException("latentChannels is " + latentChannels + "; from 1 to 1024");
    }

    /** A codec with random weights, on the CPU, in float32. Make it outside any step's scope; the caller closes it. */
    public TinyAutoencoder network() {
        return new TinyAutoencoder(this);
    }

    /**
     * A codec that takes over weights, on the CPU, in float32; nobody else may change them then. The caller closes it.
     *
     * @param weights every parameter by the name that diffusers' {@code AutoencoderTiny} gives it
     * @throws IllegalArgumentException naming every missing and unexpected weight and every wrong shape
     */
    public TinyAutoencoder network(Map<String, Tensor> weights) {
        return Layers.withWeights(weights, () -> new TinyAutoencoder(this));
    }
}
