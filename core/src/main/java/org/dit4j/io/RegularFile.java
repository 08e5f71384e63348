package org.dit4j.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Opens files from outside: a pipe or a device has no end, or none that comes, and is refused unopened. */
public final class RegularFile {
    private RegularFile() {}

    /**
     * Checks that a path, if it exists, is a regular file, or a link to one.
     *
     * @throws FormatException if it is a folder, a pipe, a device or a socket
     */
    public static void require(Path path) throws FormatException {
        if (!Files.exists(path) || Files.isRegularFile(path)) return;
        throw new FormatException(
                path,
                Files.isDirectory(path)
                        ? "is a folder; a file is needed"
                        : "is a pipe, a device or a socket, which is not read; write it to a file first");
    }

    /** For reading, as {@link #require} allows it. */
    public static FileChannel open(Path path) throws IOException {
        require(path);
        return FileChannel.open(path, StandardOpenOption.READ);
    }

    /** For reading, as {@link #require} allows it. */
    public static InputStream stream(Path path) throws IOException {
        require(path);
        return Files.newInputStream(path);
    }

    /**
     * All of a small file.
     *
     * @param what it is, for the message: "an index"
     * @throws FormatException if it has more than {@code maxBytes}, or is no regular file
     */
    public static byte[] readSmall(Path path, int maxBytes, String what) throws IOException {
        try (InputStream in = stream(path)) {
            byte[] bytes = in.readNBytes(maxBytes + 1);
            if (bytes.length > maxBytes)
                throw new FormatException(path, what + " above " + maxBytes + " bytes; such a file has far fewer");
            return bytes;
        }
    }
}
