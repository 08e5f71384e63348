package org.dit4j.io;

import java.util.Objects;

/**
 * How picture files are read.
 *
 * @param exifRotate whether they are turned and mirrored as their EXIF orientation says, as Pillow's {@code ImageOps.exif_transpose}; Pillow
 *     and torchvision leave them as they are stored
 * @param limits what one may ask for
 */
public record PictureReading(boolean exifRotate, PictureLimits limits) {
    /** Of limits there are always some. */
    public PictureReading {
        Objects.requireNonNull(limits, "limits");
    }

    /** As stored, within Pillow's limits. */
    public static PictureReading standard() {
        return new PictureReading(false, PictureLimits.pillow());
    }

    /** Upright or as stored. */
    public PictureReading withExifRotate(boolean rotate) {
        return new PictureReading(rotate, limits);
    }

    /** Other limits. */
    public PictureReading withLimits(PictureLimits others) {
        return new PictureReading(exifRotate, others);
    }

    /** What differs from the {@link #standard} and what pictures are, for descriptions of data; empty if nothing does. */
    public String describe() {
        return (exifRotate ? ", turned by EXIF" : "")
                + (limits.equals(PictureLimits.pillow()) ? "" : ", of up to " + limits.maxPixels() + " pixels");
    }
}
