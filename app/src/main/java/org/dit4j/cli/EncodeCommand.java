package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.dit4j.data.Dataset;
import org.dit4j.data.DatasetConfig;
import org.dit4j.data.Datasets;
import org.dit4j.data.LatentCache;
import org.dit4j.data.RgbImages;
import org.dit4j.jobs.EncodeConfig;
import org.dit4j.jobs.LatentEncoder;
import org.dit4j.jobs.ShardRunner;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.vae.LatentCodec;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "encode",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit encode --data-path=PATH --vae=PATH --out=FOLDER [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Encodes pictures into latents, to train on: each picture and its mirror image go through the autoencoder once."
                    + " The folder holds means and variances, so that each epoch draws other latents from them.",
            "A job that was stopped goes on when the same command is given again."
        },
        footer = {
            "",
            "For example:",
            "  dit encode --data-path photos --image-size 256 --vae sd-vae-ft-ema --out latents",
            "  dit train --data-path latents --vae sd-vae-ft-ema --model DiT-B/2"
        })
final class EncodeCommand implements Callable<Integer> {
    @Mixin
    private final PictureFlags pictures = new PictureFlags();

    @Mixin
    private final VaeFlag vae = new VaeFlag();

    @Option(
            names = "--out",
            required = true,
            paramLabel = "FOLDER",
            description = "Where the latents go; made if need be.")
    private Path out;

    @Option(
            names = "--shard-size",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Pictures to a file, which are what is lost at most when the job is stopped. Default:"
                    + " ${DEFAULT-VALUE}.")
    private int shardSize = EncodeConfig.standard().shardSize();

    @Option(
            names = "--batch-size",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Pictures that are encoded at once. Default: ${DEFAULT-VALUE}.")
    private int batchSize = EncodeConfig.standard().batchSize();

    @Option(
            names = "--num-workers",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "Threads that read and decode pictures. Default: ${DEFAULT-VALUE}.")
    private int numWorkers = 4;

    @Option(
            names = "--precision",
            converter = Precisions.class,
            completionCandidates = Precisions.class,
            paramLabel = "NAME",
            description = "Of the autoencoder: ${COMPLETION-CANDIDATES}. Latents are stored in float32. Default: fp32.")
    private Precision precision = Precision.FP32;

    /** What an autoencoder runs in. */
    static final class Precisions extends Names<Precision> {
        Precisions() {
            super(List.of(Precision.FP32, Precision.BF16), Names::flag);
        }
    }

    @Option(
            names = "--device",
            completionCandidates = Names.Devices.class,
            paramLabel = "NAME",
            description = "cpu, cuda, cuda:N, or auto: the GPU if there is one. Default: ${DEFAULT-VALUE}.")
    private String device = "auto";

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        Failure.as(ExitCode.DEVICE, () -> Backend.device(device));
        if (pictures.kind() == Datasets.Kind.LATENTS)
            throw new IllegalArgumentException("--data-path " + pictures.path() + " holds latents; give pictures");
        try (LatentCodec codec = vae.open();
                Dataset data = pictures.open(config())) {
            int side = pictures.imageSize() == null ? data.height() : pictures.imageSize();
            encode(new RgbImages(data, side), codec);
        }
        try (LatentCache latents = LatentCache.open(out)) {
            report(latents);
        }
        return ExitCode.DONE.code;
    }

    /** Grey pictures and those of another size are encoded as RGB of the size that was asked for; a broken one is the encoder's to skip. */
    private DatasetConfig config() {
        DatasetConfig config = pictures.config().withSkipBroken(false);
        return pictures.kind() == Datasets.Kind.IDX ? config.withOwnImageSize() : config;
    }

    private void encode(Dataset data, LatentCodec codec) throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        err.println(data.describe());
        EncodeConfig config =
                new EncodeConfig(shardSize, batchSize, numWorkers, pictures.skipBroken(), precision, device);
        try (Progress progress = new Progress(err, Terminal.ofStandardError(), "encode", data.size());
                Logs logs = Logs.to(progress::message)) {
            ShardRunner.run(
                    new LatentEncoder(data, codec, config),
                    out,
                    (done, numLeftOut) -> progress.update(done, numLeftOut == 0 ? "" : numLeftOut + " broken"));
        }
    }

    private void report(LatentCache latents) throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        if (!latents.brokenPictures().isEmpty()) {
            PictureFlags.report(latents.brokenPictures(), err);
            err.println("all are named in " + out.resolve(LatentCache.INDEX));
        }
        if (latents.linearRgb().isEmpty())
            err.println("no preview colours: the pictures are too few, or too much alike");
        err.flush();
        PrintWriter standard = spec.commandLine().getOut();
        if (json) {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("latents", out.toString());
            result.put("images", latents.size());
            result.put("classes", latents.classNames());
            result.put("channels", latents.channels());
            result.put("height", latents.height());
            result.put("width", latents.width());
            result.put("broken", latents.brokenPictures());
            standard.println(new ObjectMapper().writeValueAsString(result));
        } else standard.println(latents.describe());
        standard.flush();
    }
}
