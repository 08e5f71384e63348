package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.Backend;

/** From any format to any other. */
public final class Conversion {
    static {
        Backend.configure();
    }

    /** What can be written. */
    public enum Format {
        /** A file that says which model it holds. */
        SAFETENSORS,
        /** A state dict as the published scripts open it. */
        PT,
        /** A pipeline's folder as diffusers opens it. */
        DIFFUSERS;

        /** The format that a path's ending asks for: {@code .safetensors}, {@code .pt}, {@code .pth} or {@code .bin}, else a folder. */
        public static Format of(Path path) {
            String name = path.getFileName().toString().toLowerCase(Locale.ROOT);
            if (name.endsWith(".safetensors")) return SAFETENSORS;
            if (name.matches(".*\\.(pt|pth|bin)")) return PT;
            if (name.matches(".*\\.(ckpt|safetensor|npz|npy|onnx|gguf|pkl|th)"))
                throw new IllegalArgumentException(path + ": no format to write; .safetensors, .pt, or a folder");
            return DIFFUSERS;
        }
    }

    private Conversion() {}

    /**
     * Writes what {@link Checkpoints#open} finds at {@code from} to {@code to}, in the format of its ending. Dtypes stay as they are unless
     * another is asked for. A diffusers folder gets the autoencoder of the options, or the one that came along. A {@code .pt} has no place
     * for the names of classes, nor for a profile.
     *
     * @return what was written
     * @throws IllegalArgumentException if there is something at {@code to}, or a {@code .pt} is to be in shards
     */
    public static DiTWeights convert(Path from, Path to, OpenOptions options, WriteOptions written) throws IOException {
        if (Format.of(to) == Format.SAFETENSORS) Safetensors.removeUnfinished(to);
        if (Format.of(to) == Format.DIFFUSERS) DiffusersFolder.removeUnfinished(to);
        requireFree(to);
        requireFree(Safetensors.index(to));
        if (Format.of(to) == Format.SAFETENSORS && written.maxShardBytes() != WriteOptions.ONE_FILE)
            requireNoShards(to);
        if (Format.of(to) == Format.PT && written.maxShardBytes() != WriteOptions.ONE_FILE)
            throw new IllegalArgumentException(
                    to + ": a .pt file is written whole; shards are for .safetensors and diffusers");
        DiTWeights opened = Checkpoints.open(from, options);
        DiTWeights weights =
                written.dtype().isPresent() ? opened.to(written.dtype().get()) : opened;
        if (to.toAbsolutePath().getParent() != null)
            Files.createDirectories(to.toAbsolutePath().getParent());
        switch (Format.of(to)) {
            case SAFETENSORS -> DiTCheckpoint.writeShards(to, weights, written.maxShardBytes());
            case PT -> OfficialCheckpoint.write(to, weights);
            case DIFFUSERS ->
                DiffusersFolder.write(
                        to,
                        weights,
                        options.vae().isPresent() ? options.vae() : weights.vae(),
                        options.vaeScaling(),
                        written.maxShardBytes());
        }
        return weights;
    }

    /** What another program left there without an index, or is somebody else's. */
    private static void requireNoShards(Path to) throws IOException {
        List<Path> shards = Safetensors.shards(to);
        if (!shards.isEmpty()) throw isThere(shards.get(0));
    }

    private static void requireFree(Path to) throws IOException {
        if (!Files.exists(to)) return;
        if (Files.isDirectory(to))
            try (Stream<Path> inside = Files.list(to)) {
                if (inside.findAny().isEmpty()) return;
            }
        throw isThere(to);
    }

    private static IllegalArgumentException isThere(Path file) {
        return new IllegalArgumentException(file + " is there already, and nothing is overwritten; name another");
    }
}
