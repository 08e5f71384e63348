package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.checkpoint.Conversion;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.DiTShapes;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.checkpoint.WriteOptions;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.Printable;
import org.dit4j.run.OwnCheckpoints;
import org.dit4j.vae.LatentScaling;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "convert",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Writes a model's weights in another format: .safetensors, .pt as the published scripts open it, or a folder as diffusers opens it.",
            "Nothing is overwritten."
        },
        footer = {
            "",
            "For example:",
            "  dit convert DiT-XL-2-256x256.pt dit-xl-2.safetensors",
            "  dit convert results/000-DiT-S-4 dit-s-4.pt --dtype fp16",
            "  dit convert DiT-XL-2-256x256.pt dit-xl-2-256 --vae ema"
        })
final class ConvertCommand implements Callable<Integer> {
    /** Fixed in the code of its pipeline, for ImageNet's thousand classes. */
    private static final int DIFFUSERS_NULL_LABEL = 1000;

    @Parameters(
            index = "0",
            paramLabel = "FROM",
            description =
                    "A run folder, a checkpoint's folder, a .pt or .safetensors file, a diffusers folder, or a name"
                            + " as on Hugging Face's hub, in the local cache.")
    private Path from;

    @Parameters(index = "1", paramLabel = "TO", description = "A .safetensors or .pt file, or a folder for diffusers.")
    private Path to;

    @Option(
            names = "--dtype",
            converter = Names.Dtypes.class,
            completionCandidates = Names.Dtypes.class,
            paramLabel = "NAME",
            description = "Round the weights: ${COMPLETION-CANDIDATES}. Default: as they are.")
    private ScalarType dtype;

    @Option(
            names = "--vae",
            paramLabel = "PATH",
            description =
                    "An autoencoder to put into a diffusers folder: ema, mse, or a path. Default: the one that comes"
                            + " along with FROM, if one does.")
    private Path vae;

    @Mixin
    private final VaeScale vaeScale = new VaeScale();

    @Option(
            names = "--max-shard-size",
            converter = Ranges.Bytes.class,
            paramLabel = "SIZE",
            description = "Write several .safetensors files of at most so many bytes, with an index, as Hugging Face's"
                    + " libraries do: 1GB, 500MB. Default: one file.")
    private long maxShardSize = WriteOptions.ONE_FILE;

    @Mixin
    private final OpenFlags open = new OpenFlags();

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    /** The file to open: the index of shards, if there are several. */
    private Path written() {
        Path index = to.resolveSibling(to.getFileName() + ".index.json");
        return Files.exists(index) ? index : to;
    }

    /** Whether who knows nothing but the weights draws with them as they were trained. */
    private static boolean isPublished(DiTDescription description) {
        DiffusionConfig diffusion = description.diffusion().withLoss(DiffusionConfig.LossType.MSE);
        return diffusion
                .withProducts(DiffusionConfig.Products.FLOAT64)
                .equals(DiffusionConfig.published(description.model().learnSigma()));
    }

    @Override
    public Integer call() throws IOException {
        Optional<LatentScaling> scaling = vaeScale.scaling();
        if (vae == null && scaling.isPresent())
            throw new IllegalArgumentException("--vae-scale goes with --vae, an autoencoder in a single file");
        DiTWeights weights = Failure.as(
                ExitCode.CHECKPOINT,
                () -> Conversion.convert(
                        from,
                        to,
                        open.options(vae).withVaeScaling(scaling),
                        new WriteOptions(Optional.ofNullable(dtype), maxShardSize)));
        OwnCheckpoints.foreignNewest(from).ifPresent(spec.commandLine().getErr()::println);
        DiTDescription description = weights.description();
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("written", written().toString());
            result.put("format", Names.flag(Conversion.Format.of(to)));
            result.put("model", DiTShapes.name(description.model()));
            result.put("parameters", description.model().parameters());
            out.println(new ObjectMapper().writeValueAsString(result));
        } else out.println(written());
        out.flush();
        boolean diffusers = Conversion.Format.of(to) == Conversion.Format.DIFFUSERS;
        if (diffusers && vae == null && weights.vae().isEmpty())
            spec.commandLine()
                    .getErr()
                    .println("dit: without an autoencoder diffusers opens the parts of " + to
                            + ", but not the pipeline; add one with --vae");
        if (diffusers && !description.scheduler().isKnown())
            spec.commandLine()
                    .getErr()
                    .println("dit: the folder's scheduler is DDIMScheduler, with the diffusion of the "
                            + Printable.line(description.scheduler().solver())
                            + " that the weights came with; in Python: pipe.scheduler = "
                            + Printable.line(description.scheduler().solver())
                            + ".from_config(pipe.scheduler.config)");
        if (Conversion.Format.of(to) == Conversion.Format.PT && !isPublished(description))
            spec.commandLine()
                    .getErr()
                    .println("dit: the published scripts take " + to + " for \""
                            + DiffusionConfig.published(description.model().learnSigma())
                                    .text()
                            + "\", and this is \"" + description.diffusion().text()
                            + "\": it stands in the file, where dit finds it and they do not");
        int classes = description.model().numClasses();
        if (diffusers && classes != DIFFUSERS_NULL_LABEL)
            spec.commandLine()
                    .getErr()
                    .println("dit: diffusers' DiTPipeline guides with the null label " + DIFFUSERS_NULL_LABEL
                            + ", whatever the model; this one has " + classes
                            + " classes, so call it with guidance_scale=1 (its default, 4, fails), or draw with"
                            + " dit sample --ckpt " + to);
        return ExitCode.DONE.code;
    }
}
