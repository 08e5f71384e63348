package org.dit4j.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.dit4j.data.Dataset;
import org.dit4j.data.Fingerprint;
import org.dit4j.io.Sha256;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.train.TrainConfig;

/**
 * What makes two runs the same: what the weights after a number of steps depend on, as names and values, canonical and versioned. It is all
 * of {@link TrainConfig}, the precision of the network's products, the data by their content wherever they lie ({@link Fingerprint}), and
 * what the run began with. One command continues what another began. Not part of it is what else changes at most the rounding (device,
 * micro-batch size, recomputation, number of workers), what comes after the steps (their number, logs, samples, checkpoints), and where the
 * results are.
 */
public record RunIdentity(Map<String, String> values) {
    /** The key of the fingerprint of the data. */
    static final String DATA = "data";
    /** The key of the data in words, which have no part in what a run is. */
    static final String DESCRIPTION = "dataDescription";
    /** The key of what the run began with, and the beginning of all keys that have to do with it; absent where that was fresh weights. */
    static final String ORIGIN = "origin";

    private static final String DIGEST = "digest", IN_STATE = "identity", VERSION = "version", CURRENT = "2";
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final TypeReference<Map<String, String>> STRINGS = new TypeReference<>() {};

    /** What a newer version wrote, which may mean anything. */
    static final class NewerVersionException extends IllegalArgumentException {
        private static final long serialVersionUID = 1;

        NewerVersionException(String message) {
            super(message);
        }
    }

    public RunIdentity {
        values = Collections.unmodifiableMap(new TreeMap<>(values)); // in an order that is the same in every process
    }

    /**
     * Of what is learned, the precision of the network's products, and the data by their content. The first and last bytes of the data are
     * read, unless {@code recorded} is still theirs.
     */
    public static RunIdentity of(TrainConfig config, Precision precision, Dataset data, Optional<Fingerprint> recorded)
            throws IOException {
        Map<String, String> values = learned(config, precision);
        values.put(DATA, data.fingerprint(recorded).digest());
        values.put(DESCRIPTION, data.describe());
        return new RunIdentity(values);
    }

    /** As {@link #of(TrainConfig, Precision, Dataset, Optional)}, the data being new. */
    public static RunIdentity of(TrainConfig config, Precision precision, Dataset data) throws IOException {
        return of(config, precision, data, Optional.empty());
    }

    /** All but the data. */
    static Map<String, String> learned(TrainConfig config, Precision precision) {
        Map<String, String> values = new TreeMap<>();
        values.put(VERSION, CURRENT);
        ObjectNode json = JSON.valueToTree(config);
        json.set("diffusion", config.diffusion().toJson());
        flatten("", json, values);
        values.put("precision", precision.name().toLowerCase(Locale.ROOT));
        return values;
    }

    private static void flatten(String prefix, JsonNode node, Map<String, String> into) {
        for (Map.Entry<String, JsonNode> field : node.properties()) {
            String name = prefix + field.getKey();
            if (field.getValue().isObject()) flatten(name + ".", field.getValue(), into);
            else into.put(name, field.getValue().asText());
        }
    }

    /**
     * Whether one run goes on with what the other began: the same is learned, from the same data, begun with the same. A setting that an
     * older version did not write has its default.
     *
     * @param other as a folder or a checkpoint recorded it
     */
    boolean isSameRunAs(RunIdentity other) {
        return isSameButForDataAs(other)
                && (other.values.containsKey(DATA)
                        ? values.get(DATA).equals(other.values.get(DATA))
                        : FirstVersion.describesSameData(other.values.get(DESCRIPTION), values.get(DESCRIPTION)));
    }

    /** As {@link #isSameRunAs}, whatever the data are. */
    boolean isSameButForDataAs(RunIdentity other) {
        return withoutData(values).equals(withoutData(other.values));
    }

    private static Map<String, String> withoutData(Map<String, String> values) {
        Map<String, String> rest = new TreeMap<>(values);
        rest.keySet().removeAll(List.of(DATA, DESCRIPTION));
        return rest;
    }

    /** Whether a version that had no fingerprints of data recorded it. */
    boolean isOfFirstVersion() {
        return !values.containsKey(DATA);
    }

    /** Of a run that does not begin with fresh weights: also what it begins with, as {@link Origin#identity} says it. */
    public RunIdentity begunWith(Map<String, String> origin) {
        return with(origin);
    }

    /** As if the run had begun with what another one began with. */
    RunIdentity withOriginOf(RunIdentity other) {
        Map<String, String> recorded = new TreeMap<>(other.values);
        recorded.keySet().removeIf(name -> !name.startsWith(ORIGIN));
        return with(recorded);
    }

    /** The same with the fingerprint and the words for its data that another one has. */
    RunIdentity withDataOf(RunIdentity other) {
        Map<String, String> all = new TreeMap<>(values);
        for (String name : List.of(DATA, DESCRIPTION)) all.put(name, other.values.get(name));
        return new RunIdentity(all);
    }

    private RunIdentity with(Map<String, String> more) {
        Map<String, String> all = new TreeMap<>(values);
        all.keySet().removeIf(name -> name.startsWith(ORIGIN));
        all.putAll(more);
        return new RunIdentity(all);
    }

    /** Whether the weights of another run fit into this one's network. */
    boolean isOfModel(RunIdentity other) {
        return model(values).equals(model(other.values));
    }

    private static Map<String, String> model(Map<String, String> values) {
        Map<String, String> model = new TreeMap<>(values);
        model.keySet().removeIf(name -> !name.startsWith("model."));
        return model;
    }

    /** SHA-256 of the names and values. */
    public String digest() {
        return digest(values);
    }

    private static String digest(Map<String, String> values) {
        try {
            return Sha256.hex(JSON.writeValueAsBytes(values));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e); // plain strings
        }
    }

    /** Where this one differs from another, one line each: {@code seed: 1, was 0}. */
    public List<String> differences(RunIdentity other) {
        TreeSet<String> names = new TreeSet<>(values.keySet());
        names.addAll(other.values.keySet());
        names.removeAll(List.of(DATA, DESCRIPTION));
        List<String> lines = new ArrayList<>();
        for (String name : names)
            if (!String.valueOf(values.get(name)).equals(other.values.get(name)))
                lines.add(name + ": " + values.get(name) + ", was " + other.values.get(name));
        String now = String.valueOf(values.get(DESCRIPTION)), was = String.valueOf(other.values.get(DESCRIPTION));
        boolean same = other.isOfFirstVersion() || isOfFirstVersion()
                ? FirstVersion.describesSameData(was, now)
                : values.get(DATA).equals(other.values.get(DATA));
        if (!same)
            lines.add(
                    now.equals(was)
                            ? "data: other names, sizes or content of " + now
                            : "data: " + now + ", was " + was);
        return lines;
    }

    /** Of {@link #toJson}, or of a version before this. */
    static RunIdentity ofJson(byte[] json) {
        try {
            Map<String, String> values = new TreeMap<>(JSON.readValue(json, STRINGS));
            String digest = values.remove(DIGEST);
            if (!digest(values).equals(digest))
                throw new IllegalArgumentException("it does not say any more what was written");
            return recorded(values);
        } catch (IOException | NullPointerException e) {
            throw new IllegalArgumentException("it is not a JSON object of strings", e);
        }
    }

    /**
     * What a checkpoint says of its run; nothing if that is damaged.
     *
     * @throws NewerVersionException if a newer version wrote it
     */
    static Optional<RunIdentity> ofState(JsonNode state) {
        JsonNode node = state.path(IN_STATE);
        if (!node.isObject()) return Optional.empty();
        Map<String, String> values;
        try {
            values = new TreeMap<>(JSON.convertValue(node, STRINGS));
        } catch (IllegalArgumentException e) { // not of strings
            return Optional.empty();
        }
        return digest(values).equals(state.path(DIGEST).asText()) ? Optional.of(recorded(values)) : Optional.empty();
    }

    /** What was recorded, in the names of this version; what older ones did not write has its default. */
    private static RunIdentity recorded(Map<String, String> values) {
        String version = values.getOrDefault(VERSION, FirstVersion.NUMBER);
        if (version.equals(FirstVersion.NUMBER)) return ofFirstVersion(values);
        if (!version.equals(CURRENT))
            throw new NewerVersionException("is of version " + version + ", and this dit4j reads up to version "
                    + CURRENT + "; go on with the dit4j that began the run, or a newer one");
        return new RunIdentity(values);
    }

    /** The same in the names of today; without a fingerprint of the data. */
    private static RunIdentity ofFirstVersion(Map<String, String> first) {
        // what was not written then has its default
        Map<String, String> values = learned(TrainConfig.published(DiTConfig.of("DiT-S/8")), Precision.FP32);
        FirstVersion.translate(first, values);
        values.put(DESCRIPTION, FirstVersion.given(first, "data"));
        return new RunIdentity(values).withOriginOf(new RunIdentity(first));
    }

    /** What {@link #ofState} reads. */
    Map<String, Object> toState() {
        Map<String, Object> state = new LinkedHashMap<>(); // in an order that is the same in every process
        state.put(DIGEST, digest());
        state.put(IN_STATE, values);
        return state;
    }

    /** The values, and their digest. */
    byte[] toJson() {
        Map<String, String> all = new LinkedHashMap<>(values);
        all.put(DIGEST, digest());
        try {
            return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(all).getBytes(StandardCharsets.UTF_8);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e); // plain strings
        }
    }
}
