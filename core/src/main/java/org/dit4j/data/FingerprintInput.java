package org.dit4j.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32;
import org.dit4j.io.Sha256;

/** What a {@link Fingerprint} is made of: texts and numbers, in such a form that no two sequences of them are the same bytes. */
final class FingerprintInput {
    private static final int END_BYTES = 4096;
    /** Reading the ends of small files is waiting: for the system, a disk, a network. */
    private static final int THREADS = 8;

    private static final int FILES_OF_TASK = 500;

    private final MessageDigest digest = Sha256.digest();
    private final ByteBuffer number = ByteBuffer.allocate(Long.BYTES);

    /**
     * Begins with what all data have: shape, number of items and names of classes.
     *
     * @param kind of data, and of input: what differs in it is never equal
     */
    FingerprintInput(String kind, Dataset data) {
        add(kind).add(data.size()).add(data.channels()).add(data.height()).add(data.width());
        add(data.classNames().size());
        data.classNames().forEach(this::add);
    }

    FingerprintInput add(long value) {
        digest.update(number.clear().putLong(value).flip());
        return this;
    }

    FingerprintInput add(byte[] bytes) {
        add(bytes.length);
        digest.update(bytes);
        return this;
    }

    FingerprintInput add(String text) {
        return add(text.getBytes(StandardCharsets.UTF_8));
    }

    /** SHA-256 of all that was added; once. */
    String hex() {
        return HexFormat.of().formatHex(digest.digest());
    }

    /**
     * Of each file its length and the CRC-32 of its first and last 4 KiB.
     *
     * @param skipBroken whether one that cannot be read counts as such, instead of being an error
     */
    FingerprintInput addEnds(List<Path> files, boolean skipBroken) throws IOException {
        List<FutureTask<long[]>> tasks = new ArrayList<>();
        for (int from = 0; from < files.size(); from += FILES_OF_TASK) {
            List<Path> some = files.subList(from, Math.min(files.size(), from + FILES_OF_TASK));
            tasks.add(new FutureTask<>(() -> ends(some, skipBroken)));
        }
        try (Readers readers = new Readers(tasks.size() > 1 ? THREADS : 0, "dit4j-fingerprint")) {
            readers.start(tasks);
            for (FutureTask<long[]> task : tasks) for (long value : readers.await(task)) add(value);
        }
        return this;
    }

    /** As {@link #addEnds(List, boolean)}, of what an open file holds from a position on; the channel's own position moves. */
    FingerprintInput addEnds(SeekableByteChannel channel, long from) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(2 * END_BYTES);
        return add(channel.size() - from).add(crcOfEnds(channel, from, buffer));
    }

    private static long[] ends(List<Path> files, boolean skipBroken) throws IOException {
        long[] ends = new long[2 * files.size()];
        ByteBuffer buffer = ByteBuffer.allocate(2 * END_BYTES);
        for (int i = 0; i < files.size(); i++) {
            if (skipBroken && !(Files.isReadable(files.get(i)) && Files.isRegularFile(files.get(i)))) {
                ends[2 * i] = -1;
                continue;
            }
            try (SeekableByteChannel channel = Files.newByteChannel(files.get(i))) {
                ends[2 * i] = channel.size();
                ends[2 * i + 1] = crcOfEnds(channel, 0, buffer);
            }
        }
        return ends;
    }

    private static long crcOfEnds(SeekableByteChannel channel, long from, ByteBuffer buffer) throws IOException {
        long length = channel.size();
        buffer.clear();
        channel.position(from);
        if (length - from > buffer.capacity()) {
            fill(channel, buffer.limit(END_BYTES));
            channel.position(length - END_BYTES);
        }
        fill(channel, buffer.limit(buffer.capacity()));
        CRC32 crc = new CRC32();
        crc.update(buffer.flip());
        return crc.getValue();
    }

    private static void fill(SeekableByteChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) if (channel.read(buffer) < 0) return;
    }

    /**
     * What the file system says of a file without its content being read: its length, when it was modified and, where it is told, its number
     * and when the system last changed anything of it, which a program that copies times cannot set. Of a file that is read only once it is taken before.
     */
    static byte[] attributes(Path file) throws IOException {
        boolean unix = file.getFileSystem().supportedFileAttributeViews().contains("unix");
        Map<String, Object> attributes =
                Files.readAttributes(file, unix ? "unix:size,lastModifiedTime,ctime,ino" : "size,lastModifiedTime");
        return ByteBuffer.allocate(4 * Long.BYTES)
                .putLong((long) attributes.get("size"))
                .putLong(nanos(attributes.get("lastModifiedTime")))
                .putLong(unix ? nanos(attributes.get("ctime")) : 0)
                .putLong(unix ? (long) attributes.get("ino") : 0)
                .array();
    }

    private static long nanos(Object time) {
        return ((FileTime) time).to(TimeUnit.NANOSECONDS);
    }

    /**
     * The place of a file below a folder, with {@code /}, its letters as the file system has them: what Java makes of them depends on the
     * locale, a URI does not.
     */
    static String relative(String rootUri, Path file) {
        return file.toUri().getRawPath().substring(rootUri.length());
    }

    /** For {@link #relative}. */
    static String uri(Path root) {
        String uri = root.toUri().getRawPath();
        return uri.endsWith("/") ? uri : uri + "/";
    }
}
