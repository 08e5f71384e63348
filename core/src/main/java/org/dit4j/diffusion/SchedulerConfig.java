package org.dit4j.diffusion;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * How a scheduler of diffusers goes through a diffusion: {@code DDIMScheduler}, {@code DDPMScheduler}, or another, of which is known what it
 * has in common with these. {@link DiffusersProcess} does it.
 *
 * @param solver the class's name in diffusers
 * @param spacing which timesteps a number of steps visits
 * @param stepsOffset added to every timestep visited; of {@link Spacing#LEADING} only
 * @param alphaToOne whether DDIM takes ᾱ = 1 for what lies before the first timestep; else ᾱ of timestep 0
 * @param clip whether the predicted x0 is clamped at every step; false for latents
 * @param clipRange to ± this
 * @param threshold in place of the clamping, if there is one
 * @param zeroSnr whether ᾱ is shifted and scaled so that the last timestep keeps no signal
 * @param trainedBetas β of every timestep, in place of the schedule's; empty: the schedule's
 * @param variance of DDPM's steps
 * @param unknown what of it is not understood here, in a sentence for people; empty if all is
 */
public record SchedulerConfig(
        String solver,
        Spacing spacing,
        int stepsOffset,
        boolean alphaToOne,
        boolean clip,
        double clipRange,
        Threshold threshold,
        boolean zeroSnr,
        List<Double> trainedBetas,
        Variance variance,
        String unknown) {
    /** The solvers that are done as diffusers does them. */
    public static final String DDIM = "DDIMScheduler", DDPM = "DDPMScheduler";

    /** Which timesteps a number of steps visits. */
    public enum Spacing {
        /** The multiples of T / steps: the last is never visited. */
        LEADING,
        /** Evenly backwards from the last, so that the first is visited by all T steps only. */
        TRAILING,
        /** Evenly from the first to the last. */
        LINSPACE
    }

    /** The variance of a step of DDPM. */
    public enum Variance {
        FIXED_SMALL,
        /** As {@link #FIXED_SMALL}, by way of its logarithm. */
        FIXED_SMALL_LOG,
        FIXED_LARGE,
        /** Known by name only: diffusers takes the root of a negative number. */
        FIXED_LARGE_LOG,
        /** Known by name only: the variance itself predicted, which no DiT does. */
        LEARNED,
        LEARNED_RANGE
    }

    /**
     * Dynamic thresholding of Saharia et al. (2022): the predicted x0 of each picture is clamped to its own ± s and divided by s.
     *
     * @param ratio s is this quantile of |x0|, from 0 to 1 …
     * @param maximum … but at most this, and at least 1
     */
    public record Threshold(double ratio, double maximum) {
        /** None. */
        public static final Threshold NONE = new Threshold(0, 0);

        public Threshold {
            if (!(ratio >= 0 && ratio <= 1) || !(maximum >= 0) || Double.isInfinite(maximum))
                throw new IllegalArgumentException("the threshold is the quantile " + ratio + " of at most " + maximum
                        + "; a quantile of 0 to 1, and a number");
        }
    }

    /** What is written beside a converted DiT. */
    public static final SchedulerConfig PUBLISHED = new SchedulerConfig(0, false);

    /** @throws IllegalArgumentException if the offset is negative, or a number is none */
    public SchedulerConfig {
        if (stepsOffset < 0)
            throw new IllegalArgumentException("stepsOffset is " + stepsOffset + "; 0 or more, and usually 0 or 1");
        if (!(clipRange > 0) || Double.isInfinite(clipRange))
            throw new IllegalArgumentException("clipRange is " + clipRange + "; above 0, and usually 1");
        if (!clip) clipRange = 1; // ignored, so it may not make two configurations of one
        trainedBetas = List.copyOf(trainedBetas);
        for (double beta : trainedBetas)
            if (!(beta > 0 && beta <= 1))
                throw new IllegalArgumentException("a trained beta is " + beta + "; above 0, and at most 1");
    }

    /** {@code DDIMScheduler} as a DiT has it. */
    public SchedulerConfig(int stepsOffset, boolean clip) {
        this(
                DDIM,
                Spacing.LEADING,
                stepsOffset,
                true,
                clip,
                1,
                Threshold.NONE,
                false,
                List.of(),
                Variance.FIXED_SMALL,
                "");
    }

    /** One that nothing is known of but what is wrong with it. */
    public static SchedulerConfig unknown(String solver, String problem) {
        return PUBLISHED.withSolver(solver).withUnknown(problem);
    }

    private SchedulerConfig withUnknown(String problem) {
        return new SchedulerConfig(
                solver,
                spacing,
                stepsOffset,
                alphaToOne,
                clip,
                clipRange,
                threshold,
                zeroSnr,
                trainedBetas,
                variance,
                problem);
    }

    /** The same under the name of another solver. */
    public SchedulerConfig withSolver(String other) {
        return new SchedulerConfig(
                other,
                spacing,
                stepsOffset,
                alphaToOne,
                clip,
                clipRange,
                threshold,
                zeroSnr,
                trainedBetas,
                variance,
                unknown);
    }

    /** The same for pixels, which lie in [−1, 1]. */
    public SchedulerConfig clipped() {
        if (clip || threshold.ratio() > 0) return this;
        return new SchedulerConfig(
                solver, spacing, stepsOffset, alphaToOne, true, 1, threshold, zeroSnr, trainedBetas, variance, unknown);
    }

    /** Whether the solver is done as diffusers does it. */
    public boolean isKnown() {
        return solver.equals(DDIM) || solver.equals(DDPM);
    }

    /** Whether so many steps are those of {@link GaussianDiffusion#ddimStep} at {@link #timesteps}, but for clipping. */
    public boolean isPlain(int numTimesteps, int steps) {
        return equals(new SchedulerConfig(stepsOffset, clip))
                && steps >= 1
                && (numTimesteps / steps > stepsOffset || stepsOffset == 0);
    }

    /** Whether the solvers of this library, at timesteps of their own, are right for the diffusion. */
    public boolean suitsOtherSolvers() {
        return clipRange == 1 && threshold.ratio() == 0 && !zeroSnr && trainedBetas.isEmpty();
    }

    /**
     * The timesteps that so many steps visit, rising.
     *
     * @param numTimesteps of the diffusion, T
     * @throws IllegalArgumentException if there are not that many
     */
    public int[] timesteps(int numTimesteps, int steps) {
        if (steps < 1 || steps > numTimesteps)
            throw new IllegalArgumentException(steps + " steps; this model has 1 to " + numTimesteps);
        return switch (spacing) {
            case LEADING -> leading(numTimesteps, steps);
            case TRAILING -> trailing(numTimesteps, steps);
            case LINSPACE -> linspace(numTimesteps, steps);
        };
    }

    private int[] leading(int numTimesteps, int steps) {
        int stride = numTimesteps / steps;
        if ((steps - 1L) * stride + stepsOffset >= numTimesteps)
            throw new IllegalArgumentException(steps + " steps reach beyond the last of " + numTimesteps
                    + " timesteps, because all are shifted by " + stepsOffset + "; take fewer");
        return IntStream.range(0, steps).map(i -> i * stride + stepsOffset).toArray();
    }

    /** Of some numbers of steps diffusers' sum falls short of T by a rounding, and it goes on to a timestep −1, which there is not. */
    private static int[] trailing(int numTimesteps, int steps) {
        double start = numTimesteps, stride = start - (start - (double) numTimesteps / steps);
        return IntStream.range(0, steps)
                .map(i -> (int) Math.rint(start - (steps - 1 - i) * stride) - 1)
                .toArray();
    }

    private static int[] linspace(int numTimesteps, int steps) {
        if (steps == 1) return new int[] {0};
        double stride = (numTimesteps - 1.0) / (steps - 1);
        return IntStream.range(0, steps)
                .map(i -> i == steps - 1 ? numTimesteps - 1 : (int) Math.rint(i * stride))
                .toArray();
    }

    /** As {@link #ofJson} reads it: what is otherwise than {@link #PUBLISHED}, and offset and clipping. */
    public ObjectNode toJson() {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        if (!solver.equals(DDIM)) json.put("solver", solver);
        if (spacing != Spacing.LEADING) json.put("spacing", word(spacing));
        json.put("stepsOffset", stepsOffset);
        if (!alphaToOne) json.put("alphaToOne", false);
        json.put("clip", clip);
        if (clipRange != 1) json.put("clipRange", clipRange);
        if (!threshold.equals(Threshold.NONE))
            json.put("thresholdRatio", threshold.ratio()).put("thresholdMaximum", threshold.maximum());
        if (zeroSnr) json.put("zeroSnr", true);
        if (!trainedBetas.isEmpty()) trainedBetas.forEach(json.withArray("trainedBetas")::add);
        if (variance != Variance.FIXED_SMALL) json.put("variance", word(variance));
        if (!unknown.isEmpty()) json.put("unknown", unknown);
        return json;
    }

    /** For people: as {@link #toJson}, but for long lists. */
    public String text() {
        ObjectNode json = toJson();
        if (!trainedBetas.isEmpty()) json.put("trainedBetas", trainedBetas.size() + " numbers");
        return json.toString();
    }

    /**
     * Of {@link #toJson}; what is absent is as published.
     *
     * @throws IllegalArgumentException if it says something impossible
     */
    public static SchedulerConfig ofJson(JsonNode json) {
        if (!json.isObject()) throw new IllegalArgumentException("the scheduler is " + json + "; an object");
        List<Double> betas = new ArrayList<>();
        json.path("trainedBetas").forEach(beta -> betas.add(beta.asDouble()));
        return new SchedulerConfig(
                json.path("solver").asText(DDIM),
                constant(Spacing.class, json, "spacing", Spacing.LEADING),
                json.path("stepsOffset").asInt(0),
                json.path("alphaToOne").asBoolean(true),
                json.path("clip").asBoolean(false),
                json.path("clipRange").asDouble(1),
                new Threshold(
                        json.path("thresholdRatio").asDouble(0),
                        json.path("thresholdMaximum").asDouble(0)),
                json.path("zeroSnr").asBoolean(false),
                betas,
                constant(Variance.class, json, "variance", Variance.FIXED_SMALL),
                json.path("unknown").asText(""));
    }

    /**
     * The constant that a key of a configuration names, in diffusers' lower case.
     *
     * @throws IllegalArgumentException if there is none of this name
     */
    public static <E extends Enum<E>> E constant(Class<E> type, JsonNode json, String key, E absent) {
        JsonNode given = json.path(key);
        if (given.isMissingNode() || given.isNull()) return absent;
        for (E constant : type.getEnumConstants()) if (word(constant).equals(given.asText())) return constant;
        throw new IllegalArgumentException(key + " is " + given + "; one of "
                + Arrays.stream(type.getEnumConstants())
                        .map(SchedulerConfig::word)
                        .toList());
    }

    /** An enum's constant as diffusers writes it. */
    public static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }
}
