package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.Digests.Place;
import org.dit4j.checkpoint.Manifest.StoredFile;
import org.dit4j.io.Safetensors;

/**
 * Commits checkpoints so that, whenever the machine stops, each is whole or not there: everything is written and forced under a temporary
 * name, the manifest last; one rename makes it a checkpoint; only when that is durable, older ones go.
 */
final class CheckpointWriter {
    /** In the names of what a crash may leave behind. */
    static final String TEMPORARY = ".tmp-";

    /** Room for the manifest's fixed part and the file system's own records. */
    private static final long OVERHEAD_BYTES = 1 << 16;

    private final Disk disk;
    private final Path folder;

    CheckpointWriter(Disk disk, Path folder) {
        this.disk = disk;
        this.folder = folder;
    }

    Path save(long step, Map<String, CheckpointPart> parts, byte[] state, Retention retention) throws IOException {
        long needed = bytes(parts, state);
        if (freeBytes() < needed) throw failure("No space left on device", step, needed, null);
        String name = CheckpointNames.name(step);
        Path target = folder.resolve(name), temporary = temporary(name);
        try {
            disk.createFolder(temporary);
            List<StoredFile> files = new ArrayList<>();
            for (Map.Entry<String, CheckpointPart> part : parts.entrySet())
                files.add(write(temporary.resolve(part.getKey()), part.getValue()));
            files.add(write(temporary.resolve(CheckpointNames.STATE), state));
            write(temporary.resolve(Manifest.NAME), new Manifest(step, files).toBytes());
            disk.forceFolder(temporary);
            // one of this step is there after the run went back to an older one; it is damaged, or has the same content
            if (disk.list(folder).contains(target)) disk.move(target, temporary(name));
            disk.move(temporary, target);
        } catch (IOException e) {
            discard(temporary, e);
            throw failure(reason(e), step, needed, e);
        }
        try {
            disk.forceFolder(folder);
            writeLatest(name);
            deleteOld(step, retention);
            removeTemporary();
        } catch (IOException e) {
            throw new IOException(
                    reason(e) + ": the checkpoint of step " + step
                            + " is written, but LATEST may be an older one, and older ones may be left",
                    e);
        }
        return target;
    }

    /** What failed, where the message alone may be a path. */
    static String reason(IOException e) {
        if (e instanceof AccessDeniedException denied) return denied.getFile() + ": permission denied";
        return (e.getClass() == IOException.class ? "" : e.getClass().getSimpleName() + ": ") + e.getMessage();
    }

    private long freeBytes() throws IOException {
        try {
            return disk.freeBytes(folder);
        } catch (NoSuchFileException e) {
            throw new NoSuchFileException(folder.toString(), null, "the folder of checkpoints is not there any more");
        }
    }

    private IOException failure(String reason, long step, long needed, IOException cause) {
        long free;
        try {
            free = freeBytes();
        } catch (IOException e) {
            if (cause != null) e.addSuppressed(cause);
            return e;
        }
        String message = String.format(
                Locale.ROOT,
                "%s: the checkpoint of step %d needs %,d bytes, %s has %,d free",
                reason,
                step,
                needed,
                folder,
                free);
        return new IOException(message, cause);
    }

    private Path temporary(String name) {
        return folder.resolve(name + TEMPORARY + UUID.randomUUID());
    }

    private static long bytes(Map<String, CheckpointPart> parts, byte[] state) throws IOException {
        long needed = OVERHEAD_BYTES + state.length;
        for (CheckpointPart part : parts.values()) {
            long size = Safetensors.size(part.tensors(), part.metadata());
            // the manifest has some 12 bytes for a block and 200 for a tensor
            needed += size + size / Manifest.BLOCK * 12 + 200L * part.tensors().size();
        }
        return needed;
    }

    private StoredFile write(Path file, CheckpointPart part) throws IOException {
        try (Disk.Output output = disk.create(file)) {
            Digests digests = new Digests(places(part));
            Safetensors.write(new Digesting(output, digests), part.tensors(), part.metadata());
            output.force();
            return digests.finish(file.getFileName().toString());
        }
    }

    private static List<Place> places(CheckpointPart part) throws IOException {
        long begin = Safetensors.size(part.tensors(), part.metadata());
        for (Tensor tensor : part.tensors().values()) begin -= tensor.nbytes();
        List<Place> places = new ArrayList<>();
        for (Map.Entry<String, Tensor> named : part.tensors().entrySet()) {
            long end = begin + named.getValue().nbytes();
            places.add(new Place(named.getKey(), begin, end));
            begin = end;
        }
        return places;
    }

    private StoredFile write(Path file, byte[] content) throws IOException {
        try (Disk.Output output = disk.create(file)) {
            Digests digests = new Digests(List.of());
            new Digesting(output, digests).write(ByteBuffer.wrap(content));
            output.force();
            return digests.finish(file.getFileName().toString());
        }
    }

    private void writeLatest(String name) throws IOException {
        Path temporary = temporary(CheckpointNames.LATEST);
        write(temporary, (name + "\n").getBytes(StandardCharsets.UTF_8));
        disk.move(temporary, folder.resolve(CheckpointNames.LATEST));
        disk.forceFolder(folder);
    }

    private void deleteOld(long step, Retention retention) throws IOException {
        List<Path> newestFirst = disk.list(folder).stream()
                .filter(path -> CheckpointNames.step(path) >= 0)
                .sorted(Comparator.comparingLong(CheckpointNames::step).reversed())
                .toList();
        int last = 0;
        for (Path path : newestFirst) {
            // a later one is damaged: the run went on from one before it
            boolean stays = CheckpointNames.step(path) <= step
                    && (last++ < retention.last() || retention.keeps(CheckpointNames.step(path)));
            // renamed first: half a checkpoint never stands under a checkpoint's name
            if (!stays) disk.move(path, temporary(path.getFileName().toString()));
        }
    }

    /** Removes what this or a former process left under temporary names; nobody else may be saving. */
    void removeTemporary() throws IOException {
        for (Path path : disk.list(folder)) if (path.getFileName().toString().contains(TEMPORARY)) delete(path);
    }

    /** With all that is in it, which may be more than was written; of what is a link, only the link. */
    private void delete(Path path) throws IOException {
        if (disk.isFolder(path)) for (Path inner : disk.list(path)) delete(inner);
        disk.delete(path);
    }

    /** After a failure; a second one leaves it to {@link #removeTemporary}. */
    private void discard(Path temporary, Exception failure) {
        try {
            delete(temporary);
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }

    /** Writes through to a file and takes its digests. */
    private record Digesting(Disk.Output output, Digests digests) implements WritableByteChannel {
        @Override
        public int write(ByteBuffer bytes) throws IOException {
            int count = bytes.remaining();
            while (bytes.hasRemaining()) {
                int size = digests.most(bytes.remaining());
                ByteBuffer piece = bytes.slice(bytes.position(), size);
                digests.update(piece.duplicate());
                output.write(piece);
                bytes.position(bytes.position() + size);
            }
            return count;
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {
            // the output is closed by who opened it
        }
    }
}
