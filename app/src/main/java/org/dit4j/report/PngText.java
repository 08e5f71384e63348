package org.dit4j.report;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;

/** How pictures were drawn, for the text chunks of their files. */
public final class PngText {
    private PngText() {}

    /**
     * Everything that it takes to draw the pictures of a request again, by name, in the order in which people read it.
     *
     * @param checkpoint where the weights are from
     */
    public static Map<String, String> of(SampleRequest request, DiTPipeline pipeline, String checkpoint) {
        Map<String, String> text = new LinkedHashMap<>();
        text.put("Software", Software.version());
        text.put("Checkpoint", checkpoint);
        text.put("Model", Words.model(pipeline.config()));
        if (!pipeline.weights().isEmpty()) text.put("Weights", pipeline.weights());
        text.put(
                "Classes", request.classes().stream().map(ClassChoice::toString).collect(Collectors.joining(",")));
        text.put("Seed", Long.toString(request.seed()));
        text.put("Steps", request.steps());
        String eta = request.sampler() == Sampler.DDIM ? ", eta " + request.eta() : "";
        text.put("Sampler", Words.choice(request.sampler()) + eta);
        text.put("Guidance", guidance(request, pipeline));
        if (request.torchNoise()) text.put("Noise", "torch");
        return text;
    }

    private static String guidance(SampleRequest request, DiTPipeline pipeline) {
        if (request.guidance() == 1) return "1.0";
        int channels = pipeline.guidedChannels(request);
        boolean all = channels == pipeline.config().inChannels();
        boolean always = request.guidedFrom() <= 0 && request.guidedTo() >= 999;
        return request.guidance()
                + (all ? "" : ", the first " + channels + " channels")
                + (always ? "" : ", timesteps " + request.guidedFrom() + " to " + request.guidedTo());
    }
}
