package org.dit4j.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;

/**
 * A network as one safetensors file: weights under the published names, and in the metadata what is needed to use them, so that the file
 * can be moved alone.
 */
public final class DiTCheckpoint {
    /** What a file without a word about it was trained on. */
    private static final String PUBLISHED_DIFFUSION = "linear 1000 noise learned_range";

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String MODEL = "dit4j.model",
            DIFFUSION = "dit4j.diffusion",
            CLASSES = "dit4j.classes",
            WEIGHTS = "dit4j.weights";

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
     * @param weights how they came about, for people: "EMA 0.9999 after 400000 steps"
     */
    public record Description(DiTConfig model, List<String> classNames, String diffusion, String weights) {
        public Description {
            classNames = List.copyOf(classNames);
        }

        /** As safetensors metadata. */
        public Map<String, String> metadata() {
            Map<String, String> metadata = new LinkedHashMap<>();
            metadata.put("format", "pt"); // other readers of safetensors look for it
            try {
                metadata.put(MODEL, JSON.writeValueAsString(model));
                metadata.put(CLASSES, JSON.writeValueAsString(classNames));
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
        Map<String, String> metadata = Safetensors.header(file).metadata();
        if (!metadata.containsKey(MODEL))
            throw new FormatException(
                    file, "does not say which model its weights are for (no \"" + MODEL + "\" in its metadata)");
        try {
            return new Description(
                    JSON.readValue(metadata.get(MODEL), DiTConfig.class),
                    JSON.readValue(metadata.getOrDefault(CLASSES, "[]"), new TypeReference<List<String>>() {}),
                    metadata.getOrDefault(DIFFUSION, PUBLISHED_DIFFUSION),
                    metadata.getOrDefault(WEIGHTS, ""));
        } catch (JsonProcessingException e) {
            Throwable reason = e.getCause() instanceof IllegalArgumentException cause ? cause : e;
            throw new FormatException(file, "describes an impossible model: " + reason.getMessage(), e);
        }
    }

    /**
     * The network that {@code file} holds, on the CPU, in float32; the caller closes it.
     *
     * @throws FormatException if the weights are not those of the model that the file describes
     */
    public static DiT open(Path file) throws IOException {
        DiT network = new DiT(describe(file).model());
        try (TensorScope scope = new TensorScope()) {
            StateDict.load(network, Safetensors.read(file));
            return network;
        } catch (IllegalArgumentException e) {
            network.close();
            throw new FormatException(file, e.getMessage(), e);
        } catch (IOException | RuntimeException e) {
            network.close();
            throw e;
        }
    }

    /** Writes {@code network} so that {@code file} is always whole. */
    public static void write(Path file, DiT network, List<String> classNames, String diffusion, String weights)
            throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> state = StateDict.of(network);
            Safetensors.write(
                    file, state, new Description(network.config(), classNames, diffusion, weights).metadata());
        }
    }
}
