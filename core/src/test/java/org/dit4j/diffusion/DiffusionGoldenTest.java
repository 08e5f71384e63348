package org.dit4j.diffusion;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.diffusion.DiffusionConfig.LossType;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Losses, single steps and bits per dimension against those of the published code, for a stand-in network. */
@ExtendWith(Golden.Cases.class)
class DiffusionGoldenTest {
    /** float32 in the published order; sums over pixels, tanh and exp may differ in the last bits of 24. */
    private static final double TOLERANCE = 5e-6;

    private TensorScope scope;

    @BeforeEach
    void openScope() {
        scope = new TensorScope();
    }

    @AfterEach
    void closeScope() {
        scope.close();
    }

    @Test
    void lossesOfTheStandInNetworkAreThePublishedOnes() {
        Map<String, Tensor> golden = Golden.tensors("diffusion/training_losses.safetensors");
        Tensor x0 = golden.get("x0"), noise = golden.get("noise"), t = golden.get("t");
        GaussianDiffusion diffusion = GaussianDiffusion.published();
        Tensor xt = diffusion.noised(x0, noise, t);
        Golden.assertClose("x_t", golden.get("x_t"), xt, TOLERANCE);
        Tensor prediction = StandIn.of(xt, diffusion.originalTimesteps(t));
        Golden.assertClose("model_output", golden.get("model_output"), prediction, TOLERANCE);
        Loss loss = new HybridLoss(diffusion, LossType.MSE).loss(prediction, x0, xt, noise, t);
        Golden.assertClose("loss", golden.get("loss"), loss.values(), TOLERANCE);
        Golden.assertClose("mse", golden.get("mse"), loss.mse(), TOLERANCE);
        Golden.assertClose("vb", golden.get("vb"), loss.vb(), TOLERANCE);

        Loss wrong = HybridLoss.of(DiffusionConfig.PUBLISHED.withVariance(Variance.LEARNED))
                .loss(prediction, x0, xt, noise, t);
        Golden.assertRejected("the bound of another variance", golden.get("vb"), wrong.vb(), TOLERANCE);
        Golden.assertRejected("the loss without the bound", golden.get("loss"), loss.mse(), TOLERANCE);
    }

    @Test
    void singleStepsOfEverySpacingAreThePublishedOnes() {
        for (String name : Golden.list("diffusion", ".safetensors"))
            if (name.startsWith("steps_")) {
                String spacing = name.substring("steps_".length());
                spacing = spacing.equals("full") ? "" : spacing.replace('_', ',');
                Map<String, Tensor> golden = Golden.tensors("diffusion/" + name + ".safetensors");
                GaussianDiffusion diffusion = GaussianDiffusion.published().spaced(spacing);
                assertSteps(name, diffusion, golden, "", false);
                assertSteps(name, diffusion, golden, "_clip", true);
                assertWrongStepsAreRejected(name, spacing, golden);
            }
    }

    private static void assertSteps(
            String name, GaussianDiffusion diffusion, Map<String, Tensor> golden, String suffix, boolean clip) {
        Tensor x = golden.get("x"), t = golden.get("t"), noise = golden.get("noise");
        Tensor prediction = StandIn.of(x, diffusion.originalTimesteps(t));
        Moments p = diffusion.pMeanVariance(prediction, x, t, clip);
        Map<String, Tensor> actual = Map.of(
                "mean", p.mean(),
                "variance", p.variance(),
                "log_variance", p.logVariance(),
                "pred_xstart", p.x0(),
                "p_sample", diffusion.ancestralStep(p, t, noise),
                "ddim", diffusion.ddimStep(p.x0(), x, t, 0, null),
                "ddim_eta05", diffusion.ddimStep(p.x0(), x, t, 0.5, noise),
                "ddim_reverse", diffusion.ddimReverseStep(p.x0(), x, t));
        actual.forEach((key, tensor) ->
                Golden.assertClose(name + " " + key + suffix, golden.get(key + suffix), tensor, TOLERANCE));
    }

    private static void assertWrongStepsAreRejected(String name, String spacing, Map<String, Tensor> golden) {
        Tensor x = golden.get("x"), t = golden.get("t"), noise = golden.get("noise");
        GaussianDiffusion diffusion = GaussianDiffusion.published().spaced(spacing);
        Tensor prediction = StandIn.of(x, diffusion.originalTimesteps(t));
        Moments p = diffusion.pMeanVariance(prediction, x, t, false);

        GaussianDiffusion fixed = GaussianDiffusion.of(
                        NoiseSchedule.LINEAR.betas(1000), Prediction.NOISE, Variance.FIXED_SMALL)
                .spaced(spacing);
        Moments wrong = fixed.pMeanVariance(prediction.narrow(1, 0, x.size(1)), x, t, false);
        Golden.assertRejected(
                name + " with a fixed variance",
                golden.get("p_sample"),
                fixed.ancestralStep(wrong, t, noise),
                TOLERANCE);
        if (StandIn.hasFirst(t)) {
            Tensor everywhere = GaussianDiffusion.shared(1, x); // a timestep that is not the first
            Golden.assertRejected(
                    name + " with noise at the first timestep",
                    golden.get("p_sample"),
                    diffusion.ancestralStep(p, everywhere, noise),
                    TOLERANCE);
        }
        Golden.assertRejected(
                name + " without clipping",
                golden.get("ddim_clip"),
                diffusion.ddimStep(p.x0(), x, t, 0, null),
                TOLERANCE);
        Golden.assertRejected(
                name + " with another eta",
                golden.get("ddim_eta05"),
                diffusion.ddimStep(p.x0(), x, t, 0.49, noise),
                TOLERANCE);
        if (!spacing.isEmpty()) {
            Tensor unspaced = StandIn.of(x, t);
            Golden.assertRejected(
                    name + " with the index for the timestep",
                    golden.get("mean"),
                    diffusion.pMeanVariance(unspaced, x, t, false).mean(),
                    TOLERANCE);
        }
    }

    @Test
    void everyVariantIsThePublishedOne() {
        Map<String, Tensor> golden = Golden.tensors("diffusion/variants.safetensors");
        Set<String> variants = new TreeSet<>();
        for (String key : golden.keySet()) if (key.endsWith(".loss")) variants.add(key.substring(0, key.length() - 5));
        for (String variant : variants) assertVariant(variant, golden);
    }

    /** The key of a loss without its ending, for example {@code linear.EPSILON.FIXED_LARGE.RESCALED_KL}. */
    private static void assertVariant(String key, Map<String, Tensor> golden) {
        String[] parts = key.split("\\.");
        NoiseSchedule schedule = NoiseSchedule.of(parts[0]);
        Prediction prediction = parts[1].equals("EPSILON") ? Prediction.NOISE : Prediction.X0;
        // the published DiT code reads LEARNED as LEARNED_RANGE; ours, the log-variance itself, is that of the paper's
        Variance variance = parts[2].equals("LEARNED") ? Variance.LEARNED_RANGE : Variance.valueOf(parts[2]);
        LossType lossType = LossType.valueOf(parts[3]);
        DiffusionConfig config = DiffusionConfig.of(schedule, 1000, prediction, variance);
        GaussianDiffusion diffusion = GaussianDiffusion.of(config);

        Tensor x0 = golden.get("x0"), noise = golden.get("noise"), t = golden.get("t");
        Tensor xt = diffusion.noised(x0, noise, t);
        Loss loss = HybridLoss.of(config.withLoss(lossType)).loss(StandIn.of(xt, t, variance), x0, xt, noise, t);
        Golden.assertClose(key, golden.get(key + ".loss"), loss.values(), TOLERANCE);
        LossType another = lossType == LossType.MSE || lossType == LossType.RESCALED_MSE ? LossType.KL : LossType.MSE;
        Loss wrong = HybridLoss.of(config.withLoss(another)).loss(StandIn.of(xt, t, variance), x0, xt, noise, t);
        Golden.assertRejected(key + " as " + another, golden.get(key + ".loss"), wrong.values(), TOLERANCE);

        String moments = key.substring(0, key.lastIndexOf('.'));
        if (!golden.containsKey(moments + ".mean")) return;
        Moments p = diffusion.pMeanVariance(StandIn.of(x0, t, variance), x0, t, false);
        Golden.assertClose(moments + ".mean", golden.get(moments + ".mean"), p.mean(), TOLERANCE);
        Tensor logVariance = p.logVariance().expand(x0.shape());
        Golden.assertClose(moments + ".log_variance", golden.get(moments + ".log_variance"), logVariance, TOLERANCE);
        Tensor sample = diffusion.ancestralStep(p, t, golden.get("step_noise"));
        Golden.assertClose(moments + ".p_sample", golden.get(moments + ".p_sample"), sample, TOLERANCE);
        Golden.assertRejected(moments + " without noise", golden.get(moments + ".p_sample"), p.mean(), TOLERANCE);
    }

    @Test
    void bitsPerDimensionAreThePublishedOnes() {
        JsonNode index = Golden.json("index.json");
        for (String name : Golden.list("diffusion", ".safetensors")) {
            if (!name.startsWith("bpd_")) continue;
            JsonNode plan = index.get(name);
            Map<String, Tensor> golden = Golden.tensors("diffusion/" + name + ".safetensors");
            GaussianDiffusion diffusion =
                    GaussianDiffusion.published().spaced(plan.get("spacing").asText());
            long seed = plan.get("seed").asLong();
            boolean clip = plan.get("clip_denoised").asBoolean();
            BitsPerDim bits = bits(diffusion, golden.get("x0"), seed, clip);
            Golden.assertClose(name + " total_bpd", golden.get("total_bpd"), bits.total(), TOLERANCE);
            Golden.assertClose(name + " prior_bpd", golden.get("prior_bpd"), bits.prior(), TOLERANCE);
            Golden.assertClose(name + " vb", golden.get("vb"), bits.vb(), TOLERANCE);
            Golden.assertClose(name + " xstart_mse", golden.get("xstart_mse"), bits.x0Mse(), TOLERANCE);
            Golden.assertClose(name + " mse", golden.get("mse"), bits.mse(), TOLERANCE);
            BitsPerDim otherClip = bits(diffusion, golden.get("x0"), seed, !clip);
            Golden.assertRejected(name + " clipped otherwise", golden.get("vb"), otherClip.vb(), TOLERANCE);
            BitsPerDim otherSeed = bits(diffusion, golden.get("x0"), seed + 1, clip);
            Golden.assertRejected(name + " of another seed", golden.get("mse"), otherSeed.mse(), TOLERANCE);
        }
    }

    private static BitsPerDim bits(GaussianDiffusion diffusion, Tensor x0, long seed, boolean clip) {
        Generator generator = torch.make_generator_cpu(seed);
        return BitsPerDim.of(
                diffusion,
                StandIn.denoiser(),
                x0,
                Condition.unconditional(x0.size(0)),
                step -> torch.torch_randn(
                        x0.shape(), new GeneratorOptional(generator), new TensorOptions(ScalarType.Float)),
                clip);
    }
}
