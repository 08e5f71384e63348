package org.dit4j.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.dit4j.checkpoint.Digests.Place;
import org.dit4j.checkpoint.Manifest.StoredFile;
import org.dit4j.checkpoint.Manifest.StoredTensor;
import org.dit4j.io.FormatException;
import org.dit4j.torch.Backend;

/**
 * The state of a run as a folder of checkpoints, {@code step-0001000} and so on. Whatever happens while one is written, those before it
 * stay; whatever happens to its bytes later is noticed. {@code docs/checkpoints.md} has the protocol.
 */
public final class CheckpointFolder {
    /** The network in training. */
    public static final String MODEL = CheckpointNames.MODEL;
    /** The averaged weights, from which to sample. */
    public static final String EMA = CheckpointNames.EMA;
    /** The optimiser's moments. */
    public static final String OPTIMIZER = CheckpointNames.OPTIMIZER;

    private static final ObjectMapper JSON = new ObjectMapper();
    /** What counts something in a checkpoint's state; numbers near 2^63 would overflow in whoever goes on counting. */
    private static final List<String> COUNTS =
            List.of("step", "trainedImages", "lossSteps", "skippedSteps", "skippedInARow", "metricsBytes", "rollbacks");

    private static final long MAX_COUNT = 1L << 53, MAX_BATCH = 1 << 24;

    static {
        Backend.configure();
    }

    private CheckpointFolder() {}

    /**
     * Writes the checkpoint of a step. When this returns, it is on the disk, and so it stays if the machine stops.
     *
     * @param folder of the run's checkpoints; nobody else is saving to it
     * @param step after those of all checkpoints that are whole; what else is there of later steps goes
     * @param parts file name → what the file holds: {@link #MODEL}, {@link #EMA}, {@link #OPTIMIZER}, and any others
     * @param state plain values, written as JSON
     * @return the checkpoint's folder
     * @throws IOException if there is no room, with the bytes needed and free, or a write fails; the checkpoints before it stay
     */
    public static Path save(
            Path folder, long step, Map<String, CheckpointPart> parts, Map<String, ?> state, Retention retention)
            throws IOException {
        return new CheckpointWriter(Disk.REAL, folder).save(step, parts, json(state), retention);
    }

    static byte[] json(Map<String, ?> state) throws IOException {
        return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(state);
    }

    /** Removes what a crash left of checkpoints that were being written or deleted. Only for who alone saves to {@code folder}. */
    public static void removeOrphans(Path folder) throws IOException {
        new CheckpointWriter(Disk.REAL, folder).removeTemporary();
    }

    /** Whether a folder is a checkpoint, whole or not, by its name. */
    public static boolean isCheckpoint(Path path) {
        return CheckpointNames.step(path.toAbsolutePath().normalize()) >= 0;
    }

    /** The checkpoints of a folder, newest first, whole or not; none if there is no such folder. */
    public static List<Path> checkpoints(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) return List.of();
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(path -> CheckpointNames.step(path) >= 0)
                    .sorted(Comparator.comparingLong(CheckpointNames::step).reversed())
                    .toList();
        }
    }

    /**
     * The newest checkpoint of a folder of checkpoints, if it has one, by its manifest and the sizes of its files; their content is not
     * read.
     */
    public static Optional<Path> latest(Path folder) throws IOException {
        for (Path checkpoint : checkpoints(folder)) if (isComplete(checkpoint)) return Optional.of(checkpoint);
        return Optional.empty();
    }

    private static boolean isComplete(Path checkpoint) throws IOException {
        try {
            for (StoredFile file : Manifest.read(checkpoint).files())
                requireSize(checkpoint.resolve(file.name()), file);
            return true;
        } catch (IOException e) { // damaged, or on a damaged disk
            return false;
        }
    }

    /**
     * The newest checkpoint whose every bit is as it was written, if there is one.
     *
     * @param skipped is told what is wrong with each newer one, in one line
     */
    public static Optional<Path> newestWhole(Path folder, Consumer<String> skipped) throws IOException {
        for (Path checkpoint : checkpoints(folder)) {
            List<String> damage = verify(checkpoint);
            if (damage.isEmpty()) return Optional.of(checkpoint);
            String more = damage.size() == 1 ? "" : ", and " + (damage.size() - 1) + " more; dit verify names them";
            skipped.accept(damage.get(0) + more);
        }
        return Optional.empty();
    }

    /** Reads every byte of a checkpoint; what is not as it was written, by file, block and tensor, one line each; empty if it is whole. */
    public static List<String> verify(Path checkpoint) {
        List<String> damage = new ArrayList<>();
        try {
            Manifest manifest = Manifest.read(checkpoint);
            if (!CheckpointNames.name(manifest.step())
                    .equals(checkpoint
                            .toAbsolutePath()
                            .normalize()
                            .getFileName()
                            .toString()))
                damage.add(checkpoint + " is the checkpoint of step " + manifest.step() + " under another name");
            for (StoredFile file : manifest.files()) verify(checkpoint.resolve(file.name()), file, damage);
            if (damage.isEmpty()) verifyState(checkpoint, damage);
        } catch (IOException e) {
            damage.add(damage(checkpoint.resolve(Manifest.NAME), e));
        }
        return damage;
    }

    /**
     * Reads a file of weights, if it is one of a checkpoint's, by its blocks' checksums.
     *
     * @throws FormatException if a bit of it is not as it was written
     */
    static void requireWhole(Path weights) throws IOException {
        Path file = weights.toAbsolutePath().normalize();
        Path checkpoint = file.getParent();
        if (CheckpointNames.step(checkpoint) < 0 || !Files.exists(checkpoint.resolve(Manifest.NAME))) return;
        List<String> damage = new ArrayList<>();
        for (StoredFile stored : Manifest.read(checkpoint).files())
            if (stored.name().equals(file.getFileName().toString()))
                verify(file, new StoredFile(stored.name(), stored.bytes(), stored.blocks(), Map.of()), damage);
        if (!damage.isEmpty())
            throw new FormatException(
                    weights,
                    damage.get(0).replace(file + ": ", "")
                            + "; dit verify says which checkpoints of the run are whole, take one of them");
    }

    /** A disk that cannot read a file any more has damaged it, too. */
    private static String damage(Path file, IOException e) {
        return e instanceof FormatException ? e.getMessage() : file + ": cannot be read: " + CheckpointWriter.reason(e);
    }

    private static void requireSize(Path path, StoredFile file) throws IOException {
        if (!Files.isRegularFile(path)) throw new FormatException(path, "is not there");
        if (Files.size(path) != file.bytes())
            throw new FormatException(path, "has " + Files.size(path) + " bytes; " + file.bytes() + " were written");
    }

    private static void verify(Path path, StoredFile expected, List<String> damage) {
        StoredFile actual;
        try {
            requireSize(path, expected);
            actual = digests(path, expected);
        } catch (IOException e) {
            damage.add(damage(path, e));
            return;
        }
        for (int block = 0; block < expected.blocks().size(); block++)
            if (!expected.blocks().get(block).equals(actual.blocks().get(block)))
                damage.add(
                        path + ": block " + block + " (from byte " + (long) block * Manifest.BLOCK + " on) is damaged");
        expected.tensors().forEach((name, tensor) -> {
            if (!tensor.equals(actual.tensors().get(name))) damage.add(path + ": tensor " + name + " is damaged");
        });
    }

    private static StoredFile digests(Path path, StoredFile expected) throws IOException {
        List<Place> places = new ArrayList<>();
        for (Map.Entry<String, StoredTensor> named : expected.tensors().entrySet())
            places.add(new Place(
                    named.getKey(), named.getValue().begin(), named.getValue().end()));
        Digests digests = new Digests(places);
        ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(Manifest.BLOCK, Math.max(1, expected.bytes())));
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            for (long left = expected.bytes(); left > 0; left -= buffer.limit()) {
                buffer.clear().limit(digests.most((int) Math.min(left, buffer.capacity())));
                while (buffer.hasRemaining())
                    if (channel.read(buffer) < 0) throw new FormatException(path, "was cut short while it was read");
                digests.update(buffer.flip());
            }
        }
        return digests.finish(expected.name());
    }

    private static void verifyState(Path checkpoint, List<String> damage) {
        try {
            state(checkpoint);
        } catch (IOException e) {
            damage.add(damage(checkpoint.resolve(CheckpointNames.STATE), e));
        }
    }

    /**
     * The plain values of a checkpoint.
     *
     * @throws FormatException if they are no JSON object, or one of the counts in it cannot be one: then it is not what was written
     */
    public static JsonNode state(Path checkpoint) throws IOException {
        Path file = checkpoint.resolve(CheckpointNames.STATE);
        JsonNode state = JsonFile.read(file);
        for (String key : COUNTS) {
            JsonNode count = state.path(key);
            if (count.isMissingNode()) continue;
            // some are kept as sums on a device, and written as 3.0
            if (!count.isNumber() || !(count.asDouble() >= 0 && count.asDouble() <= MAX_COUNT))
                throw new FormatException(file, key + " is " + count + "; a number from 0 to " + MAX_COUNT);
        }
        long step = state.path("step").asLong(),
                named = CheckpointNames.step(checkpoint.toAbsolutePath().normalize());
        if (state.has("step") && named >= 0 && step != named)
            throw new FormatException(file, "step is " + step + " in the checkpoint of step " + named);
        if (state.path("trainedImages").asDouble() > (double) MAX_BATCH * Math.max(1, step))
            throw new FormatException(
                    file,
                    "trainedImages is " + state.get("trainedImages") + " after " + step + " steps; at most " + MAX_BATCH
                            + " for each");
        return state;
    }
}
