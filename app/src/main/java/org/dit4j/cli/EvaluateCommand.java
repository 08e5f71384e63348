package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.eval.Evaluation;
import org.dit4j.eval.FeatureNetwork;
import org.dit4j.eval.FeatureSet;
import org.dit4j.eval.KernelDistance;
import org.dit4j.eval.PictureSource;
import org.dit4j.eval.Reference;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Precision;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "evaluate",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit evaluate --sample=PATH --ref=PATH [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Compares pictures with a reference: FID, sFID, Inception Score, KID, precision and recall, as the published"
                    + " evaluators compute them, with all that changes the figures.",
            "A job that was stopped goes on when the same command is given again."
        },
        footer = {
            "",
            "For example:",
            "  dit evaluate --sample samples.npz --ref VIRTUAL_imagenet256_labeled.npz",
            "  dit evaluate --sample results/000-DiT-S-4 --num-samples 10000 --cfg-scale 1.5 --ref photos.npz"
        })
final class EvaluateCommand implements Callable<Integer> {
    @Option(
            names = "--sample",
            required = true,
            paramLabel = "PATH",
            description =
                    "What is judged: a folder or .zip of pictures, an .npz (arr_0), an IDX file, tar files, encoded"
                            + " pictures (decoded by --vae); or a run's folder or a checkpoint, which draws --num-samples first.")
    private Path sample;

    @Option(
            names = "--ref",
            required = true,
            paramLabel = "PATH",
            description = "What it is compared with: pictures of any of these kinds, or statistics: an .npz with mu and"
                    + " sigma (dit stats), a .pkl of them. KID, precision and recall need pictures.")
    private Path reference;

    @Option(
            names = "--image-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description =
                    "Crop pictures of folders and tar files to this. Default: none is cropped, and all of a set have"
                            + " one size.")
    private Integer imageSize;

    @Option(
            names = "--num-samples",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "How many a model draws, or only the first of the pictures. Default: all.")
    private Integer numSamples;

    @Option(
            names = "--num-ref",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Only the first of the reference's pictures. Default: all.")
    private Integer numReference;

    @Option(
            names = "--seed",
            paramLabel = "N",
            description = "Of the pictures that a model draws. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Option(
            names = "--kid-subset-size",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "KID is the mean over 100 subsets of so many; 0: one of all. Default: ${DEFAULT-VALUE}.")
    private int kidSubsetSize = KernelDistance.PUBLISHED_SUBSET_SIZE;

    @Mixin
    private final SamplingFlags sampling = new SamplingFlags("250", Sampler.DDPM);

    @Mixin
    private final OpenFlags open = new OpenFlags();

    @Mixin
    private final VaeFlag vae = new VaeFlag();

    @Mixin
    private final FeatureFlags features = new FeatureFlags();

    @Option(
            names = "--nearest",
            paramLabel = "FILE",
            description =
                    "Also write a sheet of some samples, each beside the pictures of the reference that are nearest to it.")
    private Path nearest;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        Map<String, Object> settings = new LinkedHashMap<>();
        try (FeatureNetwork network = features.open()) {
            FeatureJob job = new FeatureJob(features, err);
            Reference compared = Failure.as(ExitCode.DATA, () -> reference(job, network, settings));
            FeatureSet samples;
            try (PictureSource pictures = samples(settings)) {
                samples = job.run(sample.getFileName().toString(), pictures, network);
            }
            describe(settings, samples);
            if (nearest != null) writeNearest(samples, compared);
            Evaluation.Options options = new Evaluation.Options(true, kidSubsetSize, true);
            print(Evaluation.of(samples, compared, options), samples, settings);
        }
        return ExitCode.DONE.code;
    }

    private void writeNearest(FeatureSet samples, Reference compared) throws IOException {
        FeatureSet ofReference = compared.features()
                .orElseThrow(() -> new IllegalArgumentException(
                        "--nearest needs the pictures of the reference; " + reference + " has statistics only"));
        try (PictureSource pictures = samples(new LinkedHashMap<>());
                PictureSource others = EvaluationInput.open(reference, imageSize, numReference, vae, features)) {
            NearestSheet.write(nearest, pictures, samples, others, ofReference);
        }
    }

    private Reference reference(FeatureJob job, FeatureNetwork network, Map<String, Object> settings)
            throws IOException {
        settings.put("reference", reference.toString());
        if (EvaluationInput.isModel(reference))
            throw new IllegalArgumentException("--ref " + reference + " is a model; the reference is of real pictures");
        Optional<Reference> statistics = Optional.empty();
        if (EvaluationInput.hasStatistics(reference)) {
            statistics = Optional.of(Reference.read(reference, network.space().network()));
            settings.put("referenceDigest", Sha256.hex(reference));
            statistics.get().origin().ifPresent(origin -> settings.put("referenceCount", origin.count()));
        }
        if (!EvaluationInput.hasPictures(reference)) return statistics.orElseThrow();
        try (PictureSource pictures = EvaluationInput.open(reference, imageSize, numReference, vae, features)) {
            FeatureSet set = job.run(reference.getFileName().toString(), pictures, network);
            settings.putIfAbsent("referenceDigest", set.origin().source());
            settings.put("referenceCount", set.count());
            return statistics.isPresent() ? statistics.get().with(set) : Reference.of(set);
        }
    }

    private PictureSource samples(Map<String, Object> settings) throws IOException {
        if (!EvaluationInput.isModel(sample))
            return Failure.as(ExitCode.DATA, () -> EvaluationInput.open(sample, imageSize, numSamples, vae, features));
        if (numSamples == null)
            throw new IllegalArgumentException(
                    "--sample " + sample + " is a model; say how many pictures it draws: --num-samples 10000");
        OpenOptions options = open.options(vae.isGiven() ? vae.path() : null);
        DiTPipeline pipeline = Failure.as(
                ExitCode.CHECKPOINT, () -> DiTPipeline.open(sample, options, features.device(), Precision.FP32));
        try {
            if (!pipeline.drawsPictures())
                throw new IllegalArgumentException("this model works on latents; give the autoencoder: --vae PATH");
            sampling.requireSampler(pipeline, spec.commandLine().getErr());
            SampleRequest request = request(pipeline);
            pipeline.numSteps(request);
            Map<String, Object> drawn = new LinkedHashMap<>();
            drawn.put("sampler", Names.flag(request.sampler()));
            drawn.put("steps", request.steps());
            drawn.put("guidance", request.guidance());
            drawn.put("seed", seed);
            drawn.put("labels", pipeline.config().numClasses() == 0 ? "none" : "balanced");
            drawn.put("drawnAtOnce", pipeline.picturesAtOnce());
            drawn.put("weights", pipeline.weights());
            settings.putAll(drawn);
            return new SampledPictures(sample, options, pipeline, request, drawn.toString());
        } catch (RuntimeException e) {
            pipeline.close();
            throw e;
        }
    }

    /** One class after the other, so that each has as many pictures. */
    private SampleRequest request(DiTPipeline pipeline) {
        int numClasses = pipeline.config().numClasses();
        List<ClassChoice> classes = IntStream.range(0, numSamples)
                .mapToObj(index -> ClassChoice.of(numClasses == 0 ? 0 : index % numClasses))
                .toList();
        return sampling.request(pipeline.config(), classes, seed);
    }

    private void describe(Map<String, Object> settings, FeatureSet samples) {
        FeatureSet.Origin origin = samples.origin();
        settings.put("sample", sample.toString());
        settings.put("sampleDigest", origin.source());
        settings.put("sampleCount", origin.count());
        settings.put("quantisation", "8 bit");
        settings.put("network", origin.space().network());
        settings.put("preprocessing", origin.space().preprocessing());
        settings.put("networkWeights", origin.space().weights());
        settings.put("precision", origin.space().precision());
        settings.put("batchSize", origin.rows());
    }

    private void print(Evaluation evaluation, FeatureSet samples, Map<String, Object> settings) throws IOException {
        PrintWriter err = spec.commandLine().getErr(),
                standard = spec.commandLine().getOut();
        evaluation.warnings().forEach(warning -> err.println("warning: " + warning));
        if (evaluation.precisionRecall().isEmpty())
            err.println("no KID, precision and recall: the reference has statistics only, no pictures");
        err.flush();
        if (json) {
            Map<String, Object> result = figures(evaluation);
            result.put("settings", settings);
            result.put("warnings", evaluation.warnings());
            standard.println(new ObjectMapper().writeValueAsString(result));
        } else {
            boolean inception = evaluation.inceptionScore().isPresent();
            rows(evaluation, inception ? "FID" : "Frechet distance")
                    .forEach((name, value) -> standard.println(String.format(Locale.ROOT, "%-18s %s", name, value)));
            standard.println();
            settings.forEach(
                    (name, value) -> standard.println(String.format(Locale.ROOT, "%-18s %s", words(name), value)));
        }
        standard.flush();
    }

    /** {@code referenceDigest} → {@code reference digest}. */
    private static String words(String name) {
        return name.replaceAll("([A-Z])", " $1").toLowerCase(Locale.ROOT);
    }

    private static Map<String, Object> figures(Evaluation evaluation) {
        Map<String, Object> figures = new LinkedHashMap<>();
        evaluation.frechetDistance().ifPresent(value -> figures.put("fid", value));
        evaluation.spatialDistance().ifPresent(value -> figures.put("sfid", value));
        evaluation.inceptionScore().ifPresent(score -> figures.put("inceptionScore", score));
        evaluation.inceptionScoreWhole().ifPresent(score -> figures.put("inceptionScoreWhole", score));
        evaluation.kernelDistance().ifPresent(value -> figures.put("kid", value));
        evaluation.precisionRecall().ifPresent(value -> figures.put("precisionRecall", value));
        return figures;
    }

    private static Map<String, String> rows(Evaluation evaluation, String distance) {
        Map<String, String> rows = new LinkedHashMap<>();
        evaluation.frechetDistance().ifPresent(value -> rows.put(distance, text("%.4f", value)));
        evaluation.spatialDistance().ifPresent(value -> rows.put("sFID", text("%.4f", value)));
        evaluation
                .inceptionScore()
                .ifPresent(score -> rows.put(
                        "Inception Score",
                        text("%.4f +- %.4f", score.mean(), score.deviation())
                                + (score.splits() == 1 ? "" : " (" + score.splits() + " splits of 5000)")));
        evaluation.inceptionScoreWhole().ifPresent(score -> rows.put("  in one split", text("%.4f", score.mean())));
        evaluation
                .kernelDistance()
                .ifPresent(value -> rows.put(
                        "KID",
                        text("%.6f +- %.6f", value.mean(), value.deviation())
                                + (value.subsets() == 1
                                        ? " (all as one)"
                                        : " (" + value.subsets() + " subsets of " + value.subsetSize() + ")")));
        evaluation.precisionRecall().ifPresent(value -> {
            rows.put("precision", text("%.4f", value.precision()) + " (k = " + value.k() + ")");
            rows.put("recall", text("%.4f", value.recall()) + " (k = " + value.k() + ")");
        });
        return rows;
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
