package org.dit4j.web;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.annotation.JsonSerialize;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.dit4j.ClassChoice;
import org.dit4j.ClassNames;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.Weights;
import org.dit4j.report.Words;

/**
 * Pictures that a client wants of one model: what {@link SampleRequest} takes, resolved, as the journal keeps it.
 *
 * @param labels one per picture; −1 is no class
 * @param index of the first picture; with the seed it fixes the noise
 * @param interval of the timesteps that are guided, [low, high]; null for all
 * @param numSteps that these steps are for this model
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record Generation(
        String model,
        Weights weights,
        List<Integer> labels,
        @JsonSerialize(using = ToStringSerializer.class) long seed,
        @JsonSerialize(using = ToStringSerializer.class) long index,
        String steps,
        Sampler sampler,
        double eta,
        double guidance,
        List<Double> interval,
        int numSteps) {
    static final int MOST_PICTURES = 64, MOST_STEPS = 1000;
    static final List<String> FIELDS = List.of(
            "model", "weights", "classes", "count", "seed", "index", "steps", "sampler", "eta", "guidance", "interval");
    private static final double GUIDANCE = 4, MOST_GUIDANCE = 100;
    private static final int LAST_TIMESTEP = 999;

    Generation {
        labels = List.copyOf(labels);
        interval = interval == null ? null : List.copyOf(interval);
    }

    /**
     * Reads and checks all that a client says of its pictures.
     *
     * @throws Problem naming the field that cannot be
     */
    static Generation of(ObjectNode body, String place, List<String> alsoKnown, Models models) {
        List<String> known = new ArrayList<>(FIELDS);
        known.addAll(alsoKnown);
        Fields fields = new Fields(body, place, known);
        String id = models.entry(fields.text("model", models.first()), fields.pointer("model"))
                .id();
        Weights weights = fields.choice("weights", Weights.EMA, List.of(Weights.values()), Words::choice);
        try (Models.Lease lease = models.lease(id, weights, fields.pointer("model"))) {
            DiTPipeline pipeline = lease.model().pipeline();
            List<Integer> labels = labels(fields, pipeline);
            double guidance =
                    fields.number("guidance", pipeline.config().hasNullLabel() ? GUIDANCE : 1, 0, MOST_GUIDANCE);
            if (guidance != 1 && !pipeline.config().hasNullLabel())
                throw fields.wrong("guidance", "1, and this model cannot be guided: it has no null label");
            Generation unchecked = new Generation(
                    id,
                    weights,
                    labels,
                    fields.whole("seed", 0, Long.MIN_VALUE),
                    fields.whole("index", 0, 0),
                    steps(fields),
                    fields.choice("sampler", Sampler.DDPM, List.of(Sampler.values()), Words::choice),
                    fields.number("eta", 0, 0, 1),
                    guidance,
                    interval(fields),
                    1);
            int numSteps;
            try {
                numSteps = pipeline.numSteps(unchecked.request());
            } catch (IllegalArgumentException e) {
                throw Problem.field(fields.pointer("steps"), e.getMessage());
            }
            if (numSteps > MOST_STEPS) throw fields.wrong("steps", "at most " + MOST_STEPS);
            if (!pipeline.drawsPictures())
                throw Problem.field(
                        fields.pointer("model"),
                        "this model draws latents and no autoencoder is there to decode them; start dit serve with --vae PATH");
            return unchecked.withNumSteps(numSteps);
        }
    }

    private static String steps(Fields fields) {
        if (!fields.has("steps")) return "50";
        if (fields.node("steps").isTextual()) return fields.text("steps", "");
        return Integer.toString(fields.count("steps", 0, 1, MOST_STEPS));
    }

    private static List<Double> interval(Fields fields) {
        if (!fields.has("interval")) return null;
        JsonNode node = fields.node("interval");
        boolean fits = node.size() == 2
                && node.isArray()
                && node.get(0).isNumber()
                && node.get(1).isNumber();
        if (!fits
                || !(node.get(0).doubleValue() >= 0
                        && node.get(0).doubleValue() <= node.get(1).doubleValue()
                        && node.get(1).doubleValue() <= LAST_TIMESTEP))
            throw fields.wrong("interval", "[low, high] with 0 <= low <= high <= " + LAST_TIMESTEP);
        return List.of(node.get(0).doubleValue(), node.get(1).doubleValue());
    }

    private static List<Integer> labels(Fields fields, DiTPipeline pipeline) {
        int count = fields.count("count", 1, 1, MOST_PICTURES);
        List<Integer> row = new ArrayList<>();
        JsonNode classes = fields.node("classes");
        if (fields.has("classes") && !(classes instanceof ArrayNode)) throw fields.wrong("classes", "a list");
        if (classes.size() > MOST_PICTURES) throw fields.wrong("classes", "at most " + MOST_PICTURES + " classes");
        for (int i = 0; i < classes.size(); i++)
            row.add(label(classes.get(i), fields.pointer("classes") + "/" + i, pipeline.classNames()));
        if (row.isEmpty()) {
            if (pipeline.config().numClasses() > 0 && !pipeline.config().hasNullLabel())
                throw Problem.field(
                        fields.pointer("classes"), "no class is given, and this model draws none without one");
            row.add(-1);
        }
        if (row.size() * count > MOST_PICTURES)
            throw Problem.field(
                    fields.pointer("count"),
                    row.size() + " classes, " + count + " times, are " + row.size() * count + " pictures; at most "
                            + MOST_PICTURES);
        List<Integer> labels = new ArrayList<>();
        for (int i = 0; i < count; i++) labels.addAll(row);
        return labels;
    }

    private static int label(JsonNode given, String pointer, ClassNames names) {
        if (!given.isIntegralNumber() && !given.isTextual())
            throw Problem.field(pointer, "a class is a number or a name");
        try {
            return given.isTextual()
                    ? names.label(given.textValue())
                    : names.label(ClassChoice.of(given.canConvertToInt() ? given.intValue() : Integer.MAX_VALUE));
        } catch (IllegalArgumentException e) {
            List<String> near = ClassSearch.search(names, given.asText(), 3).stream()
                    .map(names::name)
                    .toList();
            throw Problem.field(pointer, e.getMessage() + (near.isEmpty() ? "" : "; near are " + near));
        }
    }

    SampleRequest request() {
        SampleRequest request = SampleRequest.of(labels.stream()
                        .map(label -> label < 0 ? ClassChoice.none() : ClassChoice.of(label))
                        .toList())
                .withSeed(seed)
                .withFirstIndex(index)
                .withSteps(steps)
                .withSampler(sampler, eta)
                .withGuidance(guidance);
        return interval == null ? request : request.withGuidanceWithin(interval.get(0), interval.get(1));
    }

    /** One of its pictures alone. */
    Generation picture(int number) {
        return new Generation(
                model,
                weights,
                Collections.singletonList(labels.get(number)),
                seed,
                index + number,
                steps,
                sampler,
                eta,
                guidance,
                interval,
                numSteps);
    }

    private Generation withNumSteps(int value) {
        return new Generation(model, weights, labels, seed, index, steps, sampler, eta, guidance, interval, value);
    }

    /** How many rows go through the network for each of its steps: two for a picture that is guided. */
    int rows() {
        return labels.size() * (guidance == 1 ? 1 : 2);
    }

    /** As clients read and send it. */
    ObjectNode toJson() {
        ObjectNode json = Json.object().put("model", model).put("weights", Words.choice(weights));
        ArrayNode classes = json.putArray("classes");
        if (labels.get(0) >= 0) labels.forEach(classes::add);
        json.put("count", labels.get(0) >= 0 ? 1 : labels.size())
                .put("seed", Long.toString(seed))
                .put("index", index)
                .put("steps", steps)
                .put("sampler", Words.choice(sampler))
                .put("eta", eta)
                .put("guidance", guidance);
        if (interval != null) json.putArray("interval").add(interval.get(0)).add(interval.get(1));
        return json;
    }
}
