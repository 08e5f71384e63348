package org.dit4j.checkpoint;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Prediction;
import org.dit4j.diffusion.DiffusionConfig.Variance;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.io.FormatException;
import org.dit4j.io.TorchFile;
import org.dit4j.io.TorchValues;
import org.dit4j.model.DiTConfig;

/**
 * What a training script wrote of itself beside its weights: its flags by name, whether it kept them as an argparse.Namespace, a dict, or a
 * configuration of OmegaConf. What they say is obeyed, or the file is refused.
 */
final class ScriptArgs {
    private static final List<String> PLACES = List.of(
            "args",
            "hparams",
            "hyper_parameters",
            "config",
            "cfg",
            "opts",
            "options",
            "train_args",
            "model_args",
            "model_config");
    private static final int MAX_DEPTH = 6, MAX_FLAGS = 10_000;

    private final Path file;
    /** Name in lower case with underscores → where it stands, and a String, Number or Boolean. */
    private final Map<String, Flag> flags = new LinkedHashMap<>();

    private final Set<TorchFile.Foreign> seen = new HashSet<>();

    private record Flag(String place, Object value) {}

    private ScriptArgs(Path file) {
        this.file = file;
    }

    /** @param root of a file of torch.save; anything else has none */
    static ScriptArgs of(Path file, Object root) {
        ScriptArgs args = new ScriptArgs(file);
        if (root instanceof Map<?, ?> map)
            for (String place : PLACES) if (map.containsKey(place)) args.collect(place, map.get(place), 0);
        return args;
    }

    private void collect(String place, Object value, int depth) {
        if (depth > MAX_DEPTH || flags.size() > MAX_FLAGS) return;
        // objects may hold each other, so that a few would be a tree without end
        if (value instanceof TorchFile.Foreign foreign && !seen.add(foreign)) return;
        Map<?, ?> fields = fields(value);
        if (fields != null) fields.forEach((key, item) -> collect(place + "." + key, item, depth + 1));
        Object plain = plain(value);
        String name =
                place.substring(place.lastIndexOf('.') + 1).replace('-', '_').toLowerCase(Locale.ROOT);
        if (plain != null) flags.putIfAbsent(name, new Flag(place, plain));
    }

    private static Map<?, ?> fields(Object value) {
        if (value instanceof Map<?, ?> map) return map;
        if (value instanceof TorchValues.Namespace namespace) return namespace.fields();
        if (!(value instanceof TorchFile.Foreign foreign)) return null;
        // OmegaConf's containers; else what a class of its own was given
        return foreign.parts().get("_content") instanceof Map<?, ?> content ? content : foreign.parts();
    }

    private static Object plain(Object value) {
        Object inner =
                value instanceof TorchFile.Foreign foreign ? foreign.parts().get("_val") : value; // OmegaConf's
        return inner instanceof String || inner instanceof Number || inner instanceof Boolean ? inner : null;
    }

    /** Place → value, for people. */
    Map<String, String> all() {
        Map<String, String> all = new LinkedHashMap<>();
        flags.values().forEach(flag -> all.put(flag.place(), flag.value().toString()));
        return all;
    }

    private Flag first(String... names) {
        for (String name : names) if (flags.containsKey(name)) return flags.get(name);
        return null;
    }

    private OptionalDouble number(String... names) {
        Flag flag = first(names);
        return flag != null && flag.value() instanceof Number number
                ? OptionalDouble.of(number.doubleValue())
                : OptionalDouble.empty();
    }

    private OptionalLong whole(String... names) {
        OptionalDouble number = number(names);
        return number.isPresent() && number.getAsDouble() == Math.rint(number.getAsDouble())
                ? OptionalLong.of((long) number.getAsDouble())
                : OptionalLong.empty();
    }

    private boolean isTrue(String... names) {
        Flag flag = first(names);
        return flag != null
                && (Boolean.TRUE.equals(flag.value()) || flag.value().equals(1L));
    }

    private FormatException refusal(Flag flag, String reason) {
        return new FormatException(file, "its " + flag.place() + " is " + flag.value() + ": " + reason);
    }

    /** @throws FormatException if the weights are of a network, or for a kind of sampling, that is not known here */
    void requireKnown() throws FormatException {
        Flag path = first("path_type"), prediction = first("prediction");
        String known = "; here DiTs of Gaussian diffusion (DDPM) are drawn with";
        if (path != null)
            throw refusal(
                    path,
                    "the weights were trained by flow matching (SiT"
                            + (prediction == null ? "" : ", prediction " + prediction.value()) + ")" + known);
        Flag model = first("model", "model_name", "arch");
        if (model != null && model.value().toString().matches("(?i)(.*\\W)?(sit|lightningdit)[-_/].*"))
            throw refusal(model, "a model of flow matching" + known);
        Flag rotary = first("use_rope", "rope");
        if (rotary != null && Boolean.TRUE.equals(rotary.value()))
            throw refusal(rotary, "a network with rotary positions, which a DiT has not");
    }

    /** Attention heads, if the script says. */
    OptionalInt numHeads() {
        OptionalLong heads = whole("num_heads", "n_heads", "num_attention_heads");
        if (heads.isPresent() && heads.getAsLong() >= 1 && heads.getAsLong() <= 1024)
            return OptionalInt.of((int) heads.getAsLong());
        Flag model = first("model", "model_name", "arch");
        String name = model == null ? "" : model.value().toString();
        return DiTConfig.names().contains(name)
                ? OptionalInt.of(DiTConfig.of(name).numHeads())
                : OptionalInt.empty();
    }

    /** Classes, if the script says. */
    OptionalLong numClasses() {
        return whole("num_classes", "n_classes");
    }

    /** The share of labels that training replaced by the null label, if the script says; 0 means that there is none. */
    OptionalDouble labelDropout() {
        OptionalDouble dropout =
                number("class_dropout_prob", "label_dropout", "label_dropout_prob", "cfg_prob", "uncond_prob");
        return dropout.isPresent() && dropout.getAsDouble() >= 0 && dropout.getAsDouble() < 1
                ? dropout
                : OptionalDouble.empty();
    }

    /**
     * What the network was trained to undo: as published where the script says nothing.
     *
     * @throws FormatException if the script says what is not known here
     */
    DiffusionConfig diffusion(DiTConfig model) throws FormatException {
        Flag given = first("noise_schedule", "beta_schedule");
        String name =
                given == null ? NoiseSchedule.LINEAR.published() : given.value().toString();
        if (name.equals("cosine")) name = NoiseSchedule.COSINE.published();
        if (!NoiseSchedule.names().contains(name))
            throw refusal(given, "no noise schedule that is known; known are " + NoiseSchedule.names());
        long steps = whole("diffusion_steps", "num_diffusion_timesteps", "num_train_timesteps", "num_timesteps")
                .orElse(1000);
        DiffusionConfig published = DiffusionConfig.published(model.learnSigma());
        boolean small = !model.learnSigma() && isTrue("sigma_small");
        try {
            return published
                    .withSchedule(
                            NoiseSchedule.of(name),
                            Math.toIntExact(steps),
                            number("beta_start").orElse(published.betaStart()),
                            number("beta_end").orElse(published.betaEnd()))
                    .withPrediction(prediction())
                    .withVariance(small ? Variance.FIXED_SMALL : published.variance());
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new FormatException(file, "its script's flags say a diffusion that cannot be: " + e.getMessage(), e);
        }
    }

    private Prediction prediction() throws FormatException {
        if (isTrue("predict_xstart")) return Prediction.X0;
        Flag flag = first("prediction_type", "prediction", "parameterization", "objective", "pred_type");
        if (flag == null || !(flag.value() instanceof String text)) return Prediction.NOISE;
        return switch (text.toLowerCase(Locale.ROOT)) {
            case "noise", "eps", "epsilon", "pred_noise", "pred_eps" -> Prediction.NOISE;
            case "x0", "xstart", "x_start", "start_x", "sample", "pred_x0" -> Prediction.X0;
            case "v_prediction", "pred_v" -> Prediction.VELOCITY;
            default ->
                throw refusal(
                        flag,
                        "not a prediction of the noise, of the picture or of Salimans and Ho's velocity"
                                + " (v_prediction), which are known");
        };
    }
}
