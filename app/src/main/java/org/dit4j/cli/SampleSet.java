package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.jobs.SampleConfig;
import org.dit4j.jobs.SampleJob;
import org.dit4j.jobs.ShardRunner;
import org.dit4j.model.DiTConfig;
import org.dit4j.report.PngText;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import picocli.CommandLine.Option;

/** A set of pictures for metrics, as the published {@code sample_ddp.py} draws it. */
final class SampleSet {
    /** What the published job guides with, and draws at once. */
    static final double PUBLISHED_SCALE = 1.5;

    private static final int PUBLISHED_BATCH = 32;

    @Option(
            names = {"--num-samples", "--num-fid-samples"},
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Draw a set for metrics instead (published: 50000), of all classes or those of --class:"
                    + " 000000.png and so on, and an .npz. The same command again goes on; started several times, also on"
                    + " machines that share the folder, it shares the work. The bytes stay the same.")
    private Integer numSamples;

    /** {@code random} and {@code balanced}. */
    static final class LabelNames extends Names<SampleConfig.Labels> {
        LabelNames() {
            super(List.of(SampleConfig.Labels.values()), Names::flag);
        }
    }

    /** {@code png}, {@code npz} and {@code both}. */
    static final class FormatNames extends Names<SampleConfig.Format> {
        FormatNames() {
            super(List.of(SampleConfig.Format.values()), Names::flag);
        }
    }

    @Option(
            names = "--labels",
            converter = LabelNames.class,
            completionCandidates = LabelNames.class,
            paramLabel = "NAME",
            description = "Of a set: random, each picture's class by chance, as published; balanced, as many of each."
                    + " Default: random.")
    private SampleConfig.Labels labels;

    @Option(
            names = "--format",
            converter = FormatNames.class,
            completionCandidates = FormatNames.class,
            paramLabel = "NAME",
            description =
                    "What is left of a set: png, its folder; npz, all pixels in one file beside it, arr_0; or both."
                            + " Default: both.")
    private SampleConfig.Format format;

    @Option(
            names = "--sample-dir",
            paramLabel = "FOLDER",
            description = "Where a set gets a folder of its own, unless --out names that. Default: samples.")
    private Path sampleDir;

    boolean isAsked() {
        return numSamples != null;
    }

    /** @throws IllegalArgumentException if a flag of a set is given without {@code --num-samples} */
    void requireAsked() {
        if (labels != null || format != null || sampleDir != null)
            throw new IllegalArgumentException(
                    (labels != null ? "--labels" : format != null ? "--format" : "--sample-dir")
                            + " is for a set of pictures; add --num-samples N");
    }

    /** The folder of folders that sets go into. */
    Path parent() {
        return sampleDir == null ? Path.of("samples") : sampleDir;
    }

    /** @param classes labels to choose from; none for pictures of no class */
    SampleConfig config(DiTPipeline pipeline, List<Integer> classes, long seed, Integer batchSize) {
        return new SampleConfig(
                numSamples,
                batchSize == null ? Math.min(PUBLISHED_BATCH, pipeline.picturesAtOnce()) : batchSize,
                seed,
                labels == null ? SampleConfig.Labels.RANDOM : labels,
                classes,
                format == null ? SampleConfig.Format.BOTH : format);
    }

    /** One for each picture that is drawn, those included that fill up the last forward pass. */
    static List<ClassChoice> choices(SampleConfig config) {
        return IntStream.range(0, config.numDrawn())
                .map(config::label)
                .mapToObj(label -> label < 0 ? ClassChoice.none() : ClassChoice.of(label))
                .toList();
    }

    /** The published name: {@code DiT-XL-2-0400000-size-256-vae-ema-cfg-1.5-seed-0}. */
    static String name(DiTPipeline pipeline, Path weights, String vae, SampleRequest request) {
        return String.format(
                Locale.ROOT,
                "%s-%s-size-%d-vae-%s-cfg-%s-seed-%d",
                modelName(pipeline.config()).replace('/', '-'),
                checkpointName(weights),
                pipeline.downsampling() * pipeline.config().inputHeight(),
                vae,
                request.guidance(),
                request.seed());
    }

    private static String modelName(DiTConfig model) {
        return DiTConfig.names().stream()
                .filter(name -> {
                    DiTConfig published = DiTConfig.of(name);
                    return published.patchSize() == model.patchSize()
                            && published
                                    .withTrunk(model.hiddenSize(), model.depth(), model.numHeads())
                                    .equals(published);
                })
                .findFirst()
                .orElse("DiT-" + model.hiddenSize() + "x" + model.depth() + "/" + model.patchSize());
    }

    /** Of a run's checkpoint its folder, which has the step; else of the file. */
    private static String checkpointName(Path weights) {
        Path whole = weights.toAbsolutePath().normalize();
        String folder = String.valueOf(whole.getParent().getFileName()),
                file = whole.getFileName().toString();
        return folder.startsWith("step-") ? folder : file.replaceFirst("\\.(pt|safetensors|bin)$", "");
    }

    /** What the pictures depend on beside what {@link SampleConfig} says. */
    private static Map<String, String> settings(
            SampleRequest request, DiTPipeline pipeline, String device, Precision precision) {
        Map<String, String> settings = new TreeMap<>(PngText.of(request, pipeline, ""));
        settings.keySet().removeAll(List.of("Software", "Checkpoint", "Classes"));
        settings.put("Digest of weights", pipeline.weightsDigest());
        pipeline.autoencoderDigest().ifPresent(digest -> settings.put("Digest of autoencoder", digest));
        settings.put("Device", Backend.device(device).is_cuda() ? "cuda" : "cpu");
        settings.put("Precision", Names.flag(precision));
        return settings;
    }

    /** Draws what is not there yet, and prints where the set is. */
    void draw(
            DiTPipeline pipeline,
            SampleConfig config,
            SampleRequest request,
            Path folder,
            String device,
            Precision precision,
            boolean json,
            PrintWriter out,
            PrintWriter err)
            throws IOException {
        int side = pipeline.downsampling(), steps = pipeline.numSteps(request);
        SampleJob job = new SampleJob(
                folder,
                config,
                side * pipeline.config().inputHeight(),
                side * pipeline.config().inputWidth(),
                settings(request, pipeline, device, precision),
                (first, count, progress, pictures) -> {
                    int[] done = {0};
                    pipeline.sample(
                            request.part((int) first, count),
                            step -> {
                                progress.accept(++done[0] / (double) steps);
                                return true;
                            },
                            pictures);
                });
        try (Progress progress = new Progress(err, Terminal.ofStandardError(), "sample", config.numSamples());
                Logs logs = Logs.to(progress::message)) {
            Rate rate = new Rate();
            ShardRunner.run(job, folder, (done, numLeftOut) -> progress.update(done, rate.after(done)));
        }
        Map<String, Object> result = new LinkedHashMap<>();
        if (config.format() != SampleConfig.Format.NPZ) result.put("folder", folder.toString());
        if (config.format() != SampleConfig.Format.PNG)
            result.put("npz", folder.resolveSibling(job.npz().getFileName()).toString());
        if (json) {
            result.put("samples", config.numSamples());
            result.put("parameters", job.settings());
            out.println(new ObjectMapper().writeValueAsString(result));
        } else result.values().forEach(out::println);
        out.flush();
    }

    /** Pictures per second since the first that was seen to be finished here, whoever draws them. */
    private static final class Rate {
        private long first = -1, since;

        String after(long done) {
            long now = System.nanoTime();
            if (first < 0) {
                first = done;
                since = now;
            }
            if (done == first) return "";
            double rate = (done - first) * 1e9 / (now - since);
            return String.format(Locale.ROOT, rate < 10 ? "%.2f images/s" : "%.0f images/s", rate);
        }
    }
}
