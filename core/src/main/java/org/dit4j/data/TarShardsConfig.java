package org.dit4j.data;

import java.util.List;

/**
 * How {@link TarShards} are read.
 *
 * @param imageSize pictures are cropped to this many pixels square, as the reference crops
 * @param channels 3, or 1 for grey
 * @param classNames the names of all classes, in the order of their numbers; empty: their numbers, up to the highest one that occurs
 * @param skipBroken whether a picture that cannot be read is replaced by the next good one of its class, and reported, instead of being an
 *     error
 */
public record TarShardsConfig(int imageSize, int channels, List<String> classNames, boolean skipBroken) {
    /** @throws IllegalArgumentException naming the value that is out of range */
    public TarShardsConfig {
        if (imageSize < 1 || imageSize > 8192)
            throw new IllegalArgumentException("imageSize " + imageSize + " is outside 1 … 8192");
        if (channels != 1 && channels != 3)
            throw new IllegalArgumentException("channels is " + channels + "; 1 is grey, 3 is RGB");
        classNames = List.copyOf(classNames);
    }

    /** RGB, classes named by their numbers. */
    public static TarShardsConfig of(int imageSize) {
        return new TarShardsConfig(imageSize, 3, List.of(), false);
    }

    /** Whether to go on without broken pictures. */
    public TarShardsConfig withSkipBroken(boolean skipBroken) {
        return new TarShardsConfig(imageSize, channels, classNames, skipBroken);
    }
}
