package org.dit4j.diffusion;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Arrays;
import java.util.Locale;

/**
 * Which diffusion a network is trained to undo: part of what is learned, and of what a checkpoint says of its weights. Plain values; the
 * arithmetic is {@link GaussianDiffusion}'s and its objective's.
 *
 * @param schedule how the noise grows
 * @param numTimesteps of training, T
 * @param betaStart the first β, where the schedule has ends; the published 1e-4 otherwise
 * @param betaEnd the last β, where the schedule has ends; the published 0.02 otherwise
 * @param products in which arithmetic ᾱ is multiplied out
 * @param prediction what the network predicts
 * @param variance where the variance of a reverse step comes from
 * @param loss what is minimised
 */
public record DiffusionConfig(
        NoiseSchedule schedule,
        int numTimesteps,
        double betaStart,
        double betaEnd,
        Products products,
        Prediction prediction,
        Variance variance,
        LossType loss) {
    /** What the network predicts. */
    public enum Prediction {
        NOISE,
        X0,
        /** √ᾱ · noise − √(1 − ᾱ) · x0, of Salimans and Ho (2022). */
        VELOCITY
    }

    /** Where the variance of a reverse step comes from. */
    public enum Variance {
        /** The posterior's, were x0 known. */
        FIXED_SMALL,
        /** β. */
        FIXED_LARGE,
        /** The network gives its logarithm, as in the paper; the published DiT code takes this name for {@link #LEARNED_RANGE}. */
        LEARNED,
        /** The network gives where it lies, −1 … 1, between the logarithms of the posterior's variance and of β. */
        LEARNED_RANGE;

        /** Whether the network's prediction has a second half. */
        public boolean isLearned() {
            return this == LEARNED || this == LEARNED_RANGE;
        }
    }

    /** What is minimised. */
    public enum LossType {
        /** Mean squared error; with a learned variance plus the variational bound, which then reaches the variance only. */
        MSE,
        /** As {@link #MSE}, the bound weighted by T / 1000. */
        RESCALED_MSE,
        /** The variational bound in bits per dimension. */
        KL,
        /** As {@link #KL}, times T: an estimate of the whole bound. */
        RESCALED_KL
    }

    /** In which arithmetic β becomes ᾱ: the two codes differ, and their numbers with them. */
    public enum Products {
        /** The published code's: float64 all the way; the ends of {@link NoiseSchedule#LINEAR} scale by 1000 / T. */
        FLOAT64,
        /** diffusers': float32, whose rounding is part of it; the ends are taken as they are. */
        FLOAT32
    }

    /** The diffusion of the published DiTs: linear, 1000 timesteps, noise predicted, learned range, hybrid loss. */
    public static final DiffusionConfig PUBLISHED =
            of(NoiseSchedule.LINEAR, 1000, Prediction.NOISE, Variance.LEARNED_RANGE);

    private static final int MAX_TIMESTEPS = 1_000_000, VERSION = 1;
    private static final String GAUSSIAN = "gaussian";

    /** @throws IllegalArgumentException if a value is missing, or they do not go with each other */
    public DiffusionConfig {
        require(
                schedule != null && products != null && prediction != null && variance != null && loss != null,
                "of schedule, products, prediction, variance and loss one is missing");
        require(
                numTimesteps >= 1 && numTimesteps <= MAX_TIMESTEPS,
                "numTimesteps is " + numTimesteps + "; 1 to " + MAX_TIMESTEPS);
        if (!schedule.hasEnds()) { // ignored, so they may not make two configurations of one
            betaStart = NoiseSchedule.BETA_START;
            betaEnd = NoiseSchedule.BETA_END;
        }
        require(
                betaStart > 0 && betaStart <= betaEnd && betaEnd < 1,
                "beta goes from " + betaStart + " to " + betaEnd + "; both are above 0 and below 1, and it rises");
        require(
                products == Products.FLOAT64
                        || schedule == NoiseSchedule.LINEAR
                        || schedule == NoiseSchedule.QUAD
                        || schedule == NoiseSchedule.COSINE,
                "diffusers has no schedule " + schedule + "; LINEAR, QUAD or COSINE");
    }

    /** With the published ends and arithmetic, and the loss {@link LossType#MSE}. */
    public static DiffusionConfig of(
            NoiseSchedule schedule, int numTimesteps, Prediction prediction, Variance variance) {
        return new DiffusionConfig(
                schedule,
                numTimesteps,
                NoiseSchedule.BETA_START,
                NoiseSchedule.BETA_END,
                Products.FLOAT64,
                prediction,
                variance,
                LossType.MSE);
    }

    /** What a DiT is trained on where nobody says: the published diffusion, or without a predicted variance that of Ho et al. (2020). */
    public static DiffusionConfig published(boolean learnSigma) {
        return learnSigma ? PUBLISHED : PUBLISHED.withVariance(Variance.FIXED_LARGE);
    }

    /** Another schedule between these ends. */
    public DiffusionConfig withSchedule(NoiseSchedule other, int timesteps, double start, double end) {
        return new DiffusionConfig(other, timesteps, start, end, products, prediction, variance, loss);
    }

    /** The same β multiplied out in another arithmetic. */
    public DiffusionConfig withProducts(Products other) {
        if (other == products) return this;
        double scale = schedule == NoiseSchedule.LINEAR ? numTimesteps / 1000.0 : 1; // see Products
        if (other == Products.FLOAT32) scale = 1 / scale;
        return new DiffusionConfig(
                schedule, numTimesteps, betaStart * scale, betaEnd * scale, other, prediction, variance, loss);
    }

    public DiffusionConfig withPrediction(Prediction other) {
        return new DiffusionConfig(schedule, numTimesteps, betaStart, betaEnd, products, other, variance, loss);
    }

    public DiffusionConfig withVariance(Variance other) {
        return new DiffusionConfig(schedule, numTimesteps, betaStart, betaEnd, products, prediction, other, loss);
    }

    public DiffusionConfig withLoss(LossType other) {
        return new DiffusionConfig(schedule, numTimesteps, betaStart, betaEnd, products, prediction, variance, other);
    }

    /** Whether β begins and ends as published. */
    public boolean hasPublishedEnds() {
        return betaStart == NoiseSchedule.BETA_START && betaEnd == NoiseSchedule.BETA_END;
    }

    /** For people, without what is as published: {@code linear 1000 noise learned_range}. */
    public String text() {
        String ends = hasPublishedEnds() ? "" : ", beta " + betaStart + " to " + betaEnd;
        String minimised = loss == LossType.MSE ? "" : ", loss " + word(loss);
        String rounded = products == Products.FLOAT64 ? "" : ", products in float32";
        return schedule.published() + " " + numTimesteps + " " + word(prediction) + " " + word(variance) + ends
                + minimised + rounded;
    }

    /** As {@link #ofJson} reads it; the keys keep their order. */
    public ObjectNode toJson() {
        return JsonNodeFactory.instance
                .objectNode()
                .put("version", VERSION)
                .put("process", GAUSSIAN)
                .put("schedule", schedule.published())
                .put("num_timesteps", numTimesteps)
                .put("beta_start", betaStart)
                .put("beta_end", betaEnd)
                .put("products", word(products))
                .put("prediction", word(prediction))
                .put("variance", word(variance))
                .put("loss", word(loss));
    }

    /**
     * Of {@link #toJson}.
     *
     * @throws IllegalArgumentException if it is of a newer version or another process, both by name, or says something impossible
     */
    public static DiffusionConfig ofJson(JsonNode json) {
        int version = json.path("version").asInt(-1);
        require(version == VERSION, "the diffusion is of version " + json.path("version") + "; known is " + VERSION);
        String process = json.path("process").asText();
        require(
                process.equals(GAUSSIAN),
                "the diffusion's process is \"" + process + "\"; known is \"" + GAUSSIAN
                        + "\"; a newer version of dit4j may know it");
        return new DiffusionConfig(
                NoiseSchedule.of(json.path("schedule").asText()),
                json.path("num_timesteps").asInt(),
                json.path("beta_start").asDouble(),
                json.path("beta_end").asDouble(),
                constant(Products.class, json, "products"),
                constant(Prediction.class, json, "prediction"),
                constant(Variance.class, json, "variance"),
                constant(LossType.class, json, "loss"));
    }

    /**
     * Of the four words that version 0.1.0 wrote: {@code linear 1000 noise learned_range}.
     *
     * @throws IllegalArgumentException if it is not understood
     */
    public static DiffusionConfig ofText(String text) {
        String[] parts = text.split(" ");
        require(
                parts.length == 4 && parts[1].matches("\\d{1,6}"),
                "diffusion \"" + text + "\" is not of the form \"linear 1000 noise learned_range\"");
        return of(
                NoiseSchedule.of(parts[0]),
                Integer.parseInt(parts[1]),
                constant(Prediction.class, parts[2], "prediction"),
                constant(Variance.class, parts[3], "variance"));
    }

    private static <E extends Enum<E>> E constant(Class<E> type, JsonNode json, String key) {
        return constant(type, json.path(key).asText(), key);
    }

    private static <E extends Enum<E>> E constant(Class<E> type, String word, String key) {
        for (E constant : type.getEnumConstants()) if (word(constant).equals(word)) return constant;
        throw new IllegalArgumentException("unknown " + key + " \"" + word + "\"; one of "
                + Arrays.stream(type.getEnumConstants())
                        .map(DiffusionConfig::word)
                        .toList());
    }

    private static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
