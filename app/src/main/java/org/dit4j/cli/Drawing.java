package org.dit4j.cli;

import java.awt.image.BufferedImage;
import java.io.PrintWriter;
import java.util.List;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.dit4j.sample.StepListener;

/** Pictures drawn at the terminal. */
final class Drawing {
    private Drawing() {}

    /** The pictures of a request, with progress on {@code err}. */
    static List<BufferedImage> draw(DiTPipeline pipeline, SampleRequest request, PrintWriter err) {
        return draw(pipeline, request, err, StepListener.NONE);
    }

    /** As {@link #draw(DiTPipeline, SampleRequest, PrintWriter)}; {@code listener} hears of every step too. */
    static List<BufferedImage> draw(
            DiTPipeline pipeline, SampleRequest request, PrintWriter err, StepListener listener) {
        int batches = (request.classes().size() + DiTPipeline.MAX_BATCH - 1) / DiTPipeline.MAX_BATCH;
        long steps = pipeline.numSteps(request);
        try (Progress progress = new Progress(err, Terminal.ofStandardError(), "sample", batches * steps);
                Logs logs = Logs.to(progress::message)) {
            long[] done = {0};
            return pipeline.sample(request, step -> {
                progress.update(++done[0]);
                return listener.onStep(step);
            });
        }
    }
}
