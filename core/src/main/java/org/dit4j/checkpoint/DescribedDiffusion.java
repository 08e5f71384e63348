package org.dit4j.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.Map;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Products;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.FormatException;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;

/** What the metadata of a file say of the diffusion, those of version 0.1.0 included, which wrote four words and a schedule. */
record DescribedDiffusion(DiffusionConfig diffusion, SchedulerConfig scheduler) {
    static final String DIFFUSION = "dit4j.diffusion", SCHEDULER = "dit4j.scheduler";
    private static final String DDIM_OF_0_1_0 = "dit4j.ddim";
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The schedule of diffusers as version 0.1.0 wrote it. */
    private record Ddim(
            int numTimesteps,
            NoiseSchedule schedule,
            double betaStart,
            double betaEnd,
            Prediction prediction,
            int stepsOffset,
            boolean clip) {}

    /** @throws FormatException if it is not understood, or does not go with the model */
    static DescribedDiffusion of(Path file, Map<String, String> metadata, DiTConfig model, Profile profile)
            throws FormatException {
        try {
            return of(metadata, model, profile);
        } catch (IllegalArgumentException | JsonProcessingException e) {
            Throwable reason = e.getCause() instanceof IllegalArgumentException cause ? cause : e;
            throw new FormatException(file, reason.getMessage(), e);
        }
    }

    private static DescribedDiffusion of(Map<String, String> metadata, DiTConfig model, Profile profile)
            throws JsonProcessingException {
        DiffusionConfig published = DiffusionConfig.published(model.learnSigma());
        if (profile == Profile.DIFFUSERS) published = published.withProducts(Products.FLOAT32);
        String said = metadata.getOrDefault(DIFFUSION, "");
        if (metadata.containsKey(DDIM_OF_0_1_0))
            return of(JSON.readValue(metadata.get(DDIM_OF_0_1_0), Ddim.class), published);
        SchedulerConfig scheduler = metadata.containsKey(SCHEDULER)
                ? SchedulerConfig.ofJson(JSON.readTree(metadata.get(SCHEDULER)))
                : SchedulerConfig.PUBLISHED;
        if (said.isEmpty()) return new DescribedDiffusion(published, scheduler);
        DiffusionConfig diffusion;
        if (said.startsWith("{")) {
            JsonNode json = JSON.readTree(said);
            diffusion = DiffusionConfig.ofJson(json);
        } else {
            diffusion = DiffusionConfig.ofText(said);
            if (profile == Profile.DIFFUSERS) diffusion = diffusion.withProducts(Products.FLOAT32);
        }
        if (diffusion.variance().isLearned() != model.learnSigma())
            throw new IllegalArgumentException("says that its diffusion is \"" + diffusion.text()
                    + "\", but its model predicts " + (model.learnSigma() ? "a" : "no") + " variance");
        return new DescribedDiffusion(diffusion, scheduler);
    }

    private static DescribedDiffusion of(Ddim ddim, DiffusionConfig published) {
        if (ddim == null || ddim.schedule == null || ddim.prediction == null)
            throw new IllegalArgumentException("its \"" + DDIM_OF_0_1_0
                    + "\" is a null, or there is no word on the schedule or on what is predicted");
        return new DescribedDiffusion(
                published
                        .withProducts(Products.FLOAT32)
                        .withSchedule(ddim.schedule, ddim.numTimesteps, ddim.betaStart, ddim.betaEnd)
                        .withPrediction(ddim.prediction),
                new SchedulerConfig(ddim.stepsOffset, ddim.clip));
    }
}
