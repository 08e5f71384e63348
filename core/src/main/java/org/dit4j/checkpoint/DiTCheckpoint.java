package org.dit4j.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.dit4j.diffusion.DdimSchedule;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.vae.LatentSpace;
import org.dit4j.vae.LinearRgb;

/**
 * A network as one safetensors file: weights under the published names, and in the metadata what is needed to use them, so that the file
 * can be moved alone.
 */
public final class DiTCheckpoint {
    /** What a file without a word about it was trained on. */
    private static final String PUBLISHED_DIFFUSION = "linear 1000 noise learned_range";

    /** The same for a network that predicts no variance (Ho et al. 2020). */
    private static final String FIXED_DIFFUSION = "linear 1000 noise fixed_large";

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String MODEL = "dit4j.model",
            DIFFUSION = "dit4j.diffusion",
            CLASSES = "dit4j.classes",
            WEIGHTS = "dit4j.weights";
    private static final String PROFILE = "dit4j.profile",
            SCHEDULE = "dit4j.ddim",
            LATENTS = "dit4j.latents",
            COLOURS = "dit4j.colours";

    static {
        Backend.configure();
    }

    private DiTCheckpoint() {}

    /**
     * What a file says of its weights.
     *
     * @param model the network
     * @param classNames one per class, or empty
     * @param diffusion what the network was trained to undo, as {@code GaussianDiffusion.text} writes it
     * @param weights how they came about, for people: "EMA 0.9999 after 400000 steps"; empty if nobody says
     * @param profile whose arithmetic the network follows
     * @param schedule of diffusers' sampling; of consequence to that profile only
     * @param latents whose latents the network draws; empty for pixels, and where nobody says
     * @param colours a projection of these latents to colours, for previews, if there is one
     */
    public record Description(
            DiTConfig model,
            List<String> classNames,
            String diffusion,
            String weights,
            Profile profile,
            DdimSchedule schedule,
            Optional<LatentSpace> latents,
            Optional<LinearRgb> colours) {
        public Description {
            classNames = List.copyOf(classNames);
        }

        /** Of a network that follows the published code. */
        public Description(DiTConfig model, List<String> classNames, String diffusion, String weights) {
            this(
                    model,
                    classNames,
                    diffusion,
                    weights,
                    Profile.OFFICIAL,
                    DdimSchedule.PUBLISHED,
                    Optional.empty(),
                    Optional.empty());
        }

        /** The same for the latents of a known autoencoder. */
        public Description withLatents(Optional<LatentSpace> known, Optional<LinearRgb> shownBy) {
            return new Description(model, classNames, diffusion, weights, profile, schedule, known, shownBy);
        }

        /** The same following another code's arithmetic. */
        public Description withProfile(Profile other) {
            return new Description(model, classNames, diffusion, weights, other, schedule, latents, colours);
        }

        /** As safetensors metadata. */
        public Map<String, String> metadata() {
            Map<String, String> metadata = new LinkedHashMap<>();
            metadata.put("format", "pt"); // other readers of safetensors look for it
            try {
                metadata.put(MODEL, JSON.writeValueAsString(model));
                metadata.put(CLASSES, JSON.writeValueAsString(classNames));
                if (profile != Profile.OFFICIAL)
                    metadata.put(PROFILE, profile.name().toLowerCase(Locale.ROOT));
                if (!schedule.equals(DdimSchedule.PUBLISHED)) metadata.put(SCHEDULE, JSON.writeValueAsString(schedule));
                if (latents.isPresent()) metadata.put(LATENTS, JSON.writeValueAsString(latents.get()));
                if (colours.isPresent()) metadata.put(COLOURS, JSON.writeValueAsString(colours.get()));
            } catch (JsonProcessingException e) {
                throw new IllegalStateException(e); // plain numbers and strings
            }
            metadata.put(DIFFUSION, diffusion);
            metadata.put(WEIGHTS, weights);
            return metadata;
        }
    }

    /**
     * What {@code file} says of its weights, without reading them.
     *
     * @throws FormatException if it does not say, or says something impossible
     */
    public static Description describe(Path file) throws IOException {
        return describe(file, Safetensors.header(file).metadata())
                .orElseThrow(() -> new FormatException(
                        file, "does not say which model its weights are for (no \"" + MODEL + "\" in its metadata)"));
    }

    /** What metadata say of weights; empty if they are not ours. */
    static Optional<Description> describe(Path file, Map<String, String> metadata) throws IOException {
        if (!metadata.containsKey(MODEL)) return Optional.empty();
        try {
            DiTConfig model = parsed(file, metadata, MODEL, DiTConfig.class).orElseThrow();
            List<String> classNames =
                    List.of(parsed(file, metadata, CLASSES, String[].class).orElse(new String[0]));
            return Optional.of(new Description(
                    model,
                    classNames,
                    metadata.getOrDefault(DIFFUSION, publishedDiffusion(model)),
                    metadata.getOrDefault(WEIGHTS, ""),
                    profile(file, metadata.getOrDefault(PROFILE, "official")),
                    parsed(file, metadata, SCHEDULE, DdimSchedule.class).orElse(DdimSchedule.PUBLISHED),
                    parsed(file, metadata, LATENTS, LatentSpace.class),
                    parsed(file, metadata, COLOURS, LinearRgb.class)));
        } catch (JsonProcessingException e) {
            Throwable reason = e.getCause() instanceof IllegalArgumentException cause ? cause : e;
            throw new FormatException(file, "describes an impossible model: " + reason.getMessage(), e);
        }
    }

    /** Empty where metadata have no such key. */
    private static <T> Optional<T> parsed(Path file, Map<String, String> metadata, String key, Class<T> type)
            throws IOException {
        if (!metadata.containsKey(key)) return Optional.empty();
        T value = JSON.readValue(metadata.get(key), type);
        if (value == null
                || value instanceof Object[] items && Arrays.asList(items).contains(null))
            throw new FormatException(file, "its \"" + key + "\" is or has a null");
        return Optional.of(value);
    }

    /** The diffusion of the published DiTs, as far as the network goes along. */
    static String publishedDiffusion(DiTConfig model) {
        return model.learnSigma() ? PUBLISHED_DIFFUSION : FIXED_DIFFUSION;
    }

    private static Profile profile(Path file, String name) throws FormatException {
        for (Profile profile : Profile.values()) if (profile.name().equalsIgnoreCase(name)) return profile;
        throw new FormatException(file, "is for the profile \"" + name + "\"; known are official and diffusers");
    }

    /**
     * The network that {@code file} holds, on the CPU, in float32; the caller closes it.
     *
     * @throws FormatException if the weights are not those of the model that the file describes
     */
    public static DiT open(Path file) throws IOException {
        return of(file, describe(file), TensorFile.of(file, Weights.EMA)).open();
    }

    static DiTWeights of(Path file, Description description, TensorFile tensors) throws FormatException {
        return new DiTWeights(file, description, tensors.shapes(), tensors::read, Optional.empty());
    }

    /** Writes {@code network} so that {@code file} is always whole. */
    public static void write(Path file, DiT network, List<String> classNames, String diffusion, String weights)
            throws IOException {
        write(file, DiTWeights.of(network, classNames, diffusion, weights));
    }

    /** Writes {@code weights} so that {@code file} is always whole. */
    public static void write(Path file, DiTWeights weights) throws IOException {
        writeShards(file, weights, WriteOptions.ONE_FILE);
    }

    /** As {@link #write(Path, DiTWeights)}, in several files if need be; each has the metadata. */
    static void writeShards(Path file, DiTWeights weights, long maxShardBytes) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Safetensors.writeShards(file, weights.read(), weights.description().metadata(), maxShardBytes);
        }
    }
}
