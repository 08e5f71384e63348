package org.dit4j.torch;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URL;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TimeZone;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import org.bytedeco.javacpp.Loader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The native libraries in JavaCPP's cache, each of them whole before JavaCPP looks for it. JavaCPP unpacks in place: a process that is
 * killed meanwhile, or one that looks on, has half a library, and dies of it. So they are unpacked here, under another name first, by one
 * process at a time. Once LibTorch has loaded, a list of what it loaded is written; as long as all of it is as the list says, a start
 * looks at nothing else. Other programs that use JavaCPP may share the cache.
 *
 * <p>Open it, load, say {@link #complete}, close it.
 */
final class NativeCache implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(NativeCache.class);
    private static final String LIST = ".dit4j-", TEMPORARY = ".dit4j-unpacking-", LOCK = ".dit4j.lock";
    private static final String FOLDER = "org.bytedeco.javacpp.cachedir";
    private static final int PAUSE_MILLIS = 20, TELL_MILLIS = 3000;

    private final Path folder;
    private final Path list;
    /** Empty if all was as listed. */
    private final List<NativeLibrary> libraries;
    /** While the list is not there; null if it is, and where files cannot be locked. */
    private final FileChannel lock;

    private NativeCache(Path folder, Path list, List<NativeLibrary> libraries, FileChannel lock) {
        this.folder = folder;
        this.list = list;
        this.libraries = libraries;
        this.lock = lock;
    }

    /** A source of libraries, asked only when some may be missing. */
    @FunctionalInterface
    interface Source {
        List<NativeLibrary> libraries() throws IOException;
    }

    /**
     * Makes the libraries whole, waiting for another process that does.
     *
     * @return null where JavaCPP was told not to use a cache
     * @throws IOException if they cannot be written, naming the folder
     */
    static NativeCache open() throws IOException {
        if (!System.getProperty("org.bytedeco.javacpp.cacheLibraries", "true").equalsIgnoreCase("true")
                || !System.getProperty("org.bytedeco.javacpp.findLibraries", "true")
                        .equalsIgnoreCase("true")) return null;
        return open(folder(), key(), NativeLibrary::all);
    }

    /** JavaCPP's own choice where it has a good one, else a folder for temporary files that is this user's alone. */
    private static Path folder() throws IOException {
        boolean chosen =
                System.getProperty(FOLDER) != null || System.getProperty("org.bytedeco.javacpp.cacheDir") != null;
        Path home = Path.of(
                System.getProperty("user.home"), ".javacpp", "cache"); // Java's home is "?" for a user without a name
        if (!chosen && !(home.isAbsolute() && isWritable(home))) {
            Path folder = temporaryFolder();
            System.setProperty(FOLDER, folder.toString());
            log.warn("{} cannot be written, so the native libraries are unpacked into {}", home, folder);
        }
        return Loader.getCacheDir().toPath();
    }

    private static boolean isWritable(Path folder) {
        try {
            return Files.isWritable(Files.createDirectories(folder));
        } catch (IOException e) {
            return false;
        }
    }

    /** What another user made under the name of this one is not used: whoever may write there decides what is loaded. */
    private static Path temporaryFolder() throws IOException {
        Path mine = Files.createTempDirectory("dit4j-natives-");
        if (!mine.getFileSystem().supportedFileAttributeViews().contains("unix")) return mine;
        Path folder = mine.resolveSibling("dit4j-natives-" + Files.getAttribute(mine, "unix:uid"));
        try {
            Files.move(mine, folder, StandardCopyOption.ATOMIC_MOVE); // replaces no folder but an empty one
            return folder;
        } catch (IOException e) {
            boolean safe = Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
                    && Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS).equals(Files.getOwner(mine))
                    && Files.getPosixFilePermissions(folder).equals(Files.getPosixFilePermissions(mine));
            if (!safe) return mine;
            Files.delete(mine);
            return folder;
        }
    }

    /** As {@link #open()}, of {@code source}, whose content {@code key} names. */
    static NativeCache open(Path folder, String key, Source source) throws IOException {
        Path list = folder.resolve(LIST + key);
        if (isAsListed(folder, list)) return new NativeCache(folder, list, List.of(), null);
        FileChannel lock = lock(folder.resolve(LOCK));
        try {
            if (isAsListed(folder, list)) { // another process was faster
                close(lock);
                return new NativeCache(folder, list, List.of(), null);
            }
            if (lock != null) removeTemporaries(folder);
            List<NativeLibrary> libraries = source.libraries();
            unpack(folder, libraries);
            return new NativeCache(folder, list, libraries, lock);
        } catch (IOException | RuntimeException e) {
            close(lock);
            throw e;
        }
    }

    /** Names the jars on the class path; also the time zone, on which the times of jar entries depend. */
    private static String key() throws IOException {
        String platform = Loader.getPlatform();
        CRC32 crc = new CRC32();
        update(crc, platform + TimeZone.getDefault().getID());
        for (String library : List.of("javacpp", "openblas", "pytorch"))
            for (String extension : List.of("", "-gpu")) {
                URL url = NativeCache.class
                        .getClassLoader()
                        .getResource("org/bytedeco/" + library + "/" + platform + extension + "/"
                                + System.mapLibraryName("jni" + (library.equals("pytorch") ? "torch" : library)));
                if (url == null || !url.getProtocol().equals("jar")) continue;
                String jar = url.getPath().substring(0, url.getPath().lastIndexOf("!/"));
                update(crc, jar.substring(jar.lastIndexOf('/') + 1));
                // a jar inside a jar is told by its name alone
                if (jar.startsWith("file:") && !jar.contains("!")) update(crc, state(Path.of(URI.create(jar))));
            }
        return platform + "-" + Long.toHexString(crc.getValue());
    }

    private static void update(CRC32 crc, String text) {
        crc.update(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Whether the list is there and all files and links are as it says. */
    private static boolean isAsListed(Path folder, Path list) throws IOException {
        try {
            for (String line : Files.readAllLines(list)) {
                String[] fields = line.split("\t");
                if (fields.length != 2 || !fields[0].equals(state(folder.resolve(fields[1])))) return false;
            }
            return true;
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    /** What is seen of a file without reading it, or where a link goes; empty if there is neither. */
    private static String state(Path path) throws IOException {
        try {
            BasicFileAttributes file = Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            if (file.isSymbolicLink()) return "to " + Files.readSymbolicLink(path);
            return file.size() + " " + file.lastModifiedTime().toMillis();
        } catch (FileSystemException e) { // if it is more than absent, unpacking it says so
            return "";
        }
    }

    private static void unpack(Path folder, List<NativeLibrary> libraries) throws IOException {
        FileChannel others = null; // who unpacks by JavaCPP alone has this lock
        long start = System.nanoTime(), bytes = 0;
        try {
            for (NativeLibrary library : libraries) {
                Path file = folder.resolve(library.path());
                if (state(file).equals(library.size() + " " + library.millis())) continue;
                if (others == null) others = lock(folder.resolve(".lock"));
                if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && crc(file) == library.crc())
                    Files.setLastModifiedTime(file, FileTime.fromMillis(library.millis())); // of another time zone
                else unpack(folder, file, library);
                bytes += library.size();
            }
        } finally {
            close(others);
        }
        if (bytes > 0)
            log.info("unpacked {} MB of native libraries into {} in {} ms", bytes >> 20, folder, millisSince(start));
    }

    private static void unpack(Path folder, Path file, NativeLibrary library) throws IOException {
        Path temporary = folder.resolve(TEMPORARY + UUID.randomUUID());
        try {
            CheckedInputStream in = new CheckedInputStream(library.jar().openStream(), new CRC32());
            try (in) {
                Files.copy(in, temporary);
            }
            if (Files.size(temporary) != library.size() || in.getChecksum().getValue() != library.crc())
                throw new IOException(library.jar() + " is damaged: the library in it is not what its directory says;"
                        + " fetch that jar again");
            Files.setLastModifiedTime(temporary, FileTime.fromMillis(library.millis()));
            Files.createDirectories(file.getParent());
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new IOException(
                    "the native libraries cannot be unpacked into " + folder + ": "
                            + (e instanceof AccessDeniedException ? "permission denied for " : "") + e.getMessage()
                            + "; name another folder: -Dorg.bytedeco.javacpp.cachedir=FOLDER",
                    e);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    /** What processes left that were killed; only for who has the lock. */
    private static void removeTemporaries(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            for (Path entry : entries.toList())
                if (entry.getFileName().toString().startsWith(TEMPORARY)) Files.deleteIfExists(entry);
        }
    }

    /**
     * Compares what is unpacked with the jars, byte for byte by CRC-32, and replaces what differs. Takes a second; only before anything was
     * loaded.
     *
     * @return what differed, relative to the cache
     */
    static List<Path> repair() throws IOException {
        return repair(folder(), NativeLibrary::all);
    }

    static List<Path> repair(Path folder, Source source) throws IOException {
        FileChannel lock = lock(folder.resolve(LOCK));
        try {
            List<Path> replaced = new ArrayList<>();
            for (NativeLibrary library : source.libraries()) {
                Path file = folder.resolve(library.path());
                if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || crc(file) == library.crc()) continue;
                unpack(folder, file, library);
                replaced.add(library.path());
            }
            return replaced;
        } finally {
            close(lock);
        }
    }

    private static long crc(Path file) throws IOException {
        CRC32 crc = new CRC32();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(file)) {
            for (int length; (length = in.read(buffer)) >= 0; ) crc.update(buffer, 0, length);
        }
        return crc.getValue();
    }

    /** Says that all has loaded: what lies there now is what the next start expects. */
    void complete() {
        if (libraries.isEmpty()) return;
        Path temporary = folder.resolve(TEMPORARY + UUID.randomUUID());
        try {
            StringBuilder lines = new StringBuilder();
            for (Path path : filesAndLinks())
                lines.append(state(folder.resolve(path)))
                        .append('\t')
                        .append(path)
                        .append('\n');
            Files.writeString(temporary, lines);
            Files.move(temporary, list, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) { // the libraries are there, which is what counts; the next start looks again
            log.debug("{} was not written", list, e);
        } finally {
            delete(temporary);
        }
    }

    /** The libraries, and the links that JavaCPP has made beside them. */
    private Set<Path> filesAndLinks() throws IOException {
        Set<Path> paths = new TreeSet<>(), folders = new TreeSet<>();
        for (NativeLibrary library : libraries) {
            paths.add(library.path());
            folders.add(folder.resolve(library.path()).getParent());
        }
        for (Path each : folders)
            try (Stream<Path> entries = Files.list(each)) {
                entries.filter(Files::isSymbolicLink).map(folder::relativize).forEach(paths::add);
            }
        return paths;
    }

    private static void delete(Path temporary) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            log.debug("{} was not deleted", temporary, e);
        }
    }

    /**
     * Waits for the lock of a file, which ends with the process that has it. Where files cannot be locked nobody waits: as everything
     * appears by renaming, no process sees half a library then either, but several may unpack at once.
     *
     * @return null where files cannot be locked
     */
    private static FileChannel lock(Path file) throws IOException {
        FileChannel channel = null;
        long start = System.nanoTime();
        boolean told = false;
        try {
            channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            while (!tryLock(channel)) {
                if (!told && millisSince(start) > TELL_MILLIS) {
                    told = true;
                    log.warn("waiting for another process, which unpacks native libraries into {}", file.getParent());
                }
                TimeUnit.MILLISECONDS.sleep(PAUSE_MILLIS);
            }
            return channel;
        } catch (IOException e) {
            log.debug("{} cannot be locked", file, e);
            close(channel);
            return null;
        } catch (InterruptedException e) {
            close(channel);
            Thread.currentThread().interrupt();
            throw new IOException(
                    "interrupted while another process unpacks native libraries into " + file.getParent(), e);
        }
    }

    private static boolean tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) { // a second dit4j in this process, loaded by another class loader
            return false;
        }
    }

    private static long millisSince(long nanos) {
        return (System.nanoTime() - nanos) / 1_000_000;
    }

    private static void close(FileChannel lock) throws IOException {
        if (lock != null) lock.close();
    }

    @Override
    public void close() throws IOException {
        close(lock);
    }
}
