package org.dit4j.data;

import java.util.Objects;
import java.util.Optional;
import org.dit4j.io.PictureReading;

/**
 * How an {@link ImageFolder} is read.
 *
 * @param imageSize pictures are cropped to this many pixels square, as the reference crops;
 *     {@link #ORIGINAL_SIZE}: they stay as they are, and all must have one size
 * @param channels 3, or 1 for grey (ITU-R 601 luma of the crop, as Pillow's {@code convert("L")})
 * @param classDepth which folder names the class: 1 is the folder right below the root, 2 the one below it, …, and {@link #INNERMOST} is the one
 *     that holds the picture, however deep
 * @param skipBroken whether a picture that cannot be read is replaced by the next good one of its class, and reported, instead of being an
 *     error
 * @param reading limits of the files, and whether pictures are turned as EXIF says
 * @param classTable gives the class by folder name or by path; empty: the folder's name is the class's
 */
public record ImageFolderConfig(
        int imageSize,
        int channels,
        int classDepth,
        boolean skipBroken,
        PictureReading reading,
        Optional<ClassTable> classTable) {
    /**
     * As {@code classDepth}: 1, but a folder that holds all others is passed over, pictures right below the root are one class, and where
     * there are train and val instead of classes, that is an error.
     */
    public static final int AUTOMATIC = -1;
    /** As {@code classDepth}: the folder that holds the picture names its class. */
    public static final int INNERMOST = 0;
    /** As {@code imageSize}: pictures stay as they are, and one that has not the size of the first is an error. */
    public static final int ORIGINAL_SIZE = -1;

    /** @throws IllegalArgumentException naming the value that is out of range */
    public ImageFolderConfig {
        if (imageSize != ORIGINAL_SIZE && (imageSize < 1 || imageSize > 8192))
            throw new IllegalArgumentException("imageSize " + imageSize + " is outside 1 … 8192");
        if (channels != 1 && channels != 3)
            throw new IllegalArgumentException("channels is " + channels + "; 1 is grey, 3 is RGB");
        if (classDepth < AUTOMATIC)
            throw new IllegalArgumentException(
                    "classDepth is " + classDepth
                            + "; 1 is the folder right below the root, 0 the folder that holds the picture, -1 chooses by the layout");
        Objects.requireNonNull(reading, "reading");
        Objects.requireNonNull(classTable, "classTable");
    }

    /** RGB, the class depth automatic, broken pictures an error. */
    public static ImageFolderConfig of(int imageSize) {
        return new ImageFolderConfig(imageSize, 3, AUTOMATIC, false, PictureReading.standard(), Optional.empty());
    }

    /** Grey (1) or RGB (3). */
    public ImageFolderConfig withChannels(int channels) {
        return new ImageFolderConfig(imageSize, channels, classDepth, skipBroken, reading, classTable);
    }

    /** Another folder names the class. */
    public ImageFolderConfig withClassDepth(int classDepth) {
        return new ImageFolderConfig(imageSize, channels, classDepth, skipBroken, reading, classTable);
    }

    /** Whether to go on without broken pictures. */
    public ImageFolderConfig withSkipBroken(boolean skipBroken) {
        return new ImageFolderConfig(imageSize, channels, classDepth, skipBroken, reading, classTable);
    }

    /** Classes from a table. */
    public ImageFolderConfig withClassTable(ClassTable classTable) {
        return new ImageFolderConfig(imageSize, channels, classDepth, skipBroken, reading, Optional.of(classTable));
    }

    /** Other limits, or turned as EXIF says. */
    public ImageFolderConfig withReading(PictureReading reading) {
        return new ImageFolderConfig(imageSize, channels, classDepth, skipBroken, reading, classTable);
    }
}
