package org.dit4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.dit4j.data.ClassTable;
import org.dit4j.data.Dataset;
import org.dit4j.data.DatasetConfig;
import org.dit4j.data.Datasets;
import org.dit4j.data.ImageFolderConfig;
import org.dit4j.io.PictureLimits;
import org.dit4j.io.PictureReading;
import picocli.CommandLine.Option;

/** Where pictures are, their size, and what their classes are called. */
final class PictureFlags {
    private static final int SHOWN = 10;

    @Option(
            names = "--data-path",
            paramLabel = "PATH",
            description = {
                "glyphs: ten kinds of shapes, built in; to train on.",
                "A folder or .zip: pictures (PNG, JPEG, WebP, GIF, BMP, TIFF, PNM), in one folder for each class.",
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
                    + " holds the picture. Default: the one right below PATH, or below a folder in it that holds all; pictures right in PATH are"
                    + " one class.")
    private Integer classDepth;

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

    @Option(
            names = "--exif-rotate",
            description = "Turn and mirror pictures as their EXIF orientation says. Default: no, as Pillow and"
                    + " torchvision.")
    private boolean exifRotate;

    @Option(
            names = "--max-pixels",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Pictures of more pixels count as broken. Default: ${DEFAULT-VALUE}, as Pillow's.")
    private int maxPixels = (int) PictureLimits.PILLOW_MAX_PIXELS;

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

    /** What the path means. */
    Datasets.Kind kind() {
        return Failure.as(ExitCode.DATA, () -> Datasets.kind(path()));
    }

    /** @throws IllegalArgumentException if it was not given */
    Path path() {
        if (!isGiven())
            throw new IllegalArgumentException(
                    "--data-path is missing: a folder or .zip of pictures, an IDX file, or glyphs (built in)");
        return dataPath;
    }

    /** Null if it was not given. */
    Integer imageSize() {
        return imageSize;
    }

    /** What these flags say of the data; nothing is held out. */
    DatasetConfig config() {
        DatasetConfig config = DatasetConfig.standard()
                .withClassNames(classNames)
                .withClassDepth(classDepth == null ? ImageFolderConfig.AUTOMATIC : classDepth)
                .withReading(new PictureReading(exifRotate, new PictureLimits(maxPixels)))
                .withSkipBroken(skipBroken());
        if (imageSize != null) config = config.withImageSize(imageSize);
        Optional<ClassTable> table = Failure.as(ExitCode.DATA, this::classTable);
        return table.isPresent() ? config.withClassTable(table.get()) : config;
    }

    /** Opens the data; what is wrong with them fails as {@link ExitCode#DATA}. */
    Dataset open(DatasetConfig config) {
        return Failure.as(ExitCode.DATA, () -> check(Datasets.open(path(), config)));
    }

    /** Looks at what can be looked at quickly; closes the data if they are not what they should be. */
    static Dataset check(Dataset data) throws IOException {
        try {
            data.check();
            return data;
        } catch (IOException | RuntimeException e) {
            data.close();
            throw e;
        }
    }

    private Optional<ClassTable> classTable() throws IOException {
        boolean all = classesCsv != null && classesKey != null && classesName != null;
        boolean none = classesCsv == null && classesKey == null && classesName == null;
        if (!all && !none)
            throw new IllegalArgumentException("--classes-csv, --classes-key and --classes-name go together");
        return none ? Optional.empty() : Optional.of(ClassTable.read(classesCsv, classesKey, classesName));
    }
}
