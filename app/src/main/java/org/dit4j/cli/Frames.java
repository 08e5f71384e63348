package org.dit4j.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.io.GifFile;
import org.dit4j.sample.Step;
import org.dit4j.sample.StepListener;

/** The film of a drawing: what the network takes the pictures to be, at some fifty of the steps. */
final class Frames implements StepListener {
    private static final int MAX_FRAMES = 50, MILLIS = 80, LAST_MILLIS = 2000;

    private final DiTPipeline pipeline;
    private final int numPictures;
    /** By frame, the pictures of all batches so far. */
    private final List<List<BufferedImage>> frames = new ArrayList<>();

    private int inBatch;

    Frames(DiTPipeline pipeline, SampleRequest request) {
        this.pipeline = pipeline;
        numPictures = request.classes().size();
    }

    @Override
    public boolean onStep(Step step) {
        if (step.number() == 1) inBatch = 0; // the next batch of pictures
        int stride = (step.numSteps() + MAX_FRAMES - 1) / MAX_FRAMES;
        if ((step.numSteps() - step.number()) % stride != 0) return true;
        if (inBatch == frames.size()) frames.add(new ArrayList<>());
        frames.get(inBatch++).addAll(pipeline.pictures(step.x0()));
        return true;
    }

    /** @param grid makes one picture of all */
    void write(Path file, Function<List<BufferedImage>, BufferedImage> grid) throws IOException {
        for (List<BufferedImage> frame : frames)
            if (frame.size() != numPictures)
                throw new IllegalStateException(frame.size() + " pictures in a frame of " + numPictures);
        GifFile.write(file, frames.stream().map(grid).toList(), MILLIS, LAST_MILLIS);
    }
}
