package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.dit4j.io.Durable;

/** Every call by which a checkpoint reaches the disk, so that each of them can be made to fail. Nothing is durable before it is forced. */
interface Disk {
    /** The file system. */
    Disk REAL = new FileSystem();

    /** A file that is being written. */
    interface Output extends AutoCloseable {
        /** Appends all that remains in {@code bytes}. */
        void write(ByteBuffer bytes) throws IOException;

        /** Makes the content durable; the file's name is, once its folder is forced. */
        void force() throws IOException;

        @Override
        void close() throws IOException;
    }

    void createFolder(Path folder) throws IOException;

    /** Makes a new file. */
    Output create(Path file) throws IOException;

    /** Makes what was created, moved and deleted in a folder durable. */
    void forceFolder(Path folder) throws IOException;

    /** Renames within a folder, in one instant; replaces a file, never a folder. */
    void move(Path from, Path to) throws IOException;

    /** Whether it is a folder, and no link to one. */
    boolean isFolder(Path path);

    /** Deletes a file, a link or an empty folder. */
    void delete(Path path) throws IOException;

    /** What is in a folder. */
    List<Path> list(Path folder) throws IOException;

    /** What a file may take up there. */
    long freeBytes(Path folder) throws IOException;

    /** The real one. */
    final class FileSystem implements Disk {
        private FileSystem() {}

        @Override
        public void createFolder(Path folder) throws IOException {
            Files.createDirectory(folder);
        }

        @Override
        public Output create(Path file) throws IOException {
            FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            return new Output() {
                @Override
                public void write(ByteBuffer bytes) throws IOException {
                    while (bytes.hasRemaining()) channel.write(bytes);
                }

                @Override
                public void force() throws IOException {
                    Durable.force(file, channel);
                }

                @Override
                public void close() throws IOException {
                    channel.close();
                }
            };
        }

        @Override
        public void forceFolder(Path folder) throws IOException {
            Durable.forceFolder(folder);
        }

        @Override
        public void move(Path from, Path to) throws IOException {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        }

        @Override
        public boolean isFolder(Path path) {
            return Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
        }

        @Override
        public void delete(Path path) throws IOException {
            Files.delete(path);
        }

        @Override
        public List<Path> list(Path folder) throws IOException {
            try (Stream<Path> entries = Files.list(folder)) {
                return entries.sorted().toList();
            }
        }

        @Override
        public long freeBytes(Path folder) throws IOException {
            return Files.getFileStore(folder).getUsableSpace();
        }
    }
}
