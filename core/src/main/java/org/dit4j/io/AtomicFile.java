package org.dit4j.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Files that are whole or not there: written to a temporary name beside the final one, forced to the disk, and renamed. */
public final class AtomicFile {
    /** For names that no other writer takes: containers that share a folder have processes of the same number. */
    private static final SecureRandom RANDOM = new SecureRandom();

    private static final Pattern TEMPORARY = Pattern.compile("(.+)\\.tmp-\\d+-\\d+");

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
        Path temporary = target.resolveSibling(
                target.getFileName() + ".tmp-" + ProcessHandle.current().pid() + "-" + (RANDOM.nextLong() >>> 1));
        try {
            try (FileChannel channel = FileChannel.open(
                    temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                body.writeTo(channel);
                channel.force(true);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
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
        if (!Files.isDirectory(folder)) return;
        try (Stream<Path> entries = Files.list(folder)) {
            for (Path entry : entries.toList()) {
                Matcher temporary = TEMPORARY.matcher(entry.getFileName().toString());
                if (temporary.matches() && names.test(temporary.group(1))) Files.deleteIfExists(entry);
            }
        }
    }

    /** Makes the names in a folder durable: without this a power failure may forget a rename. */
    public static void forceFolder(Path folder) throws IOException {
        // only POSIX systems open a folder as a file
        if (!folder.getFileSystem().supportedFileAttributeViews().contains("posix")) return;
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
