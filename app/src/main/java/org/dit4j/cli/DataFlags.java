package org.dit4j.cli;

import java.io.IOException;
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
import picocli.CommandLine.Option;

/** Which pictures to train on. */
final class DataFlags {
    private static final String GLYPHS = "glyphs";

    @Option(
            names = "--data-path",
            paramLabel = "PATH",
            description = {
                "glyphs: ten kinds of shapes, built in.",
                "A folder or .zip: PNG and JPEG pictures, in one folder for each class.",
                "An IDX file or its folder: grey pictures, as MNIST and Fashion-MNIST have them."
            })
    private String dataPath;

    @Option(
            names = "--image-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description = "Height and width; pictures of a folder are cropped to it. Default: 256 for a folder,"
                    + " 32 for glyphs, else that of the data.")
    private Integer imageSize;

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
            names = "--class-names",
            split = ",",
            paramLabel = "NAME",
            description = "Names of an IDX file's classes, in order. Default: the lines of labels.txt beside it, else"
                    + " numbers.")
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

    @Option(
            names = "--skip-broken",
            description = "Go on without pictures that cannot be read; each is reported. Default: stop at the first.")
    private boolean skipBroken;

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

    @Option(
            names = "--vae",
            converter = Names.Vaes.class,
            completionCandidates = Names.Vaes.class,
            paramLabel = "NAME",
            description = "none: the model works on pixels. Default: ${DEFAULT-VALUE}.")
    private String vae = "none";

    /** Opens the data; what is wrong with them fails as {@link ExitCode#DATA}. */
    Dataset open(long seed) {
        Names.Vaes.requireNone(vae);
        if (dataPath == null || dataPath.isBlank())
            throw new IllegalArgumentException(
                    "--data-path is missing: a folder or .zip of pictures, an IDX file, or glyphs (built in)");
        if (channels != null && channels != 1 && channels != 3)
            throw new IllegalArgumentException("--channels is " + channels + "; 1 is grey, 3 is RGB");
        if (dataPath.equals(GLYPHS)) return new Glyphs(seed, imageSize == null ? 32 : imageSize);
        Path path = Path.of(dataPath);
        return Failure.as(ExitCode.DATA, () -> isIdx(path) ? IdxDataset.open(path, classNames) : openFolder(path));
    }

    private static boolean isIdx(Path path) throws IOException {
        if (!Files.isDirectory(path))
            return Files.exists(path)
                    && !path.toString().toLowerCase(Locale.ROOT).endsWith(".zip");
        try (Stream<Path> files = Files.list(path)) {
            return files.anyMatch(file -> file.getFileName().toString().matches(".*images.*idx3.*"));
        }
    }

    private Dataset openFolder(Path path) throws IOException {
        if (!classNames.isEmpty())
            throw new IllegalArgumentException(
                    "--class-names is for IDX files; the classes of a folder are named by folders or --classes-csv");
        if (Path.of(dataPath).getNameCount() == 1 && !Files.exists(path))
            throw new NoSuchFileException(
                    dataPath,
                    null,
                    "there is no such folder or file; the built-in data are called " + GLYPHS
                            + DidYouMean.hint(dataPath, List.of(GLYPHS)));
        return ImageFolder.open(
                path,
                new ImageFolderConfig(
                        imageSize == null ? 256 : imageSize,
                        channels == null ? 3 : channels,
                        classDepth,
                        skipBroken,
                        classTable()));
    }

    private Optional<ClassTable> classTable() throws IOException {
        boolean all = classesCsv != null && classesKey != null && classesName != null;
        boolean none = classesCsv == null && classesKey == null && classesName == null;
        if (!all && !none)
            throw new IllegalArgumentException("--classes-csv, --classes-key and --classes-name go together");
        return none ? Optional.empty() : Optional.of(ClassTable.read(classesCsv, classesKey, classesName));
    }

    /** Height and width that the model is to have. */
    int height(Dataset data) {
        return imageSize == null ? data.height() : imageSize;
    }

    int width(Dataset data) {
        return imageSize == null ? data.width() : imageSize;
    }

    int channels(Dataset data) {
        return channels == null ? data.channels() : channels;
    }

    int numClasses(Dataset data) {
        return numClasses == null ? data.classNames().size() : numClasses;
    }

    boolean flip() {
        return flip == null ? !GLYPHS.equals(dataPath) : flip;
    }

    int numWorkers() {
        return numWorkers;
    }

    /** Completes what the data decide. */
    void derive(Settings settings, Dataset data) {
        if (data.height() == data.width()) settings.derive("image-size", data.height(), "data");
        settings.derive("channels", data.channels(), "data");
        settings.derive("num-classes", data.classNames().size(), "data");
        settings.derive("flip", flip(), "default");
    }
}
