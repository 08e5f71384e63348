package org.dit4j.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.function.Predicate;

/**
 * Files that are whole or not there: written to a temporary name beside the final one, forced to the disk, and renamed. What a process
 * left that was killed meanwhile is removed by the next that writes in the folder.
 */
public final class AtomicFile {
    private AtomicFile() {}

    /** What writes the content. */
    @FunctionalInterface
    public interface Body {
        /** Writes the content; {@code channel} is empty, readable and seekable. */
        void writeTo(FileChannel channel) throws IOException;
    }

    /**
     * Writes {@code path}, replacing what was there; if {@code body} fails, what was there stays and nothing is left behind. Folders above
     * it must exist.
     */
    public static void write(Path path, Body body) throws IOException {
        Path target = path.toAbsolutePath();
        try (Claim claim = Claim.of(target)) {
            body.writeTo(claim.channel());
            Durable.force(target, claim.channel());
            // open still: the lock on it says that it is not left over
            Files.move(claim.path(), target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }
        forceFolder(target.getParent());
    }

    /** As {@link #write(Path, Body)}, of content that is all there. */
    public static void write(Path path, byte[] content) throws IOException {
        write(path, channel -> {
            try {
                TensorBytes.writeFully(channel, ByteBuffer.wrap(content));
            } catch (IOException e) { // says of no file that the disk is full
                throw new IOException(path + ": " + e.getMessage(), e);
            }
        });
    }

    /** Removes what processes left in a folder that ended while they wrote. Only for who alone writes there; there may be no such folder. */
    public static void removeOrphans(Path folder) throws IOException {
        removeOrphans(folder, name -> true);
    }

    /** As {@link #removeOrphans(Path)}, of the files of some names only: for who alone writes these. */
    public static void removeOrphans(Path folder, Predicate<String> names) throws IOException {
        Claim.removeAll(folder, names);
    }

    /**
     * Whether a process was killed while it wrote {@code path}: what it had written so far is there under another name, until {@link
     * #removeUnfinished}.
     */
    public static boolean isUnfinished(Path path) throws IOException {
        return Files.isDirectory(path.toAbsolutePath().getParent())
                && !Claim.dead(path).isEmpty();
    }

    /** Removes what a process left that was killed while it wrote {@code path}. */
    public static void removeUnfinished(Path path) throws IOException {
        Claim.removeDeadOf(path);
    }

    /** As {@link Durable#forceFolder}. */
    public static void forceFolder(Path folder) throws IOException {
        Durable.forceFolder(folder);
    }
}
