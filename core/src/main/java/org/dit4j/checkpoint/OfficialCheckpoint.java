package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.DiTCheckpoint.Description;
import org.dit4j.io.FormatException;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.model.DiT;
import java.nio.file.Files;
import org.bytedeco.pytorch.global.torch;

/**
 * Files with the published names and nothing that says which model they are of: the published {@code DiT-XL-2-256x256.pt}, what the
 * published training script writes, and state dicts as safetensors. The model is found from the shapes; the position table is the file's.
 */
public final class OfficialCheckpoint {
    static {
        Backend.configure();
    }

    private OfficialCheckpoint() {}

    /**
     * The weights of a file. Prefixes that {@code DistributedDataParallel} and {@code torch.compile} leave are taken off the names.
     *
     * @param weights of a training checkpoint: the averaged or those in training
     * @param numHeads attention heads, needed for a width that no published model has
     * @throws FormatException if the file is damaged, or is no DiT's
     */
    public static DiTWeights read(Path file, Weights weights, OptionalInt numHeads) throws IOException {
        return read(file, TensorFile.of(file, weights), numHeads);
    }

    static DiTWeights read(Path file, TensorFile tensors, OptionalInt numHeads) throws IOException {
        try {
            return read(file, tensors, DiTShapes.config(plainShapes(tensors, plainNames(file, tensors)), numHeads));
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
    }

    /** The weights of a model that is known. */
    static DiTWeights read(Path file, TensorFile tensors, DiTConfig model) throws IOException {
        Map<String, String> names = plainNames(file, tensors);
        String origin = tensors.isAveraged() ? "EMA" : "";
        return new DiTWeights(
                file,
                new Description(model, List.of(), DiffusionConfig.published(model.learnSigma()), origin),
                plainShapes(tensors, names),
                () -> renamed(tensors.read(), names),
                Optional.empty());
    }

    /** Name without prefixes → name in the file. */
    private static Map<String, String> plainNames(Path file, TensorFile tensors) throws FormatException {
        Map<String, String> names = new LinkedHashMap<>();
        for (String inFile : tensors.entries().keySet()) {
            String before = names.put(DiTKeyNames.plain(inFile), inFile);
            if (before != null)
                throw new FormatException(file, before + " and " + inFile + " stand for the same weight");
        }
        return names;
    }

    private static Map<String, List<Long>> plainShapes(TensorFile tensors, Map<String, String> names) {
        Map<String, List<Long>> given = tensors.shapes(), shapes = new LinkedHashMap<>();
        names.forEach((plain, inFile) -> shapes.put(plain, given.get(inFile)));
        return shapes;
    }

    private static Map<String, Tensor> renamed(Map<String, Tensor> tensors, Map<String, String> names) {
        Map<String, Tensor> renamed = new LinkedHashMap<>();
        names.forEach((plain, inFile) -> renamed.put(plain, tensors.get(inFile)));
        return renamed;
    }

    /** Writes a bare state dict, which the published scripts and {@code torch.load(weights_only=True)} open. */
    public static void write(Path file, DiTWeights weights) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            TorchFile.write(file, weights.read());
        }
    }
}
