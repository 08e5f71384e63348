package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;

/** The folder of one network as diffusers writes it, a part of a pipeline or alone: a configuration and weights. */
final class DiffusersPart {
    static final String CONFIG = "config.json";
    static final String WEIGHTS = "diffusion_pytorch_model.safetensors";
    private static final String BIN = "diffusion_pytorch_model.bin", OLD_BIN = "pytorch_model.bin";
    /** The whole, then its shards; at full precision, then as the fp16 variant, whose index had two names over time. */
    private static final List<String> KNOWN_WEIGHTS = List.of(
            WEIGHTS,
            WEIGHTS + ".index.json",
            BIN,
            BIN + ".index.json",
            OLD_BIN,
            OLD_BIN + ".index.json",
            "diffusion_pytorch_model.fp16.safetensors",
            WEIGHTS + ".fp16.index.json",
            WEIGHTS + ".index.fp16.json",
            "diffusion_pytorch_model.fp16.bin",
            BIN + ".fp16.index.json",
            BIN + ".index.fp16.json");

    private DiffusersPart() {}

    /**
     * The file of weights beside a configuration, under any of the names that diffusers gives it, or the index of the shards.
     *
     * @throws NoSuchFileException if there is none
     */
    static Path weightsIn(Path folder) throws IOException {
        for (String name : KNOWN_WEIGHTS) if (Files.exists(folder.resolve(name))) return folder.resolve(name);
        throw new NoSuchFileException(
                folder.resolve(WEIGHTS).toString(),
                null,
                "the folder has a " + CONFIG + ", but no weights; known names are " + KNOWN_WEIGHTS);
    }
}
