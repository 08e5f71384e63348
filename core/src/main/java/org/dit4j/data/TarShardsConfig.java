package org.dit4j.data;

import java.util.List;
import java.util.Objects;
import org.dit4j.io.PictureReading;

/**
 * How {@link TarShards} are read.
 *
 * @param imageSize pictures are cropped to this many pixels square, as the reference crops;
 *     {@link ImageFolderConfig#ORIGINAL_SIZE}: they stay as they are, and all must have one size
 * @param channels 3, or 1 for grey
 * @param classNames the names of all classes, in the order of their numbers; empty: their numbers, up to the highest one that occurs, or their words, sorted
 * @param skipBroken whether a picture that cannot be read is replaced by the next good one of its class, and reported, instead of being an
 *     error
 * @param reading limits of the files, and whether pictures are turned as EXIF says
 */
public record TarShardsConfig(
        int imageSize, int channels, List<String> classNames, boolean skipBroken, PictureReading reading) {
    /** @throws IllegalArgumentException naming the value that is out of range */
    public TarShardsConfig {
        if (imageSize != ImageFolderConfig.ORIGINAL_SIZE && (imageSize < 1 || imageSize > 8192))
            throw new IllegalArgumentException("imageSize " + imageSize + " is outside 1 … 8192");
        if (channels != 1 && channels != 3)
            throw new IllegalArgumentException("channels is " + channels + "; 1 is grey, 3 is RGB");
        classNames = List.copyOf(classNames);
        Objects.requireNonNull(reading, "reading");
    }

    /** RGB, classes named by their numbers. */
    public static TarShardsConfig of(int imageSize) {
        return new TarShardsConfig(imageSize, 3, List.of(), false, PictureReading.standard());
    }

    /** Whether to go on without broken pictures. */
    public TarShardsConfig withSkipBroken(boolean skipBroken) {
        return new TarShardsConfig(imageSize, channels, classNames, skipBroken, reading);
    }

    /** Other limits, or turned as EXIF says. */
    public TarShardsConfig withReading(PictureReading reading) {
        return new TarShardsConfig(imageSize, channels, classNames, skipBroken, reading);
    }
}
