package org.dit4j.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32;
import org.dit4j.io.FormatException;

/**
 * Finds the regular files of a tar archive (POSIX ustar and pax, GNU, and the old format), one after the other, so that an index of any
 * length costs no memory here. Links, devices and folders are passed over; nothing is ever written anywhere.
 */
final class TarIndex {
    private static final int BLOCK = 512, MAX_NAME_BYTES = 1 << 16, MAX_PAX_BYTES = 1 << 20;

    /**
     * A regular file: where its bytes are.
     *
     * @param time CRC-32 of what the headers say of when it was modified
     */
    record Entry(String name, long offset, long size, int time) {}

    private final Path file;
    private final FileChannel channel;
    private final long length;

    private long at;
    private int passedOver;
    /** Of the entry to come, from the entries that describe it. */
    private String longName;

    private Map<String, String> pax = Map.of();

    TarIndex(Path file, FileChannel channel) throws IOException {
        this.file = file;
        this.channel = channel;
        length = channel.size();
    }

    /** Links, devices and whatever else is neither a file nor a folder, so far. */
    int passedOver() {
        return passedOver;
    }

    /**
     * The next regular file, or null at the end of the archive.
     *
     * @throws FormatException if the archive is damaged, cut short, or holds a sparse file, a volume's part, or a name that leads out of the
     *     archive
     */
    Entry next() throws IOException {
        while (true) {
            long start = at;
            byte[] header = read(BLOCK, "the archive ends without its end mark; is it cut short?");
            if (isZero(header)) return null;
            requireChecksum(header, start);
            long size = number(header, 124, 12, start);
            switch (header[156]) {
                case 'x' -> pax = pax(size, start);
                case 'g' -> requireHarmless(pax(size, start), start);
                case 'L' -> longName = text(data(size, MAX_NAME_BYTES, start), 0, (int) size);
                case 'K' -> data(size, MAX_NAME_BYTES, start);
                case 'S' -> throw problem(start, "is a sparse file, which is not read");
                case 'M' -> throw problem(start, "is part of an archive of several volumes, which is not read");
                case '1', '2', '3', '4', '5', '6' -> { // these have no data, whatever their size says
                    if (header[156] != '5') passedOver++;
                    forget();
                }
                case '0', 0, '7' -> {
                    Entry entry = entry(header, size, start);
                    if (!entry.name.endsWith("/")) return entry; // so the old format marks a folder
                }
                default -> {
                    entry(header, size, start);
                    passedOver++;
                }
            }
        }
    }

    private Entry entry(byte[] header, long headerSize, long start) throws FormatException {
        String name = longName != null ? longName : headerName(header);
        long size = headerSize;
        if (pax.containsKey("path")) name = pax.get("path");
        if (pax.containsKey("size")) size = decimal(pax.get("size"), start);
        for (String key : pax.keySet())
            if (key.startsWith("GNU.sparse.")) throw problem(start, "is a sparse file, which is not read");
        int time = time(header);
        forget();
        requireInside(name, start);
        long padded = size > Long.MAX_VALUE - BLOCK ? Long.MAX_VALUE : (size + BLOCK - 1) / BLOCK * BLOCK;
        if (padded > length - at)
            throw problem(
                    start,
                    "\"" + shown(name) + "\" has " + size + " bytes, but the archive ends after " + (length - at)
                            + "; is it cut short?");
        Entry entry = new Entry(name, at, size, time);
        at += padded;
        return entry;
    }

    private int time(byte[] header) {
        CRC32 crc = new CRC32();
        crc.update(header, 136, 12);
        crc.update(pax.getOrDefault("mtime", "").getBytes(StandardCharsets.UTF_8));
        return (int) crc.getValue();
    }

    private void forget() {
        longName = null;
        pax = Map.of();
    }

    private static String headerName(byte[] header) {
        String name = text(header, 0, 100);
        boolean posix = text(header, 257, 6).startsWith("ustar") && header[262] == 0;
        String prefix = posix ? text(header, 345, 155) : "";
        return prefix.isEmpty() ? name : prefix + "/" + name;
    }

    private void requireInside(String name, long start) throws FormatException {
        boolean outside = name.isEmpty()
                || name.startsWith("/")
                || name.startsWith("\\")
                || name.matches("^[A-Za-z]:.*")
                || Arrays.asList(name.split("[/\\\\]")).contains("..")
                || name.indexOf('\0') >= 0;
        if (outside) throw problem(start, "is called \"" + shown(name) + "\", which is no name inside an archive");
    }

    private void requireHarmless(Map<String, String> global, long start) throws FormatException {
        if (global.containsKey("path") || global.containsKey("size"))
            throw problem(start, "gives one path or size to all files");
    }

    /** "27 path=some/long/name\n", and so on. */
    private Map<String, String> pax(long size, long start) throws IOException {
        byte[] data = data(size, MAX_PAX_BYTES, start);
        Map<String, String> values = new HashMap<>();
        for (int from = 0; from < size; ) {
            int space = from;
            while (space < size && data[space] >= '0' && data[space] <= '9' && space - from < 8) space++;
            int record = space > from ? Integer.parseInt(text(data, from, space - from)) : 0;
            int end = from + record;
            if (record < 5 || end > size || space >= end || data[space] != ' ' || data[end - 1] != '\n')
                throw problem(start, "has a damaged pax header");
            String pair = new String(data, space + 1, end - space - 2, StandardCharsets.UTF_8);
            int equals = pair.indexOf('=');
            if (equals < 1) throw problem(start, "has a damaged pax header");
            values.put(pair.substring(0, equals), pair.substring(equals + 1));
            from = end;
        }
        return values;
    }

    /** The data of an entry that describes another, and the padding after them. */
    private byte[] data(long size, int most, long start) throws IOException {
        if (size > most) throw problem(start, "describes the next entry in " + size + " bytes; at most " + most);
        return read((int) ((size + BLOCK - 1) / BLOCK * BLOCK), "is cut short");
    }

    private byte[] read(int count, String problem) throws IOException {
        if (count > length - at) throw problem(at, problem);
        byte[] bytes = new byte[count];
        read(file, channel, at, bytes);
        at += count;
        return bytes;
    }

    /** Fills {@code bytes} from position {@code from}. */
    static void read(Path file, FileChannel channel, long from, byte[] bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        while (buffer.hasRemaining())
            if (channel.read(buffer, from + buffer.position()) < 0)
                throw new FormatException(file, "has been cut short since it was opened");
    }

    private static boolean isZero(byte[] block) {
        for (byte value : block) if (value != 0) return false;
        return true;
    }

    private void requireChecksum(byte[] header, long start) throws FormatException {
        long unsigned = 0, signed = 0;
        for (int i = 0; i < BLOCK; i++) {
            byte value = i >= 148 && i < 156 ? (byte) ' ' : header[i];
            unsigned += value & 255;
            signed += value; // as some old programs added
        }
        long stored = number(header, 148, 8, start);
        if (stored != unsigned && stored != signed)
            throw problem(start, "has a header that is none: not a tar archive, compressed, or damaged");
    }

    /** Octal digits, or after a byte of 0x80 a binary number. */
    private long number(byte[] header, int from, int count, long start) throws FormatException {
        if ((header[from] & 0x80) != 0) {
            long value = header[from] & 0x7f;
            for (int i = from + 1; i < from + count; i++) {
                if (value >= 1L << 55) throw problem(start, "has a number beyond all sizes");
                value = value << 8 | header[i] & 255;
            }
            return value;
        }
        String digits = text(header, from, count).strip();
        if (digits.isEmpty()) return 0;
        if (!digits.matches("[0-7]+")) throw problem(start, "has a header that is none: not a tar archive, or damaged");
        return Long.parseLong(digits, 8);
    }

    private long decimal(String digits, long start) throws FormatException {
        if (!digits.matches("\\d{1,18}")) throw problem(start, "has the size \"" + shown(digits) + "\"");
        return Long.parseLong(digits);
    }

    /** Up to the first zero. */
    private static String text(byte[] bytes, int from, int count) {
        int end = from;
        while (end < from + count && bytes[end] != 0) end++;
        return new String(bytes, from, end - from, StandardCharsets.UTF_8);
    }

    private static String shown(String name) {
        return name.length() > 200 ? name.substring(0, 200) + "…" : name;
    }

    private FormatException problem(long start, String problem) {
        return new FormatException(file, "the entry at byte " + start + " " + problem);
    }
}
