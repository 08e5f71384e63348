package org.dit4j.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.dit4j.io.FormatException;

/**
 * The one place that decides what a path to data means, and what of them is trained on and validated on:
 *
 * <pre>{@code
 * DatasetConfig config = DatasetConfig.standard().withImageSize(64).withHoldOut(500);
 * try (Dataset data = Datasets.open(path, config)) {
 *     Dataset training = Datasets.training(data, config);
 *     …
 * }
 * }</pre>
 */
public final class Datasets {
    /** The path that means the built-in data set; a folder of that name is {@code ./glyphs}. */
    public static final String GLYPHS = "glyphs";
    /** Of pictures of folders and tar files, where none is given. */
    public static final int DEFAULT_IMAGE_SIZE = 256;

    private static final int GLYPHS_SIZE = 32;
    /** At most so many items of other data are validated on. */
    private static final int MAX_VALIDATED = 1000;
    /** Not the run's: runs of all seeds are validated on the same ones of other data. */
    private static final long VALIDATION_SEED = 0;

    private Datasets() {}

    /** What a path to data can mean. */
    public enum Kind {
        /** The word {@link Datasets#GLYPHS}: {@link Glyphs}. */
        GLYPHS,
        /** A folder of encoded pictures: {@link LatentCache}. */
        LATENTS,
        /** A tar file, a folder of them, or a range of them: {@link TarShards}. */
        TAR,
        /** An IDX file, or a folder of IDX files: {@link IdxDataset}. */
        IDX,
        /** A folder of pictures, a zip file, or a folder inside one: {@link ImageFolder}. What does not exist is taken for one too. */
        PICTURES
    }

    /**
     * What a path means; reads no more than the names in a folder.
     *
     * @throws IOException if the folder cannot be read
     */
    public static Kind kind(Path path) throws IOException {
        if (path.toString().equals(GLYPHS)) return Kind.GLYPHS;
        if (LatentCache.isCache(path)) return Kind.LATENTS;
        if (TarShards.isTar(path)) return Kind.TAR;
        return isIdx(path) ? Kind.IDX : Kind.PICTURES;
    }

    private static boolean isIdx(Path path) throws IOException {
        if (!Files.isDirectory(path))
            return Files.exists(path)
                    && !path.toString().toLowerCase(Locale.ROOT).endsWith(".zip");
        try (Stream<Path> files = Files.list(path)) {
            return files.anyMatch(file -> file.getFileName().toString().matches(".*images.*idx3.*"));
        }
    }

    /**
     * Opens data of any kind. They are closed by the caller.
     *
     * @param path as {@link Kind} says
     * @throws IllegalArgumentException if the configuration asks for what data of this kind, or these data, do not have
     * @throws FormatException if the data are damaged, or there are none
     * @throws NoSuchFileException if there is nothing at the path
     */
    public static Dataset open(Path path, DatasetConfig config) throws IOException {
        Kind kind = kind(path);
        requireClassesOf(kind, config);
        int channels = config.channels().orElse(3);
        if (kind != Kind.LATENTS && channels != 1 && channels != 3)
            throw new IllegalArgumentException("channels is " + channels + "; 1 is grey, 3 is RGB");
        int imageSize = config.imageSize().orElse(DEFAULT_IMAGE_SIZE);
        return switch (kind) {
            case GLYPHS -> requireAsked(config, new Glyphs(config.seed(), glyphsSize(config)));
            case LATENTS -> requireAsked(config, LatentCache.open(path));
            case TAR ->
                TarShards.open(
                        path,
                        new TarShardsConfig(
                                imageSize, channels, config.classNames(), config.skipBroken(), config.reading()));
            case IDX -> requireAsked(config, IdxDataset.open(path, config.classNames()));
            case PICTURES ->
                openFolder(
                        path,
                        new ImageFolderConfig(
                                imageSize,
                                channels,
                                config.classDepth(),
                                config.skipBroken(),
                                config.reading(),
                                config.classTable()));
        };
    }

    private static int glyphsSize(DatasetConfig config) {
        int size = config.imageSize().orElse(GLYPHS_SIZE);
        return size == ImageFolderConfig.ORIGINAL_SIZE ? GLYPHS_SIZE : size;
    }

    private static ImageFolder openFolder(Path path, ImageFolderConfig config) throws IOException {
        if (path.getNameCount() == 1 && !Files.exists(path))
            throw new NoSuchFileException(
                    path.toString(), null, "there is no such folder or file; the built-in data are called " + GLYPHS);
        return ImageFolder.open(path, config);
    }

    private static void requireClassesOf(Kind kind, DatasetConfig config) {
        boolean named = !config.classNames().isEmpty(),
                table = config.classTable().isPresent();
        switch (kind) {
            case GLYPHS -> {
                if (named || table) throw new IllegalArgumentException("glyphs have classes and names of their own");
            }
            case LATENTS -> {
                if (named || table)
                    throw new IllegalArgumentException("class names and a table of classes are for pictures; latents"
                            + " have the classes they were encoded with");
            }
            case TAR, IDX -> {
                if (table)
                    throw new IllegalArgumentException("a table of classes is for folders of pictures; the classes of"
                            + " IDX and tar files are numbers, which class names name");
            }
            case PICTURES -> {
                if (named)
                    throw new IllegalArgumentException("class names are for IDX and tar files; the classes of a folder"
                            + " are named by its folders, or by a table of classes");
            }
        }
    }

    /** Data that have a size and channels of their own have those that were asked for. */
    private static Dataset requireAsked(DatasetConfig config, Dataset data) throws IOException {
        try {
            int height = data.latents().map(LatentsHeader::imageHeight).orElse(data.height());
            int width = data.latents().map(LatentsHeader::imageWidth).orElse(data.width());
            boolean asked =
                    config.imageSize().orElse(ImageFolderConfig.ORIGINAL_SIZE) != ImageFolderConfig.ORIGINAL_SIZE;
            int size = asked ? config.imageSize().getAsInt() : height,
                    channels = config.channels().orElse(data.channels());
            String what = data.latents().isPresent() ? "these latents" : "these data";
            if (asked && (size != height || size != width))
                throw new IllegalArgumentException(
                        "image size is " + size + ", " + what + " are of pictures of " + width + "×" + height);
            if (channels != data.channels())
                throw new IllegalArgumentException(
                        "channels is " + channels + ", " + what + " have " + data.channels());
            return data;
        } catch (RuntimeException e) {
            data.close();
            throw e;
        }
    }

    /**
     * What of {@code data} is trained on: all that is not held out. It does not close the data.
     *
     * @param data of {@link #open} for the same configuration
     * @throws IllegalArgumentException if nothing would be left
     */
    public static Dataset training(Dataset data, DatasetConfig config) {
        return config.holdOut() == 0 ? data : Subset.others(data, config.holdOut(), config.seed());
    }

    /**
     * What to validate on, if there is anything: the items that are held out; or other data of the same kind and classes, at most 1000 of
     * them, which are the same in runs of all seeds; or else the test pictures in a folder of IDX files. It is closed by the caller, before
     * {@code data}, which it does not close.
     *
     * @param path of {@code data}
     * @param data of {@link #open} for the same path and configuration
     * @throws IllegalArgumentException if there are not as many items to hold out, or the other data are endless
     * @throws IOException as {@link #open}
     */
    public static Optional<Dataset> validation(Path path, Dataset data, DatasetConfig config) throws IOException {
        if (config.holdOut() > 0) return Optional.of(Subset.heldOut(data, config.holdOut(), config.seed()));
        Optional<Path> other = config.validation();
        if (other.isEmpty() && data instanceof IdxDataset) other = testPictures(path);
        if (other.isEmpty()) return Optional.empty();
        Dataset opened = openOther(other.get(), data, config);
        if (opened.size() <= MAX_VALIDATED) return Optional.of(opened);
        return Optional.of(
                Subset.heldOut(opened, MAX_VALIDATED, VALIDATION_SEED).closingAll());
    }

    /** Data with the classes, size and channels of {@code training}, as far as that is for the caller to say. */
    private static Dataset openOther(Path path, Dataset training, DatasetConfig config) throws IOException {
        if (training.latents().isPresent()) return LatentCache.open(path);
        int imageSize = config.imageSize().orElse(training.height());
        return switch (kind(path)) {
            case GLYPHS ->
                throw new IllegalArgumentException(
                        "glyphs are endless, and no other data to validate on; hold some of them out instead");
            case LATENTS ->
                throw new IllegalArgumentException(
                        path + " holds latents; data to validate on are pictures where those to train on are");
            case TAR ->
                TarShards.open(
                        path,
                        new TarShardsConfig(
                                imageSize,
                                training.channels(),
                                training.classNames(),
                                config.skipBroken(),
                                config.reading()));
            case IDX -> IdxDataset.open(path, training.classNames());
            case PICTURES -> open(path, config.withImageSize(imageSize).withChannels(training.channels()));
        };
    }

    /** The pictures to test on beside those to train on, as the folder of MNIST's four files has them. */
    private static Optional<Path> testPictures(Path path) throws IOException {
        if (!Files.isDirectory(path)) return Optional.empty();
        try (Stream<Path> files = Files.list(path)) {
            return files.filter(file -> file.getFileName().toString().matches("(t10k|test).*images.*idx3.*"))
                    .sorted() // a plain file before its gzipped copy
                    .findFirst();
        }
    }
}
