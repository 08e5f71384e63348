package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/**
 * A network as one safetensors file: weights under the published names, and in the metadata what is needed to use them, so that the file
 * can be moved alone.
 */
public final class DiTCheckpoint {
    static {
        Backend.configure();
    }

    private DiTCheckpoint() {}

    /**
     * What {@code file} says of its weights, without reading them.
     *
     * @throws FormatException if it does not say, or says something impossible
     */
    public static DiTDescription describe(Path file) throws IOException {
        return DiTDescription.of(file, Safetensors.header(file).metadata())
                .orElseThrow(() -> new FormatException(
                        file,
                        "does not say which model its weights are for (no \"" + DiTDescription.MODEL
                                + "\" in its metadata)"));
    }

    /**
     * The network that {@code file} holds, on the CPU, in float32; the caller closes it.
     *
     * @throws FormatException if the weights are not those of the model that the file describes
     */
    public static DiT open(Path file) throws IOException {
        return of(file, describe(file), TensorFile.of(file)).open();
    }

    static DiTWeights of(Path file, DiTDescription description, TensorFile tensors) throws FormatException {
        return new DiTWeights(file, description, tensors.shapes(), tensors::read, Optional.empty());
    }

    /** Writes {@code network} so that {@code file} is always whole. */
    public static void write(Path file, DiT network, List<String> classNames, DiffusionConfig diffusion, String weights)
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
