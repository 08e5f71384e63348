package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/** Writing into a folder that may be a stranger's: nothing is written through a symbolic link, which could lead anywhere. */
public final class NoLinks {
    private NoLinks() {}

    /**
     * Opens a file in {@code folder} for writing. The folder itself may be reached through links.
     *
     * @param file below the folder
     * @throws FormatException if the file, or a folder between, is a symbolic link
     * @throws IllegalArgumentException if the file is not below the folder
     */
    public static FileChannel open(Path folder, Path file, OpenOption... options) throws IOException {
        require(folder, file);
        Set<OpenOption> all = new HashSet<>(Set.of(options));
        all.add(LinkOption.NOFOLLOW_LINKS);
        try {
            return FileChannel.open(file, all);
        } catch (FileSystemException e) {
            if (Files.isSymbolicLink(file)) throw refusal(file); // put there meanwhile
            throw e;
        }
    }

    /**
     * Refuses what {@link #open} would: for files that are opened otherwise, or renamed into place.
     *
     * @throws FormatException if the file, or a folder between, is a symbolic link
     * @throws IllegalArgumentException if the file is not below the folder
     */
    public static void require(Path folder, Path file) throws IOException {
        Path plain = file.normalize();
        if (!file.startsWith(folder) || !plain.startsWith(folder.normalize()) || plain.equals(folder.normalize()))
            throw new IllegalArgumentException(file + " is not below " + folder);
        Path each = folder;
        for (Path name : folder.relativize(file)) {
            each = each.resolve(name);
            if (Files.isSymbolicLink(each)) throw refusal(each);
        }
    }

    private static FormatException refusal(Path link) throws IOException {
        return new FormatException(
                link,
                "is a symbolic link to " + Files.readSymbolicLink(link)
                        + "; nothing is written through links out of this folder: put a file or folder there, or remove it");
    }
}
