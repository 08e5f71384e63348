package org.dit4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.dit4j.data.ClassTable;
import org.dit4j.data.Dataset;
import org.dit4j.data.Glyphs;
import org.dit4j.data.IdxDataset;
import org.dit4j.data.ImageFolder;
import org.dit4j.data.ImageFolderConfig;
import org.dit4j.data.LatentCache;
import org.dit4j.data.LatentsHeader;
import org.dit4j.data.TarShards;
import org.dit4j.data.TarShardsConfig;
import picocli.CommandLine.Option;

/** Where pictures are, their size, and what their classes are called. */
final class PictureFlags {
    private static final String GLYPHS = "glyphs";
    private static final int SHOWN = 10;

    @Option(
            names = "--data-path",
            paramLabel = "PATH",
            description = {
                "glyphs: ten kinds of shapes, built in; to train on.",
                "A folder or .zip: PNG and JPEG pictures, in one folder for each class.",
                "An IDX file or its folder: grey pictures, as MNIST and Fashion-MNIST have them.",
                "WebDataset's tar files: a folder of them, one, or several as in train-{000000..000146}.tar.",
                "A folder that \"dit encode\" made: latents; to train on."
            })
    private Path dataPath;

    @Option(
            names = "--image-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description = "Height and width; pictures of a folder are cropped to it. Default: 256 for a folder,"
                    + " 32 for glyphs, else that of the data.")
    private Integer imageSize;

    @Option(
            names = "--class-names",
            split = ",",
            paramLabel = "NAME",
            description = "Names of the classes of an IDX file or tar files, in order. Default: the lines of labels.txt"
                    + " beside an IDX file, else numbers.")
    private List<String> classNames = List.of();

    @Option(
            names = "--class-depth",
            converter = Ranges.CountOrNone.class,
            paramLabel = "N",
            description = "Which folder names the class: 1 is right below PATH, 2 one further down; 0 is the one that"
                    + " holds the picture. Default: ${DEFAULT-VALUE}.")
    private int classDepth = 1;

    @Option(
            names = "--classes-csv",
            paramLabel = "FILE",
            description = "A table of folders and their classes, with a header line; needs the next two.")
    private Path classesCsv;

    @Option(
            names = "--classes-key",
            paramLabel = "COLUMN",
            description = "The table's column of folder names or picture paths.")
    private String classesKey;

    @Option(names = "--classes-name", paramLabel = "COLUMN", description = "The table's column of class names.")
    private String classesName;

    boolean isGiven() {
        return dataPath != null && !dataPath.toString().isBlank();
    }

    /** What happens at a picture that cannot be read. */
    enum OnBroken {
        FAIL,
        SKIP
    }

    /** {@code fail} and {@code skip}. */
    static final class OnBrokenNames extends Names<OnBroken> {
        OnBrokenNames() {
            super(List.of(OnBroken.values()), Names::flag);
        }
    }

    @Option(
            names = "--on-broken",
            converter = OnBrokenNames.class,
            completionCandidates = OnBrokenNames.class,
            paramLabel = "NAME",
            description = "A picture that cannot be read: fail stops there, skip goes on without it, names and counts"
                    + " it. Default: fail.")
    private OnBroken onBroken = OnBroken.FAIL;

    boolean skipBroken() {
        return onBroken == OnBroken.SKIP;
    }

    /** Counts the pictures that were left out, and names the first of them. */
    static void report(List<String> broken, PrintWriter err) {
        err.println("left out " + broken.size() + " broken:");
        broken.stream().limit(SHOWN).forEach(problem -> err.println("  " + problem));
        if (broken.size() > SHOWN) err.println("  and " + (broken.size() - SHOWN) + " more");
        err.flush();
    }

    /** Whether the path is a folder that "dit encode" made. */
    boolean isLatents() {
        return isGiven() && LatentCache.isCache(path());
    }

    boolean areGlyphs() {
        return isGiven() && dataPath.toString().equals(GLYPHS);
    }

    Path path() {
        return dataPath;
    }

    /** Null if it was not given. */
    Integer imageSize() {
        return imageSize;
    }

    /** @throws IllegalArgumentException if another size was asked for, or classes, which latents have */
    void requireMade(LatentsHeader latents) {
        if (imageSize != null && (imageSize != latents.imageHeight() || imageSize != latents.imageWidth()))
            throw new IllegalArgumentException("--image-size is " + imageSize + ", these latents are of pictures of "
                    + latents.imageWidth() + "x" + latents.imageHeight());
        if (!classNames.isEmpty() || classesCsv != null)
            throw new IllegalArgumentException(
                    "--class-names and --classes-csv are for pictures; latents have the classes they were encoded with");
    }

    /**
     * Opens the pictures; what is wrong with them fails as {@link ExitCode#DATA}.
     *
     * @param skipBroken whether another picture of its class stands in for one that is broken
     */
    Dataset open(long seed, int channels, boolean skipBroken) {
        if (!isGiven())
            throw new IllegalArgumentException(
                    "--data-path is missing: a folder or .zip of pictures, an IDX file, or glyphs (built in)");
        if (areGlyphs()) return new Glyphs(seed, imageSize == null ? 32 : imageSize);
        return open(dataPath, classNames, channels, skipBroken);
    }

    /** Opens other pictures of the same kind; an IDX file has the classes of {@code training}. */
    Dataset openOther(Path path, Dataset training, boolean skipBroken) {
        if (path.toString().equals(GLYPHS))
            throw new IllegalArgumentException(
                    "--validation-path " + GLYPHS + ": they are endless; --hold-out N holds some of them out");
        boolean named = Failure.as(ExitCode.DATA, () -> TarShards.isTar(path) || isIdx(path));
        return open(path, named ? training.classNames() : classNames, training.channels(), skipBroken);
    }

    /** The pictures to test on beside those to train on, as the folder of MNIST's four files has them. */
    Optional<Path> testPictures() {
        if (!Files.isDirectory(dataPath)) return Optional.empty();
        return Failure.as(ExitCode.DATA, () -> {
            try (Stream<Path> files = Files.list(dataPath)) {
                return files.filter(file -> file.getFileName().toString().matches("(t10k|test).*images.*idx3.*"))
                        .sorted() // a plain file before its gzipped copy
                        .findFirst();
            }
        });
    }

    private Dataset open(Path path, List<String> names, int channels, boolean skipBroken) {
        return Failure.as(
                ExitCode.DATA,
                () -> TarShards.isTar(path)
                        ? openTar(path, names, channels, skipBroken)
                        : isIdx(path) ? IdxDataset.open(path, names) : openFolder(path, channels, skipBroken));
    }

    private Dataset openTar(Path path, List<String> names, int channels, boolean skipBroken) throws IOException {
        if (classesCsv != null)
            throw new IllegalArgumentException(
                    "--classes-csv is for folders; the classes of tar files are numbers, which --class-names names");
        return TarShards.open(
                path, new TarShardsConfig(imageSize == null ? 256 : imageSize, channels, names, skipBroken));
    }

    private static boolean isIdx(Path path) throws IOException {
        if (!Files.isDirectory(path))
            return Files.exists(path)
                    && !path.toString().toLowerCase(Locale.ROOT).endsWith(".zip");
        try (Stream<Path> files = Files.list(path)) {
            return files.anyMatch(file -> file.getFileName().toString().matches(".*images.*idx3.*"));
        }
    }

    private Dataset openFolder(Path path, int channels, boolean skipBroken) throws IOException {
        if (!classNames.isEmpty())
            throw new IllegalArgumentException(
                    "--class-names is for IDX and tar files; the classes of a folder are named by folders or --classes-csv");
        if (path.getNameCount() == 1 && !Files.exists(path))
            throw new NoSuchFileException(
                    path.toString(),
                    null,
                    "there is no such folder or file; the built-in data are called " + GLYPHS
                            + DidYouMean.hint(path.toString(), List.of(GLYPHS)));
        return ImageFolder.open(
                path,
                new ImageFolderConfig(
                        imageSize == null ? 256 : imageSize, channels, classDepth, skipBroken, classTable()));
    }

    private Optional<ClassTable> classTable() throws IOException {
        boolean all = classesCsv != null && classesKey != null && classesName != null;
        boolean none = classesCsv == null && classesKey == null && classesName == null;
        if (!all && !none)
            throw new IllegalArgumentException("--classes-csv, --classes-key and --classes-name go together");
        return none ? Optional.empty() : Optional.of(ClassTable.read(classesCsv, classesKey, classesName));
    }
}
