package org.dit4j.cli;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.dit4j.data.Dataset;
import org.dit4j.data.IdxDataset;
import org.dit4j.data.LatentCache;
import org.dit4j.data.LatentsHeader;
import org.dit4j.data.Subset;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which pictures to train on. */
final class DataFlags {
    private static final int MAX_VALIDATED = 1000;
    /** Not the run's: runs of all seeds are validated on the same ones of other data. */
    private static final long VALIDATION_SEED = 0;

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
            converter = Ranges.CountOrNone.class,
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
        if (pictures.isLatents()) return Failure.as(ExitCode.DATA, this::openLatents);
        if (vae.isGiven())
            throw new IllegalArgumentException(
                    "--vae " + vae.path() + ": a model on latents is trained on a folder that"
                            + " \"dit encode\" made of the pictures; without --vae, it is trained on the pictures themselves");
        if (channels != null && channels != 1 && channels != 3)
            throw new IllegalArgumentException("--channels is " + channels + "; 1 is grey, 3 is RGB");
        return pictures.open(seed, channels == null ? 3 : channels, pictures.skipBroken());
    }

    private Dataset openLatents() throws IOException {
        LatentCache latents = LatentCache.open(pictures.path());
        try {
            pictures.requireMade(latents.header());
            if (channels != null && channels != latents.channels())
                throw new IllegalArgumentException(
                        "--channels is " + channels + ", these latents have " + latents.channels());
            return latents;
        } catch (RuntimeException e) {
            latents.close();
            throw e;
        }
    }

    /** What of the data is trained on: all that is not held out. */
    Dataset trained(Dataset data, long seed) {
        if (holdOut == null) return data;
        if (validationPath != null)
            throw new IllegalArgumentException("--hold-out and --validation-path: validate on one of them");
        if (pictures.skipBroken())
            throw new IllegalArgumentException(
                    "--hold-out and --on-broken skip: the picture that stands in for a broken one"
                            + " could be one that is held out; give others by --validation-path");
        return Subset.others(data, holdOut, seed);
    }

    /** What to validate on, if there is anything. */
    Optional<Validated> validated(Dataset data, long seed) {
        if (holdOut != null) return Optional.of(new Validated(Subset.heldOut(data, holdOut, seed), () -> {}));
        Optional<Path> path = validationPath != null
                ? Optional.of(validationPath)
                : data instanceof IdxDataset ? pictures.testPictures() : Optional.empty();
        return path.map(other -> {
            Dataset opened = data.latents().isPresent()
                    ? Failure.as(ExitCode.DATA, () -> LatentCache.open(other))
                    : pictures.openOther(other, data, pictures.skipBroken());
            int count = (int) Math.min(opened.size(), MAX_VALIDATED);
            return new Validated(
                    opened.size() == count ? opened : Subset.heldOut(opened, count, VALIDATION_SEED), opened::close);
        });
    }

    /**
     * Data to validate on.
     *
     * @param opened the files behind them, to be closed
     */
    record Validated(Dataset data, Closeable opened) {}

    /** Height and width that the model is to have. */
    int height(Dataset data) {
        return pictures.imageSize() == null || data.latents().isPresent() ? data.height() : pictures.imageSize();
    }

    int width(Dataset data) {
        return pictures.imageSize() == null || data.latents().isPresent() ? data.width() : pictures.imageSize();
    }

    int channels(Dataset data) {
        return channels == null ? data.channels() : channels;
    }

    int numClasses(Dataset data) {
        return numClasses == null ? data.classNames().size() : numClasses;
    }

    boolean flip() {
        return flip == null ? !pictures.areGlyphs() : flip;
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
