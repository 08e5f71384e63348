package org.dit4j.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Products;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.FormatException;

/**
 * The {@code scheduler_config.json} of a pipeline's folder: which diffusion, and how diffusers goes through it.
 *
 * @param process with a predicted variance; {@link #diffusion} says it of a network
 */
record DiffusersScheduler(DiffusionConfig process, SchedulerConfig config) {
    private static final DiffusersScheduler PUBLISHED =
            new DiffusersScheduler(DiffusionConfig.PUBLISHED.withProducts(Products.FLOAT32), SchedulerConfig.PUBLISHED);

    /** What a file says, or what is published with a DiT where there is none. */
    static DiffusersScheduler read(Path file) throws IOException {
        if (!Files.exists(file)) return PUBLISHED;
        JsonNode config = JsonFile.read(file);
        String type = config.path("_class_name").asText();
        if (!type.equals("DDIMScheduler"))
            throw new FormatException(file, "_class_name is \"" + type + "\"; known is DDIMScheduler");
        requireUnless(file, config, "set_alpha_to_one", "false");
        requireUnless(file, config, "rescale_betas_zero_snr", "true");
        requireUnless(file, config, "thresholding", "true");
        String spacing = config.path("timestep_spacing").asText("leading");
        if (!spacing.equals("leading"))
            throw new FormatException(file, "timestep_spacing is \"" + spacing + "\"; known is leading");
        if (config.hasNonNull("trained_betas"))
            throw new FormatException(file, "trained_betas are given; known are schedules by name");
        String name = config.path("beta_schedule").asText("linear");
        try {
            int numTimesteps = JsonFile.integer(file, config, "num_train_timesteps", 1000);
            SchedulerConfig scheduler = new SchedulerConfig(
                    config.path("steps_offset").asInt(0),
                    config.path("clip_sample").asBoolean(true));
            if (scheduler.stepsOffset() >= numTimesteps)
                throw new IllegalArgumentException("stepsOffset is " + scheduler.stepsOffset() + "; 0 to "
                        + (numTimesteps - 1) + ", and usually 0 or 1");
            return new DiffusersScheduler(
                    PUBLISHED
                            .process
                            .withSchedule(
                                    NoiseSchedule.of(
                                            name.equals("scaled_linear") ? NoiseSchedule.QUAD.published() : name),
                                    numTimesteps,
                                    config.path("beta_start").asDouble(1e-4),
                                    config.path("beta_end").asDouble(0.02))
                            .withPrediction(
                                    prediction(config.path("prediction_type").asText("epsilon"))),
                    scheduler);
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
    }

    private static void requireUnless(Path file, JsonNode config, String key, String refused) throws FormatException {
        if (config.path(key).asText().equals(refused))
            throw new FormatException(file, key + " is " + refused + ", which is not known here");
    }

    private static Prediction prediction(String name) {
        return switch (name) {
            case "epsilon" -> Prediction.NOISE;
            case "sample" -> Prediction.X0;
            case "v_prediction" -> Prediction.VELOCITY;
            default ->
                throw new IllegalArgumentException(
                        "prediction_type is \"" + name + "\"; one of epsilon, sample, v_prediction");
        };
    }

    /** What is written of a network: diffusers' own, or of another what it was trained to undo. */
    static DiffusersScheduler of(DiTDescription description) {
        return new DiffusersScheduler(description.diffusion().withProducts(Products.FLOAT32), description.scheduler());
    }

    /** The diffusion of a network that predicts a variance, which DDIM discards, or does not. */
    DiffusionConfig diffusion(boolean learnSigma) {
        return learnSigma ? process : process.withVariance(Variance.FIXED_LARGE);
    }

    ObjectNode toJson() {
        NoiseSchedule name = process.schedule();
        return JsonNodeFactory.instance
                .objectNode()
                .put("_class_name", "DDIMScheduler")
                .put("beta_end", process.betaEnd())
                .put("beta_schedule", name == NoiseSchedule.QUAD ? "scaled_linear" : name.published())
                .put("beta_start", process.betaStart())
                .put("clip_sample", config.clip())
                .put("num_train_timesteps", process.numTimesteps())
                .put(
                        "prediction_type",
                        switch (process.prediction()) {
                            case NOISE -> "epsilon";
                            case X0 -> "sample";
                            case VELOCITY -> "v_prediction";
                        })
                .put("set_alpha_to_one", true)
                .put("steps_offset", config.stepsOffset())
                .put("timestep_spacing", "leading");
    }
}
