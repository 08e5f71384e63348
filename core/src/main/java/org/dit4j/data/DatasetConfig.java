package org.dit4j.data;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import org.dit4j.io.PictureReading;

/**
 * How {@link Datasets} opens data, whatever their kind.
 *
 * @param imageSize height and width; pictures of folders and tar files are cropped to it. {@link ImageFolderConfig#ORIGINAL_SIZE}: they stay as they are,
 *     and all must have one size. Empty: {@link Datasets#DEFAULT_IMAGE_SIZE} for
 *     those, 32 for glyphs, else that of the data
 * @param channels 1 (grey), 3 (RGB), or those of latents. Empty: 3 for pictures of folders and tar files, else that of the data
 * @param classNames of IDX and tar files, in the order of their numbers. Empty: the lines of {@code labels.txt} beside an IDX file, else
 *     numbers
 * @param classDepth which folder names the class, as {@link ImageFolderConfig} has it
 * @param classTable the classes of a folder's pictures; empty: folders name them
 * @param skipBroken whether the next good picture of its class stands in for one that cannot be read, instead of that being an error
 * @param reading of picture files: limits, and whether they are turned as EXIF says
 * @param seed of what is chosen at random: the glyphs, and the items that are held out
 * @param holdOut how many items are not trained on but validated on; 0: none
 * @param validation other data to validate on; empty: those held out, else the test pictures in a folder of IDX files, else none
 */
public record DatasetConfig(
        OptionalInt imageSize,
        OptionalInt channels,
        List<String> classNames,
        int classDepth,
        Optional<ClassTable> classTable,
        boolean skipBroken,
        PictureReading reading,
        long seed,
        int holdOut,
        Optional<Path> validation) {
    /** @throws IllegalArgumentException naming the value that is out of range, or those that exclude each other */
    public DatasetConfig {
        Objects.requireNonNull(imageSize, "imageSize");
        Objects.requireNonNull(channels, "channels");
        Objects.requireNonNull(classTable, "classTable");
        Objects.requireNonNull(reading, "reading");
        Objects.requireNonNull(validation, "validation");
        classNames = List.copyOf(classNames);
        int size = imageSize.orElse(ImageFolderConfig.ORIGINAL_SIZE);
        if (size != ImageFolderConfig.ORIGINAL_SIZE && (size < 1 || size > 8192))
            throw new IllegalArgumentException("image size " + size + " is outside 1 … 8192");
        if (channels.isPresent() && channels.getAsInt() < 1)
            throw new IllegalArgumentException("channels is " + channels.getAsInt() + ", and is at least 1");
        if (classDepth < ImageFolderConfig.AUTOMATIC)
            throw new IllegalArgumentException(
                    "class depth is " + classDepth
                            + "; 1 is the folder right below the root, 0 the folder that holds the picture, -1 chooses by the layout");
        if (holdOut < 0) throw new IllegalArgumentException("cannot hold out " + holdOut + " items");
        if (holdOut > 0 && validation.isPresent())
            throw new IllegalArgumentException("items to hold out, and other data to validate on (" + validation.get()
                    + "): validate on one of them");
        if (holdOut > 0 && skipBroken)
            throw new IllegalArgumentException(
                    "cannot hold items out and skip broken pictures: the picture that stands in for a broken one could"
                            + " be one that is held out; give other data to validate on");
    }

    /** Everything as the data have it; broken pictures are errors, nothing is held out, seed 0. */
    public static DatasetConfig standard() {
        return new DatasetConfig(
                OptionalInt.empty(),
                OptionalInt.empty(),
                List.of(),
                ImageFolderConfig.AUTOMATIC,
                Optional.empty(),
                false,
                PictureReading.standard(),
                0,
                0,
                Optional.empty());
    }

    /** Pictures of this height and width. */
    public DatasetConfig withImageSize(int pixels) {
        return new DatasetConfig(
                OptionalInt.of(pixels),
                channels,
                classNames,
                classDepth,
                classTable,
                skipBroken,
                reading,
                seed,
                holdOut,
                validation);
    }

    /** Pictures as they are, uncropped, all of one size. */
    public DatasetConfig withOriginalPictures() {
        return withImageSize(ImageFolderConfig.ORIGINAL_SIZE);
    }

    /** Pictures as large as they are by default. */
    public DatasetConfig withOwnImageSize() {
        return new DatasetConfig(
                OptionalInt.empty(),
                channels,
                classNames,
                classDepth,
                classTable,
                skipBroken,
                reading,
                seed,
                holdOut,
                validation);
    }

    /** Grey (1) or RGB (3). */
    public DatasetConfig withChannels(int number) {
        return new DatasetConfig(
                imageSize,
                OptionalInt.of(number),
                classNames,
                classDepth,
                classTable,
                skipBroken,
                reading,
                seed,
                holdOut,
                validation);
    }

    /** Names of the classes of an IDX file or of tar files. */
    public DatasetConfig withClassNames(List<String> names) {
        return new DatasetConfig(
                imageSize, channels, names, classDepth, classTable, skipBroken, reading, seed, holdOut, validation);
    }

    /** Another folder names the class. */
    public DatasetConfig withClassDepth(int depth) {
        return new DatasetConfig(
                imageSize, channels, classNames, depth, classTable, skipBroken, reading, seed, holdOut, validation);
    }

    /** Classes of a folder's pictures from a table. */
    public DatasetConfig withClassTable(ClassTable table) {
        return new DatasetConfig(
                imageSize,
                channels,
                classNames,
                classDepth,
                Optional.of(table),
                skipBroken,
                reading,
                seed,
                holdOut,
                validation);
    }

    /** Whether to go on without broken pictures. */
    public DatasetConfig withSkipBroken(boolean skip) {
        return new DatasetConfig(
                imageSize, channels, classNames, classDepth, classTable, skip, reading, seed, holdOut, validation);
    }

    /** Another choice of glyphs, and of the items that are held out. */
    public DatasetConfig withSeed(long value) {
        return new DatasetConfig(
                imageSize,
                channels,
                classNames,
                classDepth,
                classTable,
                skipBroken,
                reading,
                value,
                holdOut,
                validation);
    }

    /** So many items are held out. */
    public DatasetConfig withHoldOut(int count) {
        return new DatasetConfig(
                imageSize, channels, classNames, classDepth, classTable, skipBroken, reading, seed, count, validation);
    }

    /** Other data to validate on. */
    public DatasetConfig withValidation(Path path) {
        return new DatasetConfig(
                imageSize,
                channels,
                classNames,
                classDepth,
                classTable,
                skipBroken,
                reading,
                seed,
                holdOut,
                Optional.of(path));
    }

    /** Other limits of picture files, or turned as EXIF says. */
    public DatasetConfig withReading(PictureReading other) {
        return new DatasetConfig(
                imageSize, channels, classNames, classDepth, classTable, skipBroken, other, seed, holdOut, validation);
    }
}
