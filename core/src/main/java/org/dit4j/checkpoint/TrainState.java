package org.dit4j.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.Backend;

/**
 * The state of a run as a folder of checkpoints. A checkpoint is written under a temporary name and renamed when it is whole, then
 * {@code LATEST} names it.
 */
public final class TrainState {
    /** The network in training. */
    public static final String MODEL = "model.safetensors";
    /** The averaged weights, from which to sample. */
    public static final String EMA = "ema.safetensors";
    /** The optimiser's moments. */
    public static final String OPTIMIZER = "optimizer.safetensors";

    private static final String STATE = "state.json", LATEST = "LATEST";
    private static final ObjectMapper JSON = new ObjectMapper();

    static {
        Backend.configure();
    }

    private TrainState() {}

    /** The tensors of one file of a checkpoint, and its metadata. */
    public record Part(Map<String, Tensor> tensors, Map<String, String> metadata) {}

    /**
     * Writes the checkpoint of a step.
     *
     * @param folder of the run's checkpoints; made if need be
     * @param parts file name → what it holds
     * @param state plain values, written as JSON
     * @return the checkpoint's folder, {@code step-0001000}
     */
    public static Path save(Path folder, long step, Map<String, Part> parts, Map<String, ?> state) throws IOException {
        Files.createDirectories(folder);
        String name = String.format("step-%07d", step);
        Path temporary = folder.resolve(name + ".tmp-" + ProcessHandle.current().pid());
        delete(temporary);
        Files.createDirectory(temporary);
        try {
            for (Map.Entry<String, Part> part : parts.entrySet())
                Safetensors.write(
                        temporary.resolve(part.getKey()),
                        part.getValue().tensors(),
                        part.getValue().metadata());
            writeDurably(
                    temporary.resolve(STATE),
                    JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(state));
            Path target = folder.resolve(name);
            delete(target);
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
            Path latest = folder.resolve(LATEST + ".tmp");
            writeDurably(latest, (name + "\n").getBytes(java.nio.charset.StandardCharsets.UTF_8));
            Files.move(
                    latest,
                    folder.resolve(LATEST),
                    StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
            return target;
        } finally {
            delete(temporary);
        }
    }

    /** The newest checkpoint of a folder of checkpoints, if it has one. */
    public static Optional<Path> latest(Path folder) throws IOException {
        try {
            String name = Files.readString(folder.resolve(LATEST)).trim();
            if (!name.matches("step-\\d{7,18}"))
                throw new FormatException(folder.resolve(LATEST), "names \"" + name + "\", which is not a checkpoint");
            return Optional.of(folder.resolve(name));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        }
    }

    /** The plain values of a checkpoint. */
    public static JsonNode state(Path checkpoint) throws IOException {
        return JSON.readTree(checkpoint.resolve(STATE).toFile());
    }

    private static void writeDurably(Path file, byte[] bytes) throws IOException {
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            var buffer = java.nio.ByteBuffer.wrap(bytes);
            while (buffer.hasRemaining()) channel.write(buffer);
            channel.force(true);
        }
    }

    private static void delete(Path folder) throws IOException {
        if (!Files.exists(folder)) return;
        Files.walkFileTree(folder, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.delete(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, IOException e) throws IOException {
                if (e != null) throw e;
                Files.delete(visited);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
