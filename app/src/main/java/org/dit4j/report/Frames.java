package org.dit4j.report;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.dit4j.PictureDecoder;
import org.dit4j.SampleRequest;
import org.dit4j.io.GifFile;
import org.dit4j.sample.Step;
import org.dit4j.sample.StepListener;

/** The film of a drawing: what the network takes the pictures to be, at some fifty of the steps. */
public final class Frames implements StepListener {
    private static final int MAX_FRAMES = 50, MILLIS = 80, LAST_MILLIS = 2000;

    private final PictureDecoder preview;
    private final int numPictures;
    /** By frame, the pictures of all batches so far. */
    private final List<List<BufferedImage>> frames = new ArrayList<>();

    private int inBatch;

    /** @param preview shows what a step takes the pictures to be */
    public Frames(PictureDecoder preview, SampleRequest request) {
        this.preview = preview;
        numPictures = request.classes().size();
    }

    @Override
    public boolean onStep(Step step) {
        if (step.number() == 1) inBatch = 0; // the next batch of pictures
        int stride = (step.numSteps() + MAX_FRAMES - 1) / MAX_FRAMES;
        if ((step.numSteps() - step.number()) % stride != 0) return true;
        if (inBatch == frames.size()) frames.add(new ArrayList<>());
        frames.get(inBatch++).addAll(preview.pictures(step.x0()));
        return true;
    }

    /**
     * Writes the film as an animated GIF.
     *
     * @param pictures as they are drawn at last, which the film ends with
     * @param grid makes one picture of all
     */
    public void write(Path file, List<BufferedImage> pictures, Function<List<BufferedImage>, BufferedImage> grid)
            throws IOException {
        int width = pictures.get(0).getWidth();
        for (List<BufferedImage> frame : frames)
            if (frame.size() != numPictures)
                throw new IllegalStateException(frame.size() + " pictures in a frame of " + numPictures);
        List<BufferedImage> grids = new ArrayList<>();
        for (List<BufferedImage> frame : frames.subList(0, frames.size() - 1))
            grids.add(grid.apply(
                    ClassGrid.enlarged(frame, Math.max(1, width / frame.get(0).getWidth()))));
        grids.add(grid.apply(pictures));
        GifFile.write(file, grids, MILLIS, LAST_MILLIS);
    }
}
