package org.dit4j.cli;

import java.awt.image.BufferedImage;
import java.io.PrintWriter;
import java.util.List;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.dit4j.sample.StepListener;

/** Pictures drawn at the terminal, with progress over all of a request's batches. */
final class Drawing implements AutoCloseable {
    private final DiTPipeline pipeline;
    private final Progress progress;
    private final Logs logs;
    private final int stepsOfABatch;
    private long done;

    /** @param numBatches that are to be drawn */
    Drawing(DiTPipeline pipeline, SampleRequest request, int numBatches, PrintWriter err) {
        this.pipeline = pipeline;
        stepsOfABatch = pipeline.numSteps(request);
        progress = new Progress(err, Terminal.ofStandardError(), "sample", (long) numBatches * stepsOfABatch);
        logs = Logs.to(progress::message);
    }

    /** How many pictures go through the network at once. */
    static int batchSize(DiTPipeline pipeline, SampleRequest request) {
        return request.torchNoise()
                ? request.classes().size()
                : request.batchSize() == 0 ? pipeline.picturesAtOnce() : request.batchSize();
    }

    /** All pictures of a request. */
    static List<BufferedImage> draw(DiTPipeline pipeline, SampleRequest request, PrintWriter err) {
        int most = batchSize(pipeline, request), batches = (request.classes().size() + most - 1) / most;
        try (Drawing drawing = new Drawing(pipeline, request, batches, err)) {
            return drawing.draw(request, StepListener.NONE);
        }
    }

    /** The pictures of a request, or of a part of it; {@code listener} hears of every step too. */
    List<BufferedImage> draw(SampleRequest part, StepListener listener) {
        return pipeline.sample(part, step -> {
            progress.update(++done);
            return listener.onStep(step);
        });
    }

    /** A batch is there already. */
    void skip() {
        progress.update(done += stepsOfABatch);
    }

    @Override
    public void close() {
        logs.close();
        progress.close();
    }
}
