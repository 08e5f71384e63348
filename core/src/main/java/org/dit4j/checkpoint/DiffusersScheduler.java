package org.dit4j.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Products;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.diffusion.SchedulerConfig.Spacing;
import org.dit4j.diffusion.SchedulerConfig.Threshold;
import org.dit4j.io.Printable;

/**
 * The {@code scheduler_config.json} of a pipeline's folder: which diffusion, and how diffusers goes through it. Only who draws needs it, so a
 * file that is not understood is no error here: the configuration says what is wrong with it.
 *
 * @param process with a predicted variance; {@link #diffusion} says it of a network
 */
record DiffusersScheduler(DiffusionConfig process, SchedulerConfig config) {
    private static final DiffusersScheduler PUBLISHED =
            new DiffusersScheduler(DiffusionConfig.PUBLISHED.withProducts(Products.FLOAT32), SchedulerConfig.PUBLISHED);
    private static final String SIGMOID = "sigmoid", LAPLACE = "laplace";

    /** What a file says, or what is published with a DiT where there is none. */
    static DiffusersScheduler read(Path file) {
        if (!Files.exists(file)) return PUBLISHED;
        String solver = "";
        try {
            JsonNode json = JsonFile.read(file);
            solver = json.path("_class_name").asText();
            return of(file, json, solver);
        } catch (IOException | IllegalArgumentException e) {
            // without the path: files are moved, and converted
            String reason = Printable.line(String.valueOf(e.getMessage()).replace(file + ": ", ""));
            return new DiffusersScheduler(
                    PUBLISHED.process,
                    SchedulerConfig.unknown(solver, "the " + file.getFileName() + " is not understood: " + reason));
        }
    }

    private static DiffusersScheduler of(Path file, JsonNode json, String solver) throws IOException {
        boolean known = solver.equals(SchedulerConfig.DDIM) || solver.equals(SchedulerConfig.DDPM);
        // they have other processes behind the same names of keys
        if (solver.startsWith("FlowMatch") || solver.startsWith("EDM"))
            throw new IllegalArgumentException(
                    "_class_name is \"" + solver + "\", which is for another process than a" + " diffusion with betas");
        if (json.path("use_flow_sigmas").asBoolean(false))
            throw new IllegalArgumentException("use_flow_sigmas is true, which is another process than a diffusion");
        int numTimesteps = JsonFile.integer(file, json, "num_train_timesteps", 1000);
        double start = json.path("beta_start").asDouble(1e-4),
                end = json.path("beta_end").asDouble(0.02);
        String schedule = json.path("beta_schedule").asText("linear");
        boolean ddpms = schedule.equals(SIGMOID) || schedule.equals(LAPLACE);
        if (ddpms && !solver.equals(SchedulerConfig.DDPM))
            throw new IllegalArgumentException("beta_schedule is \"" + schedule + "\", which DDPMScheduler alone has");
        DiffusionConfig process = PUBLISHED
                .process
                .withSchedule(
                        ddpms
                                ? NoiseSchedule.LINEAR
                                : NoiseSchedule.of(
                                        schedule.equals("scaled_linear") ? NoiseSchedule.QUAD.published() : schedule),
                        numTimesteps,
                        start,
                        end)
                .withPrediction(prediction(json.path("prediction_type").asText("epsilon")));
        List<Double> betas = new ArrayList<>();
        json.path("trained_betas").forEach(beta -> betas.add((double) (float) beta.asDouble()));
        if (betas.isEmpty() && schedule.equals(SIGMOID)) betas.addAll(sigmoid(numTimesteps, start, end));
        if (betas.isEmpty() && schedule.equals(LAPLACE)) betas.addAll(laplace(numTimesteps));
        if (!betas.isEmpty() && betas.size() != numTimesteps)
            throw new IllegalArgumentException(
                    "trained_betas are " + betas.size() + ", but num_train_timesteps is " + numTimesteps);
        boolean threshold = json.path("thresholding").asBoolean(false);
        SchedulerConfig config = new SchedulerConfig(
                solver,
                SchedulerConfig.constant(Spacing.class, json, "timestep_spacing", Spacing.LEADING),
                json.path("steps_offset").asInt(0),
                json.path("set_alpha_to_one").asBoolean(true),
                json.path("clip_sample").asBoolean(known), // what others have not, they do not do
                json.path("clip_sample_range").asDouble(1),
                threshold
                        ? new Threshold(
                                Math.max(json.path("dynamic_thresholding_ratio").asDouble(0.995), Double.MIN_VALUE),
                                json.path("sample_max_value").asDouble(1))
                        : Threshold.NONE,
                json.path("rescale_betas_zero_snr").asBoolean(false),
                betas,
                solver.equals(SchedulerConfig.DDPM)
                        ? SchedulerConfig.constant(
                                SchedulerConfig.Variance.class,
                                json,
                                "variance_type",
                                SchedulerConfig.Variance.FIXED_SMALL)
                        : SchedulerConfig.Variance.FIXED_SMALL,
                "");
        if (config.stepsOffset() >= numTimesteps)
            throw new IllegalArgumentException("steps_offset is " + config.stepsOffset() + "; 0 to "
                    + (numTimesteps - 1) + ", and usually 0 or 1");
        return new DiffusersScheduler(process, config);
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

    /** β rises along a logistic curve from −6 to 6. */
    private static List<Double> sigmoid(int numTimesteps, double start, double end) {
        return floats(numTimesteps, t -> {
            double place = numTimesteps == 1 ? -6 : -6 + 12 * t / (numTimesteps - 1);
            return (end - start) / (1 + Math.exp(-place)) + start;
        });
    }

    /** β of the signal that a Laplace distribution of log signal-to-noise ratios leaves. */
    private static List<Double> laplace(int numTimesteps) {
        DoubleUnaryOperator signal = u -> {
            double half = 0.5 - u;
            double logRatio = -0.5 * Math.copySign(1, half) * Math.log(1 - 2 * Math.abs(half) + 1e-6);
            return Math.sqrt(1 / (1 + Math.exp(-logRatio)));
        };
        return floats(
                numTimesteps,
                t -> Math.min(
                        1 - signal.applyAsDouble((t + 1) / numTimesteps) / signal.applyAsDouble(t / numTimesteps),
                        0.999));
    }

    private static List<Double> floats(int count, DoubleUnaryOperator value) {
        return IntStream.range(0, count)
                .mapToObj(t -> (double) (float) value.applyAsDouble(t))
                .toList();
    }

    /**
     * What is written of a network: diffusers' own, or of another what it was trained to undo. Of a scheduler that is not known here what
     * {@code DDIMScheduler} has in common with it.
     *
     * @throws IllegalArgumentException if diffusers has no such diffusion, or nobody knows how to go through it
     */
    static DiffusersScheduler of(DiTDescription description) {
        SchedulerConfig config = description.scheduler();
        if (!config.unknown().isEmpty())
            throw new IllegalArgumentException(config.unknown() + "; put that right, or write a .safetensors file");
        return new DiffusersScheduler(
                description.diffusion().withProducts(Products.FLOAT32),
                config.isKnown() ? config : config.withSolver(SchedulerConfig.DDIM));
    }

    /** The diffusion of a network that predicts a variance, which DDIM discards, or does not. */
    DiffusionConfig diffusion(boolean learnSigma) {
        return learnSigma ? process : process.withVariance(DiffusionConfig.Variance.FIXED_LARGE);
    }

    /** The name of its class. */
    String solver() {
        return config.solver();
    }

    ObjectNode toJson() {
        NoiseSchedule name = process.schedule();
        ObjectNode json = JsonNodeFactory.instance
                .objectNode()
                .put("_class_name", config.solver())
                .put("beta_end", process.betaEnd())
                .put("beta_schedule", name == NoiseSchedule.QUAD ? "scaled_linear" : name.published())
                .put("beta_start", process.betaStart())
                .put("clip_sample", config.clip());
        if (config.clipRange() != 1) json.put("clip_sample_range", config.clipRange());
        if (config.threshold().ratio() > 0)
            json.put("dynamic_thresholding_ratio", config.threshold().ratio());
        json.put("num_train_timesteps", process.numTimesteps())
                .put(
                        "prediction_type",
                        switch (process.prediction()) {
                            case NOISE -> "epsilon";
                            case X0 -> "sample";
                            case VELOCITY -> "v_prediction";
                        });
        if (config.zeroSnr()) json.put("rescale_betas_zero_snr", true);
        if (config.threshold().ratio() > 0)
            json.put("sample_max_value", config.threshold().maximum());
        if (config.solver().equals(SchedulerConfig.DDIM)) json.put("set_alpha_to_one", config.alphaToOne());
        json.put("steps_offset", config.stepsOffset());
        if (config.threshold().ratio() > 0) json.put("thresholding", true);
        json.put("timestep_spacing", SchedulerConfig.word(config.spacing()));
        if (!config.trainedBetas().isEmpty()) config.trainedBetas().forEach(json.withArray("trained_betas")::add);
        if (config.solver().equals(SchedulerConfig.DDPM))
            json.put("variance_type", SchedulerConfig.word(config.variance()));
        return json;
    }
}
