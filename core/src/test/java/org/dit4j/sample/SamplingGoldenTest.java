package org.dit4j.sample;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.Golden;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.Moments;
import org.dit4j.model.DiT;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Whole sampling loops of the published code with a small network. The files give the seed that makes LibTorch draw their noise. */
@ExtendWith(Golden.Cases.class)
class SamplingGoldenTest {
    /** float32 sums of the network in another order, carried through the steps, which contract differences. */
    private static final double TOLERANCE = 1e-5;

    @Test
    void wholeLoopsEqualTheReference() {
        JsonNode plans = Golden.json("index.json").get("sampling");
        for (String name : Golden.list("sampling", ".safetensors")) {
            JsonNode plan = plans.get(name);
            try (DiT network = network(plan.get("weights").asText());
                    TensorScope scope = new TensorScope()) {
                assertLoop(name, plan, network, Golden.tensors("sampling/" + name + ".safetensors"));
            }
        }
    }

    private static void assertLoop(String name, JsonNode plan, DiT network, Map<String, Tensor> golden) {
        long seed = plan.get("seed").asLong();
        assertNoiseIsDrawnBitwise(name, seed, golden.get("noise"));

        double scale = plan.get("guidance").asDouble();
        int channels = plan.get("channels").asInt();
        Tensor expected = golden.get("sample");
        Tensor sample = sample(plan, guided(network, scale, channels), golden, seed);
        Golden.assertClose(name, expected, sample, TOLERANCE);

        Tensor otherTimesteps = sample(plan, atNextTimestep(guided(network, scale, channels)), golden, seed);
        Golden.assertRejected(name + " with timesteps one off", expected, otherTimesteps, TOLERANCE);
        if (scale != 1) {
            int others = channels == network.config().inChannels() ? channels - 1 : channels + 1;
            Tensor otherChannels = sample(plan, guided(network, scale, others), golden, seed);
            Golden.assertRejected(name + " with " + others + " channels guided", expected, otherChannels, TOLERANCE);
        }
        if (plan.get("kind").asText().equals("ddpm")) {
            Tensor otherSeed = sample(plan, guided(network, scale, channels), golden, seed + 1);
            Golden.assertRejected(name + " with other noise", expected, otherSeed, TOLERANCE);
            Tensor noisy = withNoiseAtTheFirstTimestep(plan, guided(network, scale, channels), golden, expected);
            Golden.assertRejected(name + " with noise at t = 0", expected, noisy, TOLERANCE);
        }
    }

    /** (steps, N or 2N, C, H, W): the reference draws at every step for all of its rows. Bitwise on x86-64 with AVX2. */
    private static void assertNoiseIsDrawnBitwise(String name, long seed, Tensor noise) {
        long[] shape = noise.shape();
        try (TorchNoise drawn = new TorchNoise(seed, Backend.device("cpu"), false)) {
            for (long step = 0; step < shape[0]; step++)
                assertArrayEquals(
                        Tensors.toFloats(noise.select(0, step)),
                        Tensors.toFloats(drawn.normal(Arrays.copyOfRange(shape, 1, shape.length))),
                        name + ": noise of step " + step);
            Golden.ran();
        }
    }

    private static Tensor sample(JsonNode plan, Denoiser denoiser, Map<String, Tensor> golden, long seed) {
        GaussianDiffusion diffusion = diffusion(plan);
        Tensor z = golden.get("z");
        Condition condition = Condition.of(golden.get("y"));
        boolean clip = plan.get("clip_denoised").asBoolean();
        try (TorchNoise noise =
                new TorchNoise(seed, Backend.device("cpu"), plan.get("guidance").asDouble() != 1)) {
            return switch (plan.get("kind").asText()) {
                case "ddpm" -> Solvers.ddpm(denoiser, diffusion, z, condition, noise, clip, StepListener.NONE);
                case "ddim" -> {
                    double eta = plan.path("eta").asDouble(0);
                    yield Solvers.ddim(denoiser, diffusion, z, condition, eta, noise, clip, StepListener.NONE);
                }
                default -> throw new AssertionError("unknown kind of sampling: " + plan);
            };
        }
    }

    private static GaussianDiffusion diffusion(JsonNode plan) {
        return GaussianDiffusion.published().spaced(plan.get("spacing").asText());
    }

    private static Denoiser guided(DiT network, double scale, int channels) {
        return Guidance.classifierFree(
                denoiser(network), scale, network.config().numClasses(), channels);
    }

    private static Denoiser denoiser(DiT network) {
        return (latents, timestep, condition) -> {
            Tensor t = torch.full(new long[] {latents.size(0)}, new Scalar(timestep));
            return network.forward(latents, t, condition.labels());
        };
    }

    private static Denoiser atNextTimestep(Denoiser denoiser) {
        return (latents, timestep, condition) -> denoiser.predict(latents, timestep + 1, condition);
    }

    /** The sample with what the last step would have added, had it not left the noise out. */
    private static Tensor withNoiseAtTheFirstTimestep(
            JsonNode plan, Denoiser denoiser, Map<String, Tensor> golden, Tensor sample) {
        GaussianDiffusion diffusion = diffusion(plan);
        try (NoGradGuard noGrad = new NoGradGuard()) {
            Tensor timesteps = GaussianDiffusion.shared(0, sample);
            Tensor prediction = denoiser.predict(sample, diffusion.originalTimestep(0), Condition.of(golden.get("y")));
            Moments p = diffusion.pMeanVariance(prediction, sample, timesteps, false);
            Tensor noise = golden.get("noise");
            Tensor last = noise.select(0, noise.size(0) - 1).narrow(0, 0, sample.size(0));
            return sample.add(p.logVariance().mul(new Scalar(0.5)).exp().mul(last));
        }
    }

    private static DiT network(String folder) {
        DiT network = Golden.model(folder + "/config.json").network();
        try (TensorScope scope = new TensorScope()) {
            StateDict.load(network, Golden.tensors(folder + "/weights.safetensors"));
        }
        return network;
    }
}
