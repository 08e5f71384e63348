package org.dit4j.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
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

    /** How often is looked again where what was found is replaced, and how long is waited before. */
    private static final int LOOKS = 20, LOOK_MILLIS = 10;

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
        return entries(folder).stream()
                .filter(path -> CheckpointNames.step(path) >= 0)
                .sorted(Comparator.comparingLong(CheckpointNames::step).reversed())
                .toList();
    }

    private static List<Path> entries(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) return List.of();
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.toList();
        } catch (NoSuchFileException e) { // taken away meanwhile
            return List.of();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /**
     * The newest checkpoint of a folder of checkpoints, if it has one, by its manifest and the sizes of its files; their content is not
     * read. It may be replaced at any moment by who trains there: {@link #withNewest}.
     */
    public static Optional<Path> latest(Path folder) throws IOException {
        for (int look = 0; ; look++) {
            List<Path> all = checkpoints(folder);
            for (Path checkpoint : all) if (isComplete(checkpoint)) return Optional.of(checkpoint);
            // between two looks at a folder that changes, a checkpoint may go from where one looks to where one has
            // looked
            if (look == LOOKS || all.stream().allMatch(Files::exists) && !isWritten(folder)) return Optional.empty();
            pause();
        }
    }

    private static boolean isWritten(Path folder) throws IOException {
        return entries(folder).stream()
                .map(path -> path.getFileName().toString())
                .anyMatch(name -> name.equals(CheckpointNames.LATEST) || name.contains(CheckpointWriter.TEMPORARY));
    }

    private static void pause() throws InterruptedIOException {
        try {
            TimeUnit.MILLISECONDS.sleep(LOOK_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while a checkpoint was looked for");
        }
    }

    /** What is made of a checkpoint's folder. */
    @FunctionalInterface
    public interface Reading<T> {
        T of(Path checkpoint) throws IOException;
    }

    /**
     * Reads the newest checkpoint of a folder, as {@link #latest} finds it, beside a process that may train there: what fails because that
     * one has replaced the checkpoint meanwhile is done again with the newer one, a bounded number of times.
     *
     * @return empty if there is no checkpoint
     */
    public static <T> Optional<T> withNewest(Path folder, Reading<T> reading) throws IOException {
        for (int look = 0; ; look++) {
            Optional<Path> newest = latest(folder);
            if (newest.isEmpty()) return Optional.empty();
            Optional<Object> before = identity(newest.get());
            try {
                return Optional.of(reading.of(newest.get()));
            } catch (IOException e) {
                if (look == LOOKS || before.isPresent() && before.equals(identity(newest.get()))) throw e;
            }
        }
    }

    /** What tells a folder from one that has its name later; empty if it is not there. */
    private static Optional<Object> identity(Path folder) {
        try {
            BasicFileAttributes attributes = Files.readAttributes(folder, BasicFileAttributes.class);
            return Optional.of(attributes.fileKey() == null ? attributes.creationTime() : attributes.fileKey());
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    /** The checkpoints that are newer than {@link #latest} because they are not complete, newest first. */
    public static List<Path> incomplete(Path folder) throws IOException {
        List<Path> incomplete = new ArrayList<>();
        for (Path checkpoint : checkpoints(folder)) {
            Optional<Object> before = identity(checkpoint);
            if (isComplete(checkpoint)) break;
            if (before.isPresent() && before.equals(identity(checkpoint))) incomplete.add(checkpoint);
        }
        return incomplete;
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
            Optional<String> damage = damage(checkpoint);
            if (damage.isEmpty()) return Optional.of(checkpoint);
            skipped.accept(damage.get());
        }
        return Optional.empty();
    }

    /** As {@link #verify}, in one line; empty if it is whole. */
    public static Optional<String> damage(Path checkpoint) {
        List<String> damage = verify(checkpoint);
        if (damage.isEmpty()) return Optional.empty();
        String more = damage.size() == 1 ? "" : ", and " + (damage.size() - 1) + " more; dit verify names them";
        return Optional.of(damage.get(0) + more);
    }

    /** As {@link #verify}, beside a process that may train there; empty if that one has replaced the checkpoint meanwhile. */
    public static Optional<List<String>> verifyUnlessReplaced(Path checkpoint) {
        Optional<Object> before = identity(checkpoint);
        List<String> damage = verify(checkpoint);
        boolean replaced = before.isEmpty() || !before.equals(identity(checkpoint));
        return replaced && !damage.isEmpty() ? Optional.empty() : Optional.of(damage);
    }

    /** Reads every byte of a checkpoint; what is not as it was written, by file, block and tensor, one line each; empty if it is whole. */
    public static List<String> verify(Path checkpoint) {
        List<String> damage = new ArrayList<>(), ofState = new ArrayList<>();
        try {
            Manifest manifest = Manifest.read(checkpoint);
            verifyState(checkpoint, ofState);
            if (!CheckpointNames.name(manifest.step())
                    .equals(checkpoint
                            .toAbsolutePath()
                            .normalize()
                            .getFileName()
                            .toString()))
                damage.add(checkpoint + " is the checkpoint of step " + manifest.step() + " under another name");
            verify(checkpoint, manifest.files(), damage);
            if (damage.isEmpty()) damage.addAll(ofState);
        } catch (IOException e) {
            damage.add(damage(checkpoint.resolve(Manifest.NAME), e));
        }
        return damage;
    }

    /** Opened together first: what is open stays readable when a run deletes it. */
    private static void verify(Path checkpoint, List<StoredFile> files, List<String> damage) throws IOException {
        List<FileChannel> opened = new ArrayList<>();
        try {
            for (StoredFile file : files) opened.add(opened(checkpoint.resolve(file.name()), damage));
            for (int i = 0; i < files.size(); i++)
                if (opened.get(i) != null)
                    verify(checkpoint.resolve(files.get(i).name()), opened.get(i), files.get(i), damage);
        } finally {
            for (FileChannel channel : opened) if (channel != null) channel.close();
        }
    }

    /** Null if it cannot be. */
    private static FileChannel opened(Path path, List<String> damage) {
        try {
            if (!Files.isRegularFile(path)) throw new FormatException(path, "is not there");
            return FileChannel.open(path, StandardOpenOption.READ);
        } catch (IOException e) {
            damage.add(damage(path, e));
            return null;
        }
    }

    /**
     * Reads a file of weights, if it is one of a checkpoint's, by its blocks' checksums.
     *
     * @return the file, which stays readable when a run deletes it; the caller closes it. Empty if it is no checkpoint's
     * @throws FormatException if a bit of it is not as it was written
     */
    static Optional<FileChannel> openWhole(Path weights) throws IOException {
        Path file = weights.toAbsolutePath().normalize();
        Path checkpoint = file.getParent();
        if (CheckpointNames.step(checkpoint) < 0 || !Files.exists(checkpoint.resolve(Manifest.NAME)))
            return Optional.empty();
        Optional<StoredFile> stored = Manifest.read(checkpoint).files().stream()
                .filter(named -> named.name().equals(file.getFileName().toString()))
                .findFirst();
        if (stored.isEmpty()) return Optional.empty();
        List<String> damage = new ArrayList<>();
        FileChannel channel = opened(file, damage);
        if (channel != null) {
            StoredFile blocks = new StoredFile(
                    stored.get().name(), stored.get().bytes(), stored.get().blocks(), Map.of());
            verify(file, channel, blocks, damage);
        }
        if (damage.isEmpty()) return Optional.of(channel);
        if (channel != null) channel.close();
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
        requireSize(path, Files.size(path), file);
    }

    private static void requireSize(Path path, long bytes, StoredFile file) throws FormatException {
        if (bytes != file.bytes())
            throw new FormatException(path, "has " + bytes + " bytes; " + file.bytes() + " were written");
    }

    private static void verify(Path path, FileChannel channel, StoredFile expected, List<String> damage) {
        StoredFile actual;
        try {
            requireSize(path, channel.size(), expected);
            actual = digests(path, channel, expected);
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

    private static StoredFile digests(Path path, FileChannel channel, StoredFile expected) throws IOException {
        List<Place> places = new ArrayList<>();
        for (Map.Entry<String, StoredTensor> named : expected.tensors().entrySet())
            places.add(new Place(
                    named.getKey(), named.getValue().begin(), named.getValue().end()));
        Digests digests = new Digests(places);
        ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(Manifest.BLOCK, Math.max(1, expected.bytes())));
        for (long left = expected.bytes(); left > 0; left -= buffer.limit()) {
            buffer.clear().limit(digests.most((int) Math.min(left, buffer.capacity())));
            while (buffer.hasRemaining())
                if (channel.read(buffer) < 0) throw new FormatException(path, "was cut short while it was read");
            digests.update(buffer.flip());
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
