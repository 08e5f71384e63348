package org.dit4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.dit4j.eval.FeatureNetwork;
import org.dit4j.eval.FeatureSet;
import org.dit4j.eval.PictureSource;
import org.dit4j.eval.Reference;
import org.dit4j.eval.Tap;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "stats",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit stats --data-path=PATH --out=FILE.npz [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Computes the statistics of reference pictures once, for dit evaluate --ref: mean and covariance of their features,"
                    + " in an .npz that the published evaluators read too.",
            "A job that was stopped goes on when the same command is given again."
        },
        footer = {
            "",
            "For example:",
            "  dit stats --data-path photos --image-size 256 --out photos.npz",
            "  dit evaluate --sample samples --ref photos.npz"
        })
final class StatsCommand implements Callable<Integer> {
    @Option(
            names = "--data-path",
            required = true,
            paramLabel = "PATH",
            description =
                    "A folder or .zip of pictures, an .npz (arr_0), an IDX file, tar files, or a folder that \"dit"
                            + " encode\" made, which is decoded (--vae).")
    private Path dataPath;

    @Option(
            names = "--image-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description =
                    "Crop pictures of folders and tar files to this. Default: none is cropped, and all have one size.")
    private Integer imageSize;

    @Option(
            names = "--num-samples",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Only the first of the pictures. Default: all.")
    private Integer numSamples;

    @Option(names = "--out", required = true, paramLabel = "FILE", description = "The .npz that is written.")
    private Path out;

    @Mixin
    private final VaeFlag vae = new VaeFlag();

    @Mixin
    private final FeatureFlags features = new FeatureFlags();

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        if (!out.toString().endsWith(".npz"))
            throw new IllegalArgumentException("--out " + out + ": statistics are written as .npz");
        PrintWriter err = spec.commandLine().getErr();
        try (FeatureNetwork network = features.open();
                PictureSource pictures = Failure.as(
                        ExitCode.DATA, () -> EvaluationInput.open(dataPath, imageSize, numSamples, vae, features))) {
            FeatureSet set =
                    new FeatureJob(features, err).run(dataPath.getFileName().toString(), pictures, network);
            int width = set.width(Tap.FEATURES).orElseThrow();
            if (set.count() < width)
                err.println("warning: " + set.count() + " pictures are fewer than the " + width
                        + " features: their covariance is singular, and distances from it far too large");
            Reference.write(out, set);
            PrintWriter standard = spec.commandLine().getOut();
            standard.println(out + ": mean and covariance of " + width + " features of " + set.count() + " pictures; "
                    + set.origin().space().text());
            standard.flush();
        }
        return ExitCode.DONE.code;
    }
}
