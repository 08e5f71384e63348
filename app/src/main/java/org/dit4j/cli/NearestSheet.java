package org.dit4j.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.eval.FeatureSet;
import org.dit4j.eval.Nearest;
import org.dit4j.eval.PictureSource;
import org.dit4j.io.Images;
import org.dit4j.io.PillowResize;
import org.dit4j.report.ClassGrid;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** A sheet with a row for each of some samples: the sample, and the pictures of the reference that are nearest to it. */
final class NearestSheet {
    private static final int SAMPLES = 16, NEAREST = 5, PADDING = 2;

    private NearestSheet() {}

    static void write(
            Path file, PictureSource samples, FeatureSet ofSamples, PictureSource reference, FeatureSet ofReference)
            throws IOException {
        int rows = (int) Math.min(SAMPLES, ofSamples.count()), columns = (int) Math.min(NEAREST, ofReference.count());
        long[][] nearest = Nearest.of(ofSamples, ofReference, rows, columns);
        List<BufferedImage> cells = new ArrayList<>();
        for (int row = 0; row < rows; row++) {
            BufferedImage sample = picture(samples, row);
            cells.add(sample);
            for (long number : nearest[row]) cells.add(sized(picture(reference, number), sample));
        }
        Images.writePng(
                file,
                Images.grid(ClassGrid.viewable(cells), 1 + columns, PADDING),
                Map.of(
                        "Content",
                        "each row: a sample, then the nearest pictures of the reference by "
                                + ofSamples.origin().space().text()));
    }

    private static BufferedImage picture(PictureSource from, long number) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Tensor levels = from.read(number, 1);
            return Images.fromRgbBytes(
                    Tensors.toBytes(levels.permute(0, 2, 3, 1)), (int) levels.size(3), (int) levels.size(2));
        }
    }

    /** As large as the sample, for the sheet only. */
    private static BufferedImage sized(BufferedImage picture, BufferedImage like) {
        boolean same = picture.getWidth() == like.getWidth() && picture.getHeight() == like.getHeight();
        if (same) return picture;
        return PillowResize.resize(picture, like.getWidth(), like.getHeight(), PillowResize.Filter.BICUBIC);
    }
}
