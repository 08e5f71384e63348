package org.dit4j.cli;

import java.io.IOException;
import org.dit4j.data.Dataset;
import org.dit4j.data.LatentCache;
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
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "0 trains an unconditional model. Default: as many as the data have.")
    private Integer numClasses;

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

    /** Height and width that the model is to have. */
    int height(Dataset data) {
        return pictures.imageSize() == null || data instanceof LatentCache ? data.height() : pictures.imageSize();
    }

    int width(Dataset data) {
        return pictures.imageSize() == null || data instanceof LatentCache ? data.width() : pictures.imageSize();
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
        int height = data instanceof LatentCache latents ? latents.header().imageHeight() : data.height();
        int width = data instanceof LatentCache latents ? latents.header().imageWidth() : data.width();
        if (height == width) settings.derive("image-size", height, "data");
        settings.derive("channels", data.channels(), "data");
        settings.derive("num-classes", data.classNames().size(), "data");
        settings.derive("flip", flip(), "default");
    }
}
