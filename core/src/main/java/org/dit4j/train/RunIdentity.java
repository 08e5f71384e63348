package org.dit4j.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.dit4j.data.Dataset;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.io.Sha256;

/**
 * What the weights after a number of steps depend on, as names and values. Two commands with the same identity are the same run, and one
 * continues what the other began. Not part of it is what changes at most the rounding (device, micro-batch size, recomputation, number of
 * workers), what comes after the steps (their number, logs, samples, checkpoints), and where the results are.
 */
public record RunIdentity(Map<String, String> values) {
    private static final String DIGEST = "digest", IN_STATE = "identity";
    private static final Pattern RECORD = Pattern.compile("(\\w+)\\[([^\\[\\]]*)\\]");
    private static final TypeReference<Map<String, String>> STRINGS = new TypeReference<>() {};

    public RunIdentity {
        values = Collections.unmodifiableMap(new TreeMap<>(values)); // in an order that is the same in every process
    }

    /** Of a configuration, a diffusion that has a name, and the data: their one-line description stands for their content, which is not read. */
    public static RunIdentity of(TrainConfig config, GaussianDiffusion diffusion, Dataset data) {
        Map<String, String> values = new TreeMap<>();
        values.put("model", config.model().toString());
        values.put("diffusion", diffusion.text());
        values.put("seed", Long.toString(config.seed()));
        values.put("globalBatchSize", Integer.toString(config.globalBatchSize()));
        values.put("learningRate", config.learningRate().toString());
        values.put("weightDecay", Double.toString(config.weightDecay()));
        values.put("clipNorm", Double.toString(config.clipNorm()));
        values.put("ema", config.ema().toString());
        values.put("flip", Boolean.toString(config.flip()));
        values.put("bf16", Boolean.toString(config.bf16()));
        values.put("data", data.describe());
        values.put("classNames", data.classNames().toString());
        return new RunIdentity(values);
    }

    /**
     * Of a run that does not begin with fresh weights: also what it begins with, by name and SHA-256.
     *
     * @throws java.nio.file.NoSuchFileException if there is no such file
     */
    public RunIdentity begunWith(Origin origin) throws IOException {
        return with(origin.identity());
    }

    /** As if the run had begun with what another one began with. */
    RunIdentity withOriginOf(RunIdentity other) {
        Map<String, String> recorded = new TreeMap<>(other.values);
        recorded.keySet().removeIf(name -> !name.startsWith(Origin.KEY));
        return with(recorded);
    }

    private RunIdentity with(Map<String, String> more) {
        Map<String, String> all = new TreeMap<>(values);
        all.keySet().removeIf(name -> name.startsWith(Origin.KEY));
        all.putAll(more);
        return new RunIdentity(all);
    }

    /** SHA-256 of the names and values. */
    public String digest() {
        try {
            return Sha256.hex(new ObjectMapper().writeValueAsBytes(values));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e); // plain strings
        }
    }

    /** Where this one differs from another, one line each: {@code seed: 1, was 0}. */
    public List<String> differences(RunIdentity other) {
        TreeMap<String, String> all = new TreeMap<>(other.values);
        all.putAll(values);
        return all.keySet().stream()
                .filter(name -> !String.valueOf(values.get(name)).equals(other.values.get(name)))
                .map(name -> name + ": " + difference(values.get(name), other.values.get(name)))
                .toList();
    }

    /** Of two records only the components that differ: {@code depth=2, was depth=1}. */
    private static String difference(String now, String was) {
        Matcher one = RECORD.matcher(String.valueOf(now)), other = RECORD.matcher(String.valueOf(was));
        if (!one.matches() || !other.matches() || !one.group(1).equals(other.group(1))) return now + ", was " + was;
        List<String> ones = List.of(one.group(2).split(", ")),
                others = List.of(other.group(2).split(", "));
        return without(ones, others) + ", was " + without(others, ones);
    }

    private static String without(List<String> components, List<String> same) {
        return components.stream()
                .filter(component -> !same.contains(component))
                .collect(Collectors.joining(", "));
    }

    /** Of {@link #toJson}. */
    static RunIdentity ofJson(byte[] json) {
        try {
            Map<String, String> values = new TreeMap<>(new ObjectMapper().readValue(json, STRINGS));
            String digest = values.remove(DIGEST);
            RunIdentity identity = new RunIdentity(values);
            if (!identity.digest().equals(digest))
                throw new IllegalArgumentException("it does not say any more what was written");
            return identity;
        } catch (IOException | NullPointerException e) {
            throw new IllegalArgumentException("it is not a JSON object of strings", e);
        }
    }

    /** What a checkpoint says of its run; nothing if that is damaged. */
    static Optional<RunIdentity> ofState(JsonNode state) {
        JsonNode values = state.path(IN_STATE);
        if (!values.isObject()) return Optional.empty();
        try {
            RunIdentity identity = new RunIdentity(new ObjectMapper().convertValue(values, STRINGS));
            return identity.digest().equals(state.path(DIGEST).asText()) ? Optional.of(identity) : Optional.empty();
        } catch (IllegalArgumentException e) { // not of strings
            return Optional.empty();
        }
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
            return new ObjectMapper()
                    .writerWithDefaultPrettyPrinter()
                    .writeValueAsString(all)
                    .getBytes(StandardCharsets.UTF_8);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e); // plain strings
        }
    }
}
