package org.dit4j.cli;

import java.awt.image.BufferedImage;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.io.Images;
import org.dit4j.model.DiTConfig;
import org.dit4j.report.ClassGrid;
import org.dit4j.report.Progress;
import org.dit4j.report.Terminal;
import org.dit4j.sample.Guidance;
import org.dit4j.sample.StepListener;

/** Pictures drawn at the terminal, and what is written into their files. */
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
        long steps = pipeline.diffusion().spaced(request.steps()).numTimesteps();
        try (Progress progress = new Progress(err, Terminal.ofStandardError(), "sample", batches * steps);
                Logs logs = Logs.to(progress::message)) {
            long[] done = {0};
            return pipeline.sample(request, step -> {
                progress.update(++done[0]);
                return listener.onStep(step);
            });
        }
    }

    /** Small pictures enlarged until they can be seen. */
    static List<BufferedImage> viewable(List<BufferedImage> pictures) {
        BufferedImage first = pictures.get(0);
        return enlarged(pictures, ClassGrid.viewableScale(first.getHeight(), first.getWidth()));
    }

    static List<BufferedImage> enlarged(List<BufferedImage> pictures, int scale) {
        return pictures.stream().map(picture -> Images.enlarge(picture, scale)).toList();
    }

    /** How a request's pictures were drawn, for the text chunks of their files. */
    static Map<String, String> text(SampleRequest request, DiTPipeline pipeline, String checkpoint) {
        Map<String, String> text = new LinkedHashMap<>();
        text.put("Software", Main.version());
        text.put("Checkpoint", checkpoint);
        text.put("Model", ModelFlags.describe(pipeline.config()));
        if (!pipeline.weights().isEmpty()) text.put("Weights", pipeline.weights());
        text.put("Classes", String.join(",", request.classes()));
        text.put("Seed", Long.toString(request.seed()));
        text.put("Steps", request.steps());
        String eta = request.sampler() == Sampler.DDIM ? ", eta " + request.eta() : "";
        text.put("Sampler", Names.flag(request.sampler()) + eta);
        text.put("Guidance", guidance(request, pipeline.config()));
        return text;
    }

    private static String guidance(SampleRequest request, DiTConfig model) {
        if (request.guidance() == 1) return "1.0";
        boolean all = request.guideAll() || model.inChannels() <= Guidance.PUBLISHED_CHANNELS;
        boolean always = request.guidedFrom() <= 0 && request.guidedTo() >= 999;
        return request.guidance()
                + (all ? "" : ", the first " + Guidance.PUBLISHED_CHANNELS + " channels")
                + (always ? "" : ", timesteps " + request.guidedFrom() + " to " + request.guidedTo());
    }
}
