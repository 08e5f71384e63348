package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.Finite;
import org.dit4j.io.FormatException;
import org.dit4j.model.DiT;
import org.dit4j.model.Profile;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;

/**
 * The weights of a DiT in a file, found to fit a model but not read yet: what every format is opened as and written from. They have the
 * published names and the file's dtypes.
 */
public final class DiTWeights {
    static {
        Backend.configure();
    }

    /** Reads the tensors of a file under the published names, in any order, into the scope around the call. */
    @FunctionalInterface
    interface Reader {
        Map<String, Tensor> read() throws IOException;
    }

    private final DiTDescription description;
    private final Reader reader;
    private final Optional<Path> vae;
    /** Whether what is read is another network's own memory. */
    private final boolean shared;
    /** What a person should know, in lines. */
    private final List<String> notes;

    /**
     * @param path for messages
     * @param shapes of the tensors, by published name
     * @param vae where the autoencoder is that the file brought along
     * @throws FormatException if the shapes are not those of the model described
     */
    DiTWeights(Path path, DiTDescription description, Map<String, List<Long>> shapes, Reader reader, Optional<Path> vae)
            throws FormatException {
        this(
                description,
                () -> {
                    Map<String, Tensor> read = reader.read();
                    Finite.requireWeights(path, read);
                    return read;
                },
                vae,
                false,
                List.of());
        try {
            DiTShapes.requireFit(description.model(), shapes, description.profile() == Profile.DIFFUSERS);
        } catch (IllegalArgumentException e) {
            throw new FormatException(path, e.getMessage(), e);
        }
    }

    private DiTWeights(
            DiTDescription description, Reader reader, Optional<Path> vae, boolean shared, List<String> notes) {
        this.description = description;
        this.reader = reader;
        this.vae = vae;
        this.shared = shared;
        this.notes = List.copyOf(notes);
    }

    /** The weights of a network, which stays the caller's, trained on the published diffusion. */
    public static DiTWeights of(DiT network, List<String> classNames, String origin) {
        return of(
                network, classNames, DiffusionConfig.published(network.config().learnSigma()), origin);
    }

    /**
     * The weights of a network, which stays the caller's.
     *
     * @param diffusion what it was trained to undo
     * @param origin how the weights came about, for people
     */
    public static DiTWeights of(DiT network, List<String> classNames, DiffusionConfig diffusion, String origin) {
        DiTDescription description = new DiTDescription(
                network.config(),
                classNames,
                diffusion,
                origin,
                network.profile(),
                SchedulerConfig.PUBLISHED,
                Optional.empty(),
                Optional.empty(),
                Content.guess(network.config()));
        return new DiTWeights(description, () -> StateDict.of(network), Optional.empty(), true, List.of());
    }

    /** The model, its classes, and how the weights came about. */
    public DiTDescription description() {
        return description;
    }

    /** What was guessed, chosen among several, or ignored in the file, each in a line for people. */
    public List<String> notes() {
        return notes;
    }

    DiTWeights withNotes(List<String> lines) {
        return new DiTWeights(description, reader, vae, shared, lines);
    }

    /** The autoencoder that the file brought along, as {@link Checkpoints#openVae} takes it. */
    public Optional<Path> vae() {
        return vae;
    }

    /**
     * The tensors on the CPU by published name, in the order of the state dict, in the scope around the call. Those of a diffusers folder may
     * have an embedder for every block: {@link #requireSharedEmbedders}.
     *
     * @throws FormatException if the file is damaged, or a number in it is NaN or infinite, naming the tensor
     */
    public Map<String, Tensor> read() throws IOException {
        Map<String, Tensor> read = reader.read();
        Map<String, Tensor> ordered = new LinkedHashMap<>(); // safetensors do not keep the order
        DiTShapes.of(description.model()).keySet().forEach(name -> ordered.put(name, read.get(name)));
        read.forEach((name, tensor) -> {
            if (DiTKeyNames.isOwnEmbedder(name)) ordered.put(name, tensor);
        });
        return ordered;
    }

    /**
     * Reads weights that may come from diffusers, to see whether their blocks share the embedders of timesteps and labels.
     *
     * @param target for the message: what cannot hold others
     * @throws IllegalArgumentException if every block has its own
     */
    public void requireSharedEmbedders(String target) throws IOException {
        if (description.profile() != Profile.DIFFUSERS) return;
        try (TensorScope scope = new TensorScope()) {
            requireSharedEmbedders(read(), target);
        }
    }

    static void requireSharedEmbedders(Map<String, Tensor> tensors, String target) {
        if (tensors.keySet().stream().anyMatch(DiTKeyNames::isOwnEmbedder))
            throw new IllegalArgumentException("the blocks of these weights have time and label embedders of their own,"
                    + " which differ; " + target + " has one for all blocks, and cannot hold them");
    }

    /** The same following another code's arithmetic. */
    DiTWeights withProfile(Profile profile) {
        return new DiTWeights(description.withProfile(profile), reader, vae, shared, notes);
    }

    /** The same rounded to another dtype. */
    public DiTWeights to(ScalarType dtype) {
        return new DiTWeights(
                description,
                () -> {
                    Map<String, Tensor> tensors = reader.read();
                    tensors.replaceAll((name, tensor) -> tensor.to(dtype));
                    return tensors;
                },
                vae,
                shared,
                notes);
    }

    /** A network with these weights in float32, on the CPU. Call it outside any step's scope; the caller closes the network. */
    public DiT open() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = read();
            if (shared) tensors.replaceAll((name, tensor) -> tensor.clone());
            return TensorScope.detached(description.model().network(description.profile(), tensors));
        }
    }
}
