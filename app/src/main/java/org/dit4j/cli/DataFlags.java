package org.dit4j.cli;

import java.io.Closeable;
import java.nio.file.Path;
import java.util.Optional;
import org.dit4j.data.Dataset;
import org.dit4j.data.DatasetConfig;
import org.dit4j.data.Datasets;
import org.dit4j.data.LatentsHeader;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which pictures to train on. */
final class DataFlags {
    @Mixin
    private final PictureFlags pictures = new PictureFlags();

    @Option(
            names = "--channels",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "1 for grey, 3 for RGB. Default: 3 for a folder, else that of the data.")
    private Integer channels;

    @Option(
            names = "--num-classes",
            converter = Ranges.Classes.class,
            paramLabel = "N",
            description = "0 trains an unconditional model. Default: as many as the data have.")
    private Integer numClasses;

    @Option(
            names = "--hold-out",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description =
                    "Train on all but N items, chosen by the seed, and validate on these: the loss of the averaged"
                            + " weights, by timestep.")
    private Integer holdOut;

    @Option(
            names = "--validation-path",
            paramLabel = "PATH",
            description = "Validate on other data, of the kind and with the classes of --data-path; on 1000 of them, if"
                    + " there are more. Default: the test pictures in an IDX folder, else none.")
    private Path validationPath;

    @Option(
            names = "--flip",
            negatable = true,
            description = "Mirror pictures at random. Default: yes, but for glyphs.")
    private Boolean flip;

    @Option(
            names = "--num-workers",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "Threads that read and decode pictures. Default: ${DEFAULT-VALUE}.")
    private int numWorkers = 4;

    @Mixin
    final VaeFlag vae = new VaeFlag();

    /** Opens the data; what is wrong with them fails as {@link ExitCode#DATA}. */
    Dataset open(long seed) {
        if (vae.isGiven() && pictures.kind() != Datasets.Kind.LATENTS)
            throw new IllegalArgumentException(
                    "--vae " + vae.path() + ": a model on latents is trained on a folder that"
                            + " \"dit encode\" made of the pictures; without --vae, it is trained on the pictures themselves");
        return pictures.open(config(seed));
    }

    private DatasetConfig config(long seed) {
        DatasetConfig config = pictures.config().withSeed(seed);
        if (channels != null) config = config.withChannels(channels);
        if (holdOut != null) config = config.withHoldOut(holdOut);
        return validationPath == null ? config : config.withValidation(validationPath);
    }

    /** What of the data is trained on: all that is not held out. */
    Dataset trained(Dataset data, long seed) {
        return Datasets.training(data, config(seed));
    }

    /** What to validate on, if there is anything. */
    Optional<Validated> validated(Dataset data, long seed) {
        return Failure.as(ExitCode.DATA, () -> {
            Optional<Dataset> on = Datasets.validation(pictures.path(), data, config(seed));
            // what is held out was checked with the rest
            if (on.isPresent() && holdOut == null) PictureFlags.check(on.get());
            return on.map(opened -> new Validated(opened, opened::close));
        });
    }

    /**
     * Data to validate on.
     *
     * @param opened the files behind them, to be closed
     */
    record Validated(Dataset data, Closeable opened) {}

    int numClasses(Dataset data) {
        return numClasses == null ? data.classNames().size() : numClasses;
    }

    boolean flip() {
        return flip == null ? pictures.kind() != Datasets.Kind.GLYPHS : flip;
    }

    int numWorkers() {
        return numWorkers;
    }

    /** Completes what the data decide. */
    void derive(Settings settings, Dataset data) {
        int height = data.latents().map(LatentsHeader::imageHeight).orElse(data.height());
        int width = data.latents().map(LatentsHeader::imageWidth).orElse(data.width());
        if (height == width) settings.derive("image-size", height, "data");
        settings.derive("channels", data.channels(), "data");
        settings.derive("num-classes", data.classNames().size(), "data");
        settings.derive("flip", flip(), "default");
    }
}
