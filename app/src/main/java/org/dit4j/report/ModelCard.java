package org.dit4j.report;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.data.Dataset;
import org.dit4j.io.Printable;
import org.dit4j.model.DiTConfig;
import org.dit4j.run.Origin;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunPlan;
import org.dit4j.run.TrainingLog;
import org.dit4j.torch.Precision;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.ValidationLosses;

/**
 * What a stranger should know of a run: Markdown with the front matter of
 * <a href="https://huggingface.co/docs/hub/model-cards">model cards</a>. It holds what the run was given and has measured, nothing else.
 */
public final class ModelCard {
    private static final int NAMED_CLASSES = 20, DRAWN_CLASSES = 3;

    private final RunFolder folder;
    private final String model;
    private final RunPlan plan;
    private final TrainConfig config;
    private final Origin origin;
    private final Dataset data;
    private final SampleRequest sampling;
    private final String sampleCommand;
    private final Optional<Path> vae;
    private final String goOnCommand;

    /**
     * The card of a run.
     *
     * @param model in words
     * @param origin what it began with
     * @param sampling how its grids are drawn
     * @param sampleCommand that draws from it
     * @param vae the autoencoder of a model on latents, if it is known
     * @param goOnCommand that trains it further
     */
    public ModelCard(
            RunFolder folder,
            String model,
            RunPlan plan,
            Origin origin,
            Dataset data,
            SampleRequest sampling,
            String sampleCommand,
            Optional<Path> vae,
            String goOnCommand) {
        this.folder = folder;
        this.model = model;
        this.plan = plan;
        config = plan.config();
        this.origin = origin;
        this.data = data;
        this.sampling = sampling;
        this.sampleCommand = sampleCommand;
        this.vae = vae;
        this.goOnCommand = goOnCommand;
    }

    /**
     * The card after a step.
     *
     * @param images trained
     * @param grid the newest one, in the run's folder
     * @param curves whether there is {@code curves.png}
     */
    String text(long step, long images, RunHistory history, Optional<Path> grid, boolean curves) {
        List<String> parts = new ArrayList<>();
        parts.add(frontMatter());
        parts.add("# " + markdown(folder.path().getFileName().toString()));
        parts.add((config.model().numClasses() > 0 ? "A class-conditional" : "An unconditional")
                + " diffusion transformer ([DiT](https://arxiv.org/abs/2212.09748)) of "
                + Numbers.number(config.model().parameters()) + " parameters, trained by dit4j on "
                + markdown(data.describe()) + ".");
        grid.ifPresent(path -> parts.add("![Samples](samples/" + path.getFileName()
                + ")\n\nSamples of the averaged weights after step " + Numbers.number(Board.stepOf(path)) + ": "
                + sampling() + ". Each grid of the run is drawn from the same noise."));
        parts.add("## How far it is\n\n" + table(progress(step, images, history)));
        if (curves) parts.add("![Losses, gradient norm, learning rate and speed](curves.png)");
        if (!history.validations().isEmpty()) parts.add(validation(history.validations()));
        parts.add("## What it is\n\n" + table(description()));
        if (config.model().numClasses() > 0) parts.add("Classes: " + classes() + ".");
        parts.add("## Sample from it\n\n    " + Printable.line(sampleCommand) + "\n\n```java\n" + java() + "```");
        if (data.latents().isPresent() && vae.isEmpty())
            parts.add("It draws latents. Both need the autoencoder that is to decode them: `--vae PATH`, and"
                    + " `DiTPipeline.open(run, vae)`.");
        parts.add("## Go on with it\n\n    " + Printable.line(goOnCommand) + "\n\nwith `--max-steps` for more than "
                + Numbers.number(plan.cadence().maxSteps()) + " steps.");
        parts.add(
                "`dit train` writes this file as the run goes. `config.yaml` has the whole configuration, `metrics.jsonl` every log.");
        return String.join("\n\n", parts) + "\n";
    }

    private String frontMatter() {
        boolean classes = config.model().numClasses() > 0;
        return "---\nlibrary_name: dit4j\npipeline_tag: unconditional-image-generation\ntags:\n- image-generation\n- "
                + (classes ? "class-conditional" : "unconditional") + "\n- diffusion\n- dit\n---";
    }

    private String sampling() {
        return "steps " + sampling.steps() + ", " + sampling.sampler() + ", guidance " + sampling.guidance() + ", seed "
                + sampling.seed();
    }

    private Map<String, String> progress(long step, long images, RunHistory history) {
        Map<String, String> rows = new LinkedHashMap<>();
        rows.put(
                "steps",
                Numbers.number(step) + " of " + Numbers.number(plan.cadence().maxSteps()));
        String epochs = data.size() == Dataset.ENDLESS
                ? ""
                : ", " + Numbers.real((double) images / data.size()) + " times the data";
        rows.put("images trained", Numbers.number(images) + epochs);
        if (history.last().isEmpty()) return rows;
        TrainingLog last = history.last().get();
        rows.put("training loss", Numbers.fourDigits(last.loss()) + ", the mean of the steps since the log before");
        rows.put("gradient norm", Numbers.fourDigits(last.gradientNorm()));
        rows.put("learning rate", Numbers.scientific(last.learningRate()));
        rows.put("images per second", Numbers.real(last.time().imagesPerSecond()));
        rows.put("skipped steps", Numbers.number(last.skippedSteps()));
        rows.put("spikes of the loss", Numbers.number(history.spikes()));
        return rows;
    }

    private static String validation(List<ValidationLosses> validations) {
        ValidationLosses last = validations.get(validations.size() - 1);
        Map<String, String> rows = new LinkedHashMap<>();
        rows.put("all", Numbers.fourDigits(last.loss()));
        for (int i = 0; i < last.buckets().size(); i++)
            rows.put(
                    last.firstTimestep(i) + " to " + (last.firstTimestep(i + 1) - 1),
                    Numbers.fourDigits(last.buckets().get(i)));
        return "The loss of the averaged weights on " + Numbers.number(last.numItems())
                + " items that were not trained on, after step " + Numbers.number(last.step()) + ":\n\n"
                + table("timesteps", "loss", rows);
    }

    private Map<String, String> description() {
        DiTConfig network = config.model();
        Map<String, String> rows = new LinkedHashMap<>();
        rows.put("model", model);
        rows.put("parameters", Numbers.number(network.parameters()));
        rows.put("Gflops", Numbers.real(network.gflops()) + " for one image (multiply-accumulates of a forward pass)");
        rows.put("diffusion", config.diffusion().text());
        rows.put(
                "began with",
                switch (origin.kind()) {
                    case FRESH -> "random weights";
                    case PUBLISHED_STATE ->
                        "weights, average, optimiser and steps of "
                                + origin.path().orElseThrow();
                    case TRAINED_WEIGHTS -> "the weights of " + origin.path().orElseThrow();
                });
        rows.put("data", data.describe());
        rows.put("items", data.size() == Dataset.ENDLESS ? "endless" : Numbers.number(data.size()));
        rows.put("batch size", Numbers.number(config.globalBatchSize()));
        int warmup = config.learningRate().warmupSteps();
        rows.put(
                "learning rate",
                Numbers.scientific(config.learningRate().rate()) + " (AdamW)"
                        + (warmup == 0 ? "" : " after " + Numbers.number(warmup) + " steps of warm-up"));
        rows.put("weight decay", Double.toString(config.weightDecay()));
        rows.put("clipped at norm", config.clipNorm() == 0 ? "never" : Double.toString(config.clipNorm()));
        rows.put(
                "moving average",
                config.ema().decay()
                        + (config.ema().rampRatio() == 0
                                ? ""
                                : ", half-life at most " + config.ema().rampRatio() + " of the images trained"));
        rows.put("random flips", config.flip() ? "yes" : "no");
        rows.put(
                "precision",
                plan.execution().precision() == Precision.FP32
                        ? "float32"
                        : "bfloat16 matrix products, float32 weights");
        rows.put("seed", Long.toString(config.seed()));
        vae.ifPresent(path -> rows.put("autoencoder", path.toString()));
        return rows;
    }

    private String classes() {
        List<String> names = data.classNames();
        String shown =
                names.stream().limit(NAMED_CLASSES).map(ModelCard::markdown).collect(Collectors.joining(", "));
        return names.size() <= NAMED_CLASSES ? shown : shown + " and " + (names.size() - NAMED_CLASSES) + " more";
    }

    private String java() {
        String classes = (config.model().numClasses() == 0 ? List.of("", "", "") : data.classNames())
                .stream().limit(DRAWN_CLASSES).map(ModelCard::literal).collect(Collectors.joining(", "));
        String open = "Path.of(" + literal(folder.path().toString()) + ")"
                + vae.map(path -> ", Path.of(" + literal(path.toString()) + ")").orElse("");
        String sampler =
                sampling.sampler() == Sampler.DDPM ? "" : ".withSampler(Sampler." + sampling.sampler() + ", 0)";
        return """
                try (DiTPipeline pipeline = DiTPipeline.open(%s)) {
                    SampleRequest request = SampleRequest.of(%s).withSteps("%s")%s.withGuidance(%s);
                    List<BufferedImage> pictures = pipeline.sample(request);
                    for (int i = 0; i < pictures.size(); i++)
                        ImageIO.write(pictures.get(i), "png", new File(i + ".png"));
                }
                """.formatted(open, classes, sampling.steps(), sampler, sampling.guidance());
    }

    private static String literal(String text) {
        // Java knows these escapes in source text too, but reads them before it knows of strings: so line feeds have
        // their own
        String escaped = text.replace("\\", "\\\\")
                .replace("\"", "\\\"")
                .replace("\n", "\\n")
                .replace("\r", "\\r");
        return '"' + Printable.line(escaped) + '"';
    }

    /** Text of others as Markdown that shows it as it is. */
    private static String markdown(String text) {
        return Printable.line(text)
                .replace("&", "&amp;")
                .replace("<", "&lt;")
                .replaceAll("([`*_\\[\\]!|~#])", "\\\\$1");
    }

    private static String table(Map<String, String> rows) {
        return table("", "", rows);
    }

    private static String table(String first, String second, Map<String, String> rows) {
        return rows.entrySet().stream()
                .map(row -> "| " + row.getKey() + " | " + markdown(row.getValue()) + " |")
                .collect(Collectors.joining("\n", "| " + first + " | " + second + " |\n| --- | --- |\n", ""));
    }
}
