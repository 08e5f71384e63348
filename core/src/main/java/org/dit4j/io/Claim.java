package org.dit4j.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A file beside the one that is to be written, under a name that no other writer on any machine has. Its writer holds a lock on it, so
 * that others see whether that still lives, also from another container, where process numbers say nothing. What nobody holds is left
 * over, and the next writer in that folder removes it.
 */
final class Claim implements AutoCloseable {
    /** What a claim's own folder ends in. */
    static final String FOLDER = ".folder";

    private static final String RANDOM = "\\.tmp-[0-9a-f]{16}";
    private static final Pattern NAME = Pattern.compile(".+" + RANDOM);
    /** Of versions that took no locks. */
    private static final Pattern NUMBERED = Pattern.compile(".+\\.tmp-\\d+-\\d+");
    /** Where locks tell nothing, a file that nobody has written to for so long is left over. */
    private static final Duration OLD = Duration.ofHours(1);

    private static final SecureRandom RANDOM_BYTES = new SecureRandom();
    /** Of this process: on Linux it would lose a lock by closing another channel to the file. */
    private static final Set<Path> LIVE = ConcurrentHashMap.newKeySet();
    /** Folders in which this process has looked for what others left, and when; there may be many pictures in one. */
    private static final Map<Path, Long> LOOKED = new ConcurrentHashMap<>();

    private static final int MAX_LOOKED = 1000;
    private static final long LOOK_NANOS = TimeUnit.MINUTES.toNanos(1);

    private final Path path;
    private final FileChannel channel;

    private Claim(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    /** A claim for {@code target}, of which the folder must exist; first in that folder what dead writers left is removed. */
    static Claim of(Path target) throws IOException {
        Path folder = target.toAbsolutePath().getParent();
        if (LOOKED.size() > MAX_LOOKED) LOOKED.clear();
        Long looked = LOOKED.get(folder);
        if (looked == null || System.nanoTime() - looked > LOOK_NANOS) {
            LOOKED.put(folder, System.nanoTime());
            removeDead(folder);
        }
        while (true) {
            Claim claim = attempt(target);
            if (claim != null) return claim;
        }
    }

    private static Claim attempt(Path target) throws IOException {
        byte[] random = new byte[8];
        RANDOM_BYTES.nextBytes(random);
        Path path = target.toAbsolutePath()
                .resolveSibling(target.getFileName() + ".tmp-" + HexFormat.of().formatHex(random));
        LIVE.add(path);
        FileChannel channel = null;
        try {
            channel = FileChannel.open(
                    path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
            Claim claim = new Claim(path, channel);
            FileLocks.Attempt attempt = FileLocks.attempt(path, channel, 0, Long.MAX_VALUE, false);
            // between making and locking it, another may have taken it for left over
            if (attempt != FileLocks.Attempt.HELD && Files.exists(path)) return claim;
            claim.close();
            return null;
        } catch (FileAlreadyExistsException e) {
            LIVE.remove(path);
            return null;
        } catch (IOException | RuntimeException e) {
            if (channel != null) channel.close();
            LIVE.remove(path);
            throw e;
        }
    }

    Path path() {
        return path;
    }

    FileChannel channel() {
        return channel;
    }

    /** A folder that goes with the claim. */
    Path folder() {
        return path.resolveSibling(path.getFileName() + FOLDER);
    }

    /** The claims for {@code target} of writers that have died. */
    static List<Path> dead(Path target) throws IOException {
        Path folder = target.toAbsolutePath().getParent();
        Pattern name = Pattern.compile(Pattern.quote(target.getFileName().toString()) + RANDOM);
        List<Path> dead = new ArrayList<>();
        for (Path entry : entries(folder))
            if (name.matcher(entry.getFileName().toString()).matches() && isDead(entry, false)) dead.add(entry);
        return dead;
    }

    /** Removes what dead writers left in a folder, but for the claims of indexes, which say what else they left. */
    private static void removeDead(Path folder) throws IOException {
        for (Path entry : entries(folder)) {
            String name = entry.getFileName().toString();
            if (name.matches(".*[._]index\\.json" + RANDOM)) continue;
            if (NAME.matcher(name).matches()) isDead(entry, true);
            else if (NUMBERED.matcher(name).matches() && isOld(entry)) Files.deleteIfExists(entry);
        }
    }

    /** Removes what this process's predecessors left of these files in a folder where nobody else writes them; there may be no such folder. */
    static void removeAll(Path folder, Predicate<String> targets) throws IOException {
        for (Path entry : entries(folder)) {
            String name = entry.getFileName().toString();
            if (!targets.test(name.substring(0, name.lastIndexOf(".tmp-")))) continue;
            if (NUMBERED.matcher(name).matches()
                    || NAME.matcher(name).matches() && !LIVE.contains(entry.toAbsolutePath())) remove(entry);
        }
    }

    private static List<Path> entries(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) return List.of();
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(entry -> entry.getFileName().toString().contains(".tmp-"))
                    .toList();
        } catch (java.nio.file.AccessDeniedException e) { // who may write there but not look leaves it as it is
            return List.of();
        }
    }

    /** Whether the writer of a claim has died; if so it is removed, if asked, while it is still certain. */
    private static boolean isDead(Path claim, boolean remove) throws IOException {
        if (LIVE.contains(claim.toAbsolutePath()) || !Files.isRegularFile(claim, LinkOption.NOFOLLOW_LINKS))
            return false;
        try (FileChannel channel = FileChannel.open(claim, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
            boolean dead = switch (FileLocks.attempt(claim, channel, 0, Long.MAX_VALUE, false)) {
                case TAKEN -> true;
                case HELD -> false;
                case UNSUPPORTED -> isOld(claim);
            };
            if (dead && remove) remove(claim);
            return dead;
        } catch (NoSuchFileException e) { // its writer is done
            return false;
        } catch (java.nio.file.AccessDeniedException e) { // another user's
            return false;
        }
    }

    private static boolean isOld(Path file) throws IOException {
        try {
            Instant changed =
                    Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant();
            return changed.isBefore(Instant.now().minus(OLD));
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    /** Removes the claims for {@code target} of writers that have died; the next claim there looks for others. */
    static void removeDeadOf(Path target) throws IOException {
        for (Path claim : dead(target)) remove(claim);
        LOOKED.remove(target.toAbsolutePath().getParent());
    }

    /** Removes a claim and its folder. */
    static void remove(Path claim) throws IOException {
        deleteFolder(claim.resolveSibling(claim.getFileName() + FOLDER));
        Files.deleteIfExists(claim);
    }

    /** Deletes a folder with all that is in it, links but not what they lead to; there may be none. */
    static void deleteFolder(Path folder) throws IOException {
        if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) return;
        List<Path> all;
        try (Stream<Path> walk = Files.walk(folder)) {
            all = new ArrayList<>(walk.toList());
        }
        for (int i = all.size() - 1; i >= 0; i--) Files.deleteIfExists(all.get(i));
    }

    /** Removes the claim, and its folder, if they are still there. */
    @Override
    public void close() throws IOException {
        try {
            remove(path); // while it is locked: nobody else removes it then
        } finally {
            channel.close();
            LIVE.remove(path);
        }
    }
}
