package org.dit4j.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.annotation.JsonSerialize;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.model.DiTConfig;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunLock;

/**
 * What there is to say of a run folder, found without reading its checkpoints' content.
 *
 * @param process that trains it now; null if none does
 * @param step the last that was logged, or of the newest checkpoint
 * @param skippedSteps of {@code step}, those whose loss or gradients were not finite, as of the last log
 * @param loss of the last log; null if it has none
 * @param checkpoint the newest one that has all its files
 * @param updated when it last logged
 * @param bytes on the disk
 * @param problems what is damaged
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record RunSummary(
        String name,
        String path,
        String model,
        State state,
        Long process,
        long step,
        @JsonProperty("max_steps") Long maxSteps,
        @JsonProperty("skipped_steps") long skippedSteps,
        Double loss,
        long images,
        String checkpoint,
        @JsonSerialize(using = ToStringSerializer.class) Instant updated,
        long bytes,
        List<String> problems) {
    /** How a run stands. */
    public enum State {
        /** A process has its lock. */
        @JsonProperty("training")
        TRAINING,
        /** Its newest checkpoint is that of the last step. */
        @JsonProperty("finished")
        FINISHED,
        /** Neither: it was stopped, or its trainer died. */
        @JsonProperty("stopped")
        STOPPED,
        /** What describes it cannot be read. */
        @JsonProperty("damaged")
        DAMAGED
    }

    /** What is damaged in it does not fail, but is said. */
    public static RunSummary of(RunFolder folder) throws IOException {
        String name = folder.path().getFileName().toString();
        long bytes = bytes(folder.path());
        Instant touched = Files.getLastModifiedTime(folder.path()).toInstant();
        try {
            folder.identity();
            OptionalLong process = RunLock.holder(folder); // first: a run that ends meanwhile is not taken for stopped
            Recipe config = config(folder);
            Optional<Path> checkpoint = CheckpointFolder.latest(folder.checkpoints());
            JsonNode last = FollowedFile.lastJson(folder.metrics());
            Long maxSteps = maxSteps(config);
            long saved = checkpoint.map(RunSummary::step).orElse(0L);
            return new RunSummary(
                    name,
                    folder.path().toString(),
                    model(config),
                    process.isPresent()
                            ? State.TRAINING
                            : maxSteps != null && saved >= maxSteps ? State.FINISHED : State.STOPPED,
                    process.isPresent() ? process.getAsLong() : null,
                    Math.max(saved, last.path("step").asLong()),
                    maxSteps,
                    last.path("skipped_steps").asLong(),
                    last.path("loss").isNumber() ? last.path("loss").asDouble() : null,
                    images(config, last, saved),
                    checkpoint.map(path -> path.getFileName().toString()).orElse(null),
                    Files.exists(folder.metrics())
                            ? Files.getLastModifiedTime(folder.metrics()).toInstant()
                            : touched,
                    bytes,
                    incomplete(folder));
        } catch (IOException | IllegalArgumentException e) {
            return new RunSummary(
                    name,
                    folder.path().toString(),
                    null,
                    State.DAMAGED,
                    null,
                    0,
                    null,
                    0,
                    null,
                    0,
                    null,
                    touched,
                    bytes,
                    List.of(ErrorText.of(e)));
        }
    }

    /** As {@link #of}; empty if somebody took the folder away meanwhile. */
    public static Optional<RunSummary> ofExisting(RunFolder folder) throws IOException {
        try {
            RunSummary summary = of(folder);
            if (summary.state() != State.DAMAGED || Files.isDirectory(folder.path())) return Optional.of(summary);
        } catch (NoSuchFileException e) {
            if (!e.getFile().equals(folder.path().toString())) throw e;
        }
        return Optional.empty();
    }

    private static Recipe config(RunFolder folder) throws IOException {
        return Files.exists(folder.config())
                ? Recipe.read(folder.config())
                : Recipe.NONE; // a run that ended while it began
    }

    /** With how many steps a run ends; null if it was never begun. */
    public static Long maxSteps(RunFolder folder) throws IOException {
        return maxSteps(config(folder));
    }

    private static Long maxSteps(Recipe config) throws IOException {
        return number(config, "max-steps");
    }

    private static Long number(Recipe config, String key) throws IOException {
        Recipe.Entry entry = config.entries().get(key);
        if (entry == null) return null;
        try {
            return Long.valueOf(entry.values().get(0));
        } catch (NumberFormatException e) {
            throw entry.value().problem(key + " is no number");
        }
    }

    /** The published name of a size, or width × depth / patch. */
    private static String model(Recipe config) throws IOException {
        Recipe.Entry name = config.entries().get("model");
        Long width = number(config, "hidden-size"),
                depth = number(config, "depth"),
                patch = number(config, "patch-size");
        if (name == null || width == null || depth == null || patch == null) return null;
        String model = name.values().get(0);
        DiTConfig published = DiTConfig.of(model);
        boolean same = published.hiddenSize() == width && published.depth() == depth && published.patchSize() == patch;
        return same ? model : "DiT-" + width + "x" + depth + "/" + patch;
    }

    /** Of the last log, and of the steps from there to a checkpoint. */
    private static long images(Recipe config, JsonNode last, long saved) throws IOException {
        Long batch = number(config, "global-batch-size");
        long since = Math.max(0, saved - last.path("step").asLong());
        return last.path("images").asLong() + (batch == null ? 0 : since * batch);
    }

    private static List<String> incomplete(RunFolder folder) throws IOException {
        return CheckpointFolder.incomplete(folder.checkpoints()).stream()
                .map(path -> path + " is not whole; dit verify " + folder.path() + " says in what")
                .toList();
    }

    /** The step of a checkpoint's folder. */
    public static long step(Path checkpoint) {
        return Long.parseLong(checkpoint.getFileName().toString().substring("step-".length()));
    }

    /** Of all files; those that are deleted meanwhile count as nothing. */
    private static long bytes(Path folder) throws IOException {
        long[] bytes = {0};
        Files.walkFileTree(folder, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                bytes[0] += attributes.size();
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) {
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, IOException e) {
                return FileVisitResult.CONTINUE;
            }
        });
        return bytes[0];
    }
}
