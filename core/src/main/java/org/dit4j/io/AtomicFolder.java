package org.dit4j.io;

import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * A folder that is whole or not there: filled under a temporary name, and renamed. What a process left that was killed meanwhile is removed
 * by the next that writes there. Begin it, fill {@link #path}, {@link #moveTo} its name, close it.
 */
public final class AtomicFolder implements AutoCloseable {
    private final Claim claim;

    private AtomicFolder(Claim claim) {
        this.claim = claim;
    }

    /** An empty folder beside {@code target}, which need not be its final name. The folder above must exist. */
    public static AtomicFolder begin(Path target) throws IOException {
        AtomicFolder folder = new AtomicFolder(Claim.of(target));
        try {
            Files.createDirectory(folder.path());
            return folder;
        } catch (IOException | RuntimeException e) {
            folder.close();
            throw e;
        }
    }

    /** Where to write. */
    public Path path() {
        return claim.folder();
    }

    /**
     * Gives the folder its name, in one instant; an empty folder of that name is replaced. If it fails, another name can be tried.
     *
     * @throws FileAlreadyExistsException if there is something of that name
     */
    public void moveTo(Path target) throws IOException {
        // a link to an empty folder is none
        if (Files.isSymbolicLink(target)) throw new FileAlreadyExistsException(target.toString());
        Durable.forceFolder(path());
        try {
            Files.move(path(), target, StandardCopyOption.ATOMIC_MOVE);
        } catch (DirectoryNotEmptyException e) {
            throw new FileAlreadyExistsException(target.toString());
        } catch (java.nio.file.FileSystemException e) { // systems have several words for it
            if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) throw e;
            FileAlreadyExistsException there = new FileAlreadyExistsException(target.toString());
            there.initCause(e);
            throw there;
        }
        Durable.forceFolder(target.toAbsolutePath().getParent());
    }

    /** Removes what was not moved. */
    @Override
    public void close() throws IOException {
        claim.close();
    }
}
