package org.dit4j.report;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.io.Images;
import org.dit4j.model.DiTConfig;
import org.dit4j.sample.StepListener;

/**
 * The grid of samples that a training run draws of itself: two pictures each of up to ten classes.
 *
 * @param columns the class of each column, evenly spread over all; none for an unconditional model
 */
public record SampleGrid(List<ClassChoice> columns) {
    private static final int MAX_COLUMNS = 10, ROWS = 2;

    public SampleGrid {
        columns = List.copyOf(columns);
    }

    /** The grid for a model. */
    public static SampleGrid of(DiTConfig model) {
        int numClasses = model.numClasses();
        if (numClasses == 0) return new SampleGrid(Collections.nCopies(MAX_COLUMNS, ClassChoice.none()));
        int columns = Math.min(MAX_COLUMNS, numClasses);
        return new SampleGrid(IntStream.range(0, columns)
                .mapToObj(column -> ClassChoice.of((int) ((long) column * numClasses / columns)))
                .toList());
    }

    /** The class of each picture, row by row; what to request. */
    public List<ClassChoice> classes() {
        List<ClassChoice> classes = new ArrayList<>();
        for (int row = 0; row < ROWS; row++) classes.addAll(columns);
        return classes;
    }

    /**
     * Draws the pictures, and writes them as one PNG file with the names of their classes.
     *
     * @param request of {@link #classes}
     * @param checkpoint where the weights are from, for the text in the file
     * @param listener hears of every step, and can end the drawing
     * @throws java.util.concurrent.CancellationException if it did
     */
    public void write(Path file, DiTPipeline pipeline, SampleRequest request, String checkpoint, StepListener listener)
            throws IOException {
        Images.writePng(file, draw(pipeline, request, listener), PngText.of(request, pipeline, checkpoint));
    }

    /**
     * As {@link #write}, of a training whose average is still young: the grids of both sets of weights, one above the other, each named.
     *
     * @param average draws with the averaged weights
     * @param trained draws with those in training
     * @param matureAfter the step from which on the average is worth looking at
     */
    public void writeBoth(
            Path file,
            DiTPipeline average,
            DiTPipeline trained,
            long matureAfter,
            SampleRequest request,
            String checkpoint,
            StepListener listener)
            throws IOException {
        BufferedImage both = ClassGrid.titled(
                List.of(draw(average, request, listener), draw(trained, request, listener)),
                List.of(
                        "averaged weights (EMA), worth looking at from about step " + Numbers.number(matureAfter),
                        "weights in training"));
        Images.writePng(file, both, PngText.of(request, average, checkpoint));
    }

    private BufferedImage draw(DiTPipeline pipeline, SampleRequest request, StepListener listener) {
        List<BufferedImage> pictures = ClassGrid.viewable(pipeline.sample(request, listener));
        List<String> captions = columns.stream()
                .map(choice -> choice instanceof ClassChoice.None
                        ? ""
                        : pipeline.classNames().name(pipeline.classNames().label(choice)))
                .toList();
        return ClassGrid.captioned(pictures, captions);
    }
}
