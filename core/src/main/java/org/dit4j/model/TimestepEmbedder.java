package org.dit4j.model;

import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.LayoutOptional;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Layers;
import org.dit4j.torch.ModuleArray;
import org.dit4j.torch.Tensors;

/** A timestep as sines and cosines of geometric frequencies, then two linear layers with SiLU between them. */
public final class TimestepEmbedder extends Module {
    /** Width of the sine-cosine embedding of a timestep. */
    static final int FREQUENCIES = 256;

    private final LinearImpl first;
    private final LinearImpl second;
    private final Profile profile;

    TimestepEmbedder(int hiddenSize, Profile profile) {
        this.profile = profile;
        ModuleArray<LinearImpl> mlp = new ModuleArray<>(this, "mlp");
        first = mlp.put("0", Layers.linear(FREQUENCIES, hiddenSize));
        second = mlp.put("2", Layers.linear(hiddenSize, hiddenSize));
    }

    LinearImpl first() {
        return first;
    }

    LinearImpl second() {
        return second;
    }

    /** (N) timesteps, fractional ones too → (N, D). */
    public Tensor forward(Tensor t) {
        return second.forward(torch.silu(first.forward(
                sinusoids(t, FREQUENCIES, profile).to(first.weight().scalar_type()))));
    }

    /**
     * (N) → (N, width) in float32: cosines, then sines, of t · 10000^(−k/(width/2)). The reference computes this in float32 whatever the
     * dtype of the network; diffusers divides by width/2 − 1.
     */
    static Tensor sinusoids(Tensor t, int width, Profile profile) {
        int half = width / 2;
        Tensor exponents = torch.arange(
                new Scalar(half),
                new ScalarTypeOptional(ScalarType.Float),
                new LayoutOptional(),
                new DeviceOptional(t.device()),
                new BoolOptional());
        Tensor frequencies = exponents
                .mul(new Scalar(-Math.log(10000)))
                .div(new Scalar(profile.frequencyDivisor(half)))
                .exp();
        Tensor angles = t.to(ScalarType.Float).unsqueeze(1).mul(frequencies.unsqueeze(0));
        return Tensors.cat(1, angles.cos(), angles.sin());
    }
}
