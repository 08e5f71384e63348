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
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.DiffusionConfig.Products;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.FormatException;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.vae.LatentSpace;
import org.dit4j.vae.LinearRgb;

/**
 * What a file says of its weights.
 *
 * @param model the network
 * @param classNames one per class, or empty
 * @param diffusion what the network was trained to undo
 * @param weights how they came about, for people: "EMA 0.9999 after 400000 steps"; empty if nobody says
 * @param profile whose arithmetic the network follows
 * @param scheduler of diffusers' sampling; of consequence to that profile only
 * @param latents whose latents the network draws; empty for pixels, and where nobody says
 * @param colours a projection of these latents to colours, for previews, if there is one
 * @param content what the network draws
 */
public record DiTDescription(
        DiTConfig model,
        List<String> classNames,
        DiffusionConfig diffusion,
        String weights,
        Profile profile,
        SchedulerConfig scheduler,
        Optional<LatentSpace> latents,
        Optional<LinearRgb> colours,
        Content content) {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** The key that says which network it is. */
    static final String MODEL = "dit4j.model";

    private static final String CLASSES = "dit4j.classes", WEIGHTS = "dit4j.weights";
    private static final String PROFILE = "dit4j.profile",
            LATENTS = "dit4j.latents",
            COLOURS = "dit4j.colours",
            CONTENT = "dit4j.content";

    public DiTDescription {
        classNames = List.copyOf(classNames);
    }

    /** Of a network that follows the published code. */
    public DiTDescription(DiTConfig model, List<String> classNames, DiffusionConfig diffusion, String weights) {
        this(
                model,
                classNames,
                diffusion,
                weights,
                Profile.OFFICIAL,
                SchedulerConfig.PUBLISHED,
                Optional.empty(),
                Optional.empty(),
                Content.guess(model));
    }

    /** The same of a network that draws pixels, or latents. */
    public DiTDescription withContent(Content drawn) {
        return new DiTDescription(model, classNames, diffusion, weights, profile, scheduler, latents, colours, drawn);
    }

    /** The same for the latents of a known autoencoder. */
    public DiTDescription withLatents(Optional<LatentSpace> known, Optional<LinearRgb> shownBy) {
        return new DiTDescription(
                model,
                classNames,
                diffusion,
                weights,
                profile,
                scheduler,
                known,
                shownBy,
                known.isPresent() ? Content.LATENTS : content);
    }

    /**
     * The same following another code's arithmetic.
     *
     * @throws IllegalArgumentException if that code has no such diffusion
     */
    public DiTDescription withProfile(Profile other) {
        if (other == profile) return this;
        if (other == Profile.OFFICIAL) requirePublishedArithmetic();
        DiffusionConfig followed =
                diffusion.withProducts(other == Profile.OFFICIAL ? Products.FLOAT64 : Products.FLOAT32);
        return new DiTDescription(model, classNames, followed, weights, other, scheduler, latents, colours, content);
    }

    /** The published code scales the ends of a linear schedule, and knows no other ones; nor does it clip latents. */
    private void requirePublishedArithmetic() {
        boolean published = diffusion.withProducts(Products.FLOAT64).hasPublishedEnds();
        if (!published
                || scheduler.clip()
                || !scheduler.suitsOtherSolvers()
                || !scheduler.unknown().isEmpty())
            throw new IllegalArgumentException("the weights have a noise schedule of their own (" + diffusion.text()
                    + ", " + scheduler.text()
                    + "), which the published code has not; open them with the diffusers profile");
    }

    /** The same of weights that came about in another way. */
    public DiTDescription withWeights(String other) {
        return new DiTDescription(model, classNames, diffusion, other, profile, scheduler, latents, colours, content);
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
            if (!scheduler.equals(SchedulerConfig.PUBLISHED))
                metadata.put(DescribedDiffusion.SCHEDULER, scheduler.toJson().toString());
            if (latents.isPresent()) metadata.put(LATENTS, JSON.writeValueAsString(latents.get()));
            if (colours.isPresent()) metadata.put(COLOURS, JSON.writeValueAsString(colours.get()));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e); // plain numbers and strings
        }
        metadata.put(DescribedDiffusion.DIFFUSION, diffusion.toJson().toString());
        metadata.put(WEIGHTS, weights);
        metadata.put(CONTENT, content.word());
        return metadata;
    }

    /** What metadata say of weights; empty if they are not ours. */
    static Optional<DiTDescription> of(Path file, Map<String, String> metadata) throws IOException {
        if (!metadata.containsKey(MODEL)) return Optional.empty();
        try {
            DiTConfig model = parsed(file, metadata, MODEL, DiTConfig.class).orElseThrow();
            List<String> classNames =
                    List.of(parsed(file, metadata, CLASSES, String[].class).orElse(new String[0]));
            Profile profile = profile(file, metadata.getOrDefault(PROFILE, "official"));
            DescribedDiffusion described = DescribedDiffusion.of(file, metadata, model, profile);
            Optional<LatentSpace> latents = parsed(file, metadata, LATENTS, LatentSpace.class);
            return Optional.of(new DiTDescription(
                    model,
                    classNames,
                    described.diffusion(),
                    metadata.getOrDefault(WEIGHTS, ""),
                    profile,
                    described.scheduler(),
                    latents,
                    parsed(file, metadata, COLOURS, LinearRgb.class),
                    content(file, metadata, latents.isPresent() ? Content.LATENTS : Content.guess(model))));
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

    /** What metadata say; version 0.1.0 did not. */
    private static Content content(Path file, Map<String, String> metadata, Content unsaid) throws FormatException {
        String said = metadata.getOrDefault(CONTENT, unsaid.word());
        for (Content content : Content.values()) if (content.word().equals(said)) return content;
        throw new FormatException(file, "draws \"" + said + "\"; known are pixels and latents");
    }

    private static Profile profile(Path file, String name) throws FormatException {
        for (Profile profile : Profile.values()) if (profile.name().equalsIgnoreCase(name)) return profile;
        throw new FormatException(file, "is for the profile \"" + name + "\"; known are official and diffusers");
    }
}
