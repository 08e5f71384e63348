package org.dit4j.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Schedules, timestep maps and tables against those of the published code. */
@ExtendWith(Golden.Cases.class)
class TablesGoldenTest {
    /** float64 all the way; sums, powers and logarithms may differ in the last bits, which 1000 factors of ᾱ carry to some 1e-13. */
    private static final double TOLERANCE = 1e-12;

    private static final Map<String, Coefficient> COEFFICIENTS = Map.of(
            "betas", Coefficient.BETA,
            "alphas_cumprod", Coefficient.ALPHA_CUMPROD,
            "alphas_cumprod_prev", Coefficient.ALPHA_CUMPROD_PREVIOUS,
            "alphas_cumprod_next", Coefficient.ALPHA_CUMPROD_NEXT,
            "sqrt_recip_alphas_cumprod", Coefficient.SQRT_RECIP_ALPHA_CUMPROD,
            "sqrt_recipm1_alphas_cumprod", Coefficient.SQRT_RECIPM1_ALPHA_CUMPROD,
            "posterior_variance", Coefficient.POSTERIOR_VARIANCE,
            "posterior_log_variance_clipped", Coefficient.POSTERIOR_LOG_VARIANCE_CLIPPED,
            "posterior_mean_coef1", Coefficient.POSTERIOR_MEAN_X0,
            "posterior_mean_coef2", Coefficient.POSTERIOR_MEAN_XT);

    @Test
    void schedulesAreThePublishedOnes() {
        String file = "diffusion/schedules.safetensors";
        double start = Double.parseDouble(Golden.metadata(file).get("beta_start"));
        double end = Double.parseDouble(Golden.metadata(file).get("beta_end"));
        try (TensorScope scope = new TensorScope()) {
            Golden.tensors(file).forEach((key, expected) -> {
                int numTimesteps = Math.toIntExact(expected.numel());
                String suffix = "_" + numTimesteps;
                String name = key.endsWith(suffix) ? key.substring(0, key.length() - suffix.length()) : key;
                Golden.assertClose(
                        key, expected, tensor(NoiseSchedule.of(name).betas(numTimesteps, start, end)), TOLERANCE);
                Golden.assertRejected(
                        key + " of another schedule",
                        expected,
                        tensor(anotherThan(name).betas(numTimesteps, start, end)),
                        TOLERANCE);
            });
        }
    }

    private static NoiseSchedule anotherThan(String name) {
        return name.equals("linear") ? NoiseSchedule.QUAD : NoiseSchedule.LINEAR;
    }

    @Test
    void timestepMapsAreThePublishedOnesExactly() {
        JsonNode spacings = Golden.json("diffusion/spacings.json");
        int numTimesteps = originalNumTimesteps(spacings);
        for (String spacing : (Iterable<String>) spacings::fieldNames) {
            int[] expected = StreamSupport.stream(spacings.get(spacing).spliterator(), false)
                    .mapToInt(JsonNode::intValue)
                    .toArray();
            assertArrayEquals(expected, Timesteps.spaced(numTimesteps, spacing), "\"" + spacing + "\"");
            Golden.ran();
        }
    }

    /** All of them where the file says how many, else the published 1000. */
    private static int originalNumTimesteps(JsonNode spacings) {
        return spacings.has("") ? spacings.get("").size() : 1000;
    }

    @Test
    void tablesOfEverySpacingAreThePublishedOnes() {
        double[] original = NoiseSchedule.LINEAR.betas(originalNumTimesteps(Golden.json("diffusion/spacings.json")));
        GaussianDiffusion full = diffusion(original);
        try (TensorScope scope = new TensorScope()) {
            for (String name : Golden.list("diffusion/tables", ".safetensors")) {
                String spacing = name.equals("full") ? "" : name.replace('_', ',');
                Map<String, Tensor> tables = Golden.tensors("diffusion/tables/" + name + ".safetensors");
                assertFalse(tables.isEmpty());
                GaussianDiffusion diffusion = full.spaced(spacing);
                // the β of the kept timesteps alone, not joined with those left out; where none is, another schedule
                double[] unjoined = Arrays.stream(Timesteps.spaced(original.length, spacing))
                        .mapToDouble(t -> original[t])
                        .toArray();
                boolean keepsAll = unjoined.length == original.length;
                GaussianDiffusion wrong = diffusion(keepsAll ? NoiseSchedule.QUAD.betas(original.length) : unjoined);
                tables.forEach((key, expected) -> {
                    Coefficient coefficient = COEFFICIENTS.get(key);
                    Golden.assertClose(name + " " + key, expected, tensor(diffusion.table(coefficient)), TOLERANCE);
                    Golden.assertRejected(name + " " + key, expected, tensor(wrong.table(coefficient)), TOLERANCE);
                });
            }
        }
    }

    private static GaussianDiffusion diffusion(double[] betas) {
        return GaussianDiffusion.of(betas, DiffusionConfig.Prediction.NOISE, DiffusionConfig.Variance.LEARNED_RANGE);
    }

    private static Tensor tensor(double[] values) {
        return Tensors.of(values, values.length);
    }
}
