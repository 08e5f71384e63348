package org.dit4j.io;

import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.Inflater;
import java.util.zip.InflaterInputStream;
import org.bytedeco.pytorch.Tensor;

/**
 * The entries of a zip archive, ZIP64 too, by the central directory at its end, checked so that nothing in the archive can be read twice
 * or beyond its place. Unlike java.util.zip it says where the data lie, so that they can be read straight into tensors.
 */
final class ZipDirectory {
    private static final int LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50;
    private static final int END64 = 0x06064b50, LOCATOR64 = 0x07064b50;
    private static final int LOCAL_BYTES = 30,
            CENTRAL_BYTES = 46,
            END_BYTES = 22,
            END64_BYTES = 56,
            LOCATOR64_BYTES = 20;
    private static final long MAX_32 = 0xffffffffL;

    private static final int MAX_ENTRIES = 100_000, MAX_DIRECTORY_BYTES = 64 << 20;
    /** Archives that unpack to more than this and to more than {@link #BOMB_RATIO} times their size are bombs. */
    private static final long BOMB_BYTES = 1L << 30;

    private static final int BOMB_RATIO = 100;
    /** Places that look like the end record, before a file is given up. */
    private static final int MAX_TRIES = 100;

    private final String name;
    private final FileChannel channel;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private boolean hasChecksums;

    /** A file of the archive; {@code begin} is where its data are. */
    record Entry(String name, boolean deflated, int crc, long packedSize, long size, long begin) {}

    private record Record(String name, int method, int crc, long packedSize, long size, long header) {}

    private ZipDirectory(String name, FileChannel channel) {
        this.name = name;
        this.channel = channel;
    }

    /** @param name the archive's path, for messages */
    static ZipDirectory read(String name, FileChannel channel) throws IOException {
        ZipDirectory directory = new ZipDirectory(name, channel);
        directory.readAll();
        return directory;
    }

    /** By name, in the order of the directory. */
    Map<String, Entry> entries() {
        return entries;
    }

    private void readAll() throws IOException {
        long[] place = findDirectory(); // begin, end, count
        long size = place[1] - place[0];
        require(
                size <= MAX_DIRECTORY_BYTES && place[2] <= MAX_ENTRIES,
                "a zip archive of more than " + MAX_ENTRIES + " entries");
        ByteBuffer bytes = buffer(place[0], (int) size);
        List<Record> records = new ArrayList<>();
        for (long i = 0; i < place[2]; i++) records.add(readRecord(bytes));
        require(!bytes.hasRemaining(), "the zip directory is longer than its entries");
        // PyTorch can be told to take no checksums, and then writes 0 for each
        hasChecksums = records.stream().anyMatch(record -> record.crc() != 0);
        records.sort(Comparator.comparingLong(Record::header));
        Map<String, Entry> byName = new LinkedHashMap<>();
        long free = 0, packed = 0, unpacked = 0;
        for (Record record : records) {
            require(record.header() >= free, "entries of the zip archive overlap at " + record.name());
            Entry entry = locate(record, place[0]);
            free = entry.begin() + entry.packedSize();
            packed += entry.packedSize();
            unpacked += entry.size();
            require(byName.put(record.name(), entry) == null, "two entries are called " + record.name());
        }
        require(
                unpacked <= BOMB_BYTES || unpacked / BOMB_RATIO <= packed,
                "a zip bomb: " + packed + " bytes that unpack to " + unpacked);
        entries.putAll(byName);
    }

    /**
     * Begin, end and number of entries of the central directory. Its end record is looked for from the end of the file, where a comment or bytes
     * that do not belong to the archive may follow it; PyTorch reads those too.
     */
    private long[] findDirectory() throws IOException {
        long size = channel.size();
        int tail = (int) Math.min(size, END_BYTES + 65_535);
        ByteBuffer bytes = buffer(size - tail, tail);
        FormatException first = null;
        int tries = 0;
        for (int at = tail - END_BYTES; at >= 0 && tries < MAX_TRIES; at--) {
            if (bytes.getInt(at) != END) continue;
            tries++;
            try {
                return directory(bytes, at, size - tail + at);
            } catch (FormatException e) { // those four bytes may be in what follows
                if (first == null) first = e;
            }
        }
        if (first != null) throw first;
        throw new FormatException(name, whatElse(size));
    }

    private String whatElse(long size) throws IOException {
        byte[] begin = buffer(0, (int) Math.min(size, FileKind.LENGTH)).array();
        if (begin.length >= 4
                && ByteBuffer.wrap(begin).order(ByteOrder.LITTLE_ENDIAN).getInt(0) == LOCAL)
            return "cut short: it begins as a zip archive, but of its " + size
                    + " bytes the last are not the end of one; fetch or copy the file again";
        return FileKind.of(begin).orElse("the end of the zip archive is missing; the file is no zip archive");
    }

    private long[] directory(ByteBuffer bytes, int at, long end) throws IOException {
        long count = unsigned16(bytes, at + 10),
                directorySize = unsigned32(bytes, at + 12),
                begin = unsigned32(bytes, at + 16);
        require(unsigned16(bytes, at + 4) == 0 && unsigned16(bytes, at + 8) == count, "a zip archive in several parts");
        // PyTorch writes a ZIP64 directory even where 32 bits are enough
        if (begin + directorySize != end) {
            long[] place = findDirectory64(end);
            require(
                    (count == 0xffff || count == place[2])
                            && (begin == MAX_32 || begin == place[0])
                            && (directorySize == MAX_32 || directorySize == place[1] - place[0]),
                    "the zip directory is not where the archive says");
            return place;
        }
        return new long[] {begin, end, count};
    }

    private long[] findDirectory64(long end32) throws IOException {
        long locator = end32 - LOCATOR64_BYTES;
        require(locator >= END64_BYTES, "the zip directory is not where the archive says");
        ByteBuffer bytes = buffer(locator, LOCATOR64_BYTES);
        long end = bytes.getLong(8);
        require(
                bytes.getInt(0) == LOCATOR64 && end >= 0 && end <= locator - END64_BYTES,
                "the zip directory is not where the archive says");
        ByteBuffer record = buffer(end, END64_BYTES);
        long count = record.getLong(32), size = record.getLong(40), begin = record.getLong(48);
        require(
                record.getInt(0) == END64 && record.getLong(4) == locator - end - 12 && record.getLong(24) == count,
                "the ZIP64 directory is damaged");
        require(
                size >= 0 && begin >= 0 && begin <= end && begin + size == end && count >= 0,
                "the ZIP64 directory is not where the archive says");
        return new long[] {begin, end, count};
    }

    private Record readRecord(ByteBuffer bytes) throws FormatException {
        int at = bytes.position();
        require(bytes.remaining() >= CENTRAL_BYTES && bytes.getInt(at) == CENTRAL, "the zip directory is damaged");
        int flags = unsigned16(bytes, at + 8), nameLength = unsigned16(bytes, at + 28);
        int extraLength = unsigned16(bytes, at + 30), commentLength = unsigned16(bytes, at + 32);
        int next = at + CENTRAL_BYTES + nameLength + extraLength + commentLength;
        require(next <= bytes.limit(), "the zip directory is damaged");
        String entry = new String(bytes.array(), at + CENTRAL_BYTES, nameLength, StandardCharsets.UTF_8);
        require((flags & 1) == 0, entry + " is encrypted");
        bytes.position(next);
        long[] sizes = {unsigned32(bytes, at + 24), unsigned32(bytes, at + 20), unsigned32(bytes, at + 42)
        }; // size, packed, header
        readExtra64(bytes, at + CENTRAL_BYTES + nameLength, extraLength, sizes);
        for (long size : sizes) require(size >= 0, entry + " has a negative size");
        return new Record(entry, unsigned16(bytes, at + 10), bytes.getInt(at + 16), sizes[1], sizes[0], sizes[2]);
    }

    /** Sizes that do not fit 32 bits stand in an extra field, only those, in this order. */
    private void readExtra64(ByteBuffer bytes, int begin, int length, long[] sizes) throws FormatException {
        for (int at = begin, end = begin + length; at + 4 <= end; ) {
            int id = unsigned16(bytes, at), next = at + 4 + unsigned16(bytes, at + 2);
            require(next <= end, "an extra field of the zip directory is damaged");
            if (id == 1) {
                int from = at + 4;
                for (int i = 0; i < sizes.length; i++) {
                    if (sizes[i] != MAX_32) continue;
                    require(from + 8 <= next, "a ZIP64 field is cut short");
                    sizes[i] = bytes.getLong(from);
                    from += 8;
                }
            }
            at = next;
        }
    }

    private Entry locate(Record record, long end) throws IOException {
        String entry = record.name();
        require(record.header() <= end - LOCAL_BYTES, entry + " is outside the archive");
        ByteBuffer local = buffer(record.header(), LOCAL_BYTES);
        int nameLength = unsigned16(local, 26), extraLength = unsigned16(local, 28);
        long begin = record.header() + LOCAL_BYTES + nameLength + extraLength;
        require(
                local.getInt(0) == LOCAL && begin <= end && record.packedSize() <= end - begin,
                entry + " is cut short or outside the archive");
        String localName =
                new String(buffer(record.header() + LOCAL_BYTES, nameLength).array(), StandardCharsets.UTF_8);
        require(localName.equals(entry), entry + " is called \"" + localName + "\" at its data");
        require(
                record.method() == 0 || record.method() == 8,
                entry + " is packed by the unknown method " + record.method());
        boolean deflated = record.method() == 8;
        require(deflated || record.packedSize() == record.size(), entry + " is stored, but its two sizes differ");
        // deflate cannot shrink further than this
        require(
                record.size() / 1032 <= record.packedSize() + 1,
                entry + " says it unpacks to " + record.size() + " bytes from " + record.packedSize());
        return new Entry(entry, deflated, record.crc(), record.packedSize(), record.size(), begin);
    }

    /** All bytes of a small entry. */
    byte[] bytes(Entry entry, int limit) throws IOException {
        require(entry.size() <= limit, entry.name() + " has " + entry.size() + " bytes, above the limit of " + limit);
        try (InputStream in = stream(entry)) {
            byte[] bytes = in.readNBytes((int) entry.size());
            if (in.read() >= 0) throw new IllegalStateException("a checked stream goes on after its end");
            return bytes;
        }
    }

    /** Fills a contiguous CPU tensor of exactly the entry's size. */
    void read(Entry entry, Tensor into) throws IOException {
        if (into.nbytes() != entry.size())
            throw new IllegalArgumentException(into.nbytes() + " bytes for an entry of " + entry.size());
        if (entry.deflated()) {
            try (InputStream in = stream(entry)) {
                byte[] piece = new byte[1 << 16];
                TensorBytes.forEach(into, (bytes, offset) -> {
                    while (bytes.hasRemaining()) {
                        int count = in.read(piece, 0, Math.min(piece.length, bytes.remaining()));
                        if (count < 0) throw new IllegalStateException("a checked stream ends early");
                        bytes.put(piece, 0, count);
                    }
                });
                if (in.read() >= 0) throw new IllegalStateException("a checked stream goes on after its end");
            }
            return;
        }
        CRC32 crc = new CRC32();
        TensorBytes.forEach(into, (bytes, offset) -> {
            TensorBytes.readFully(name, channel, bytes, entry.begin() + offset);
            crc.update(bytes.flip());
        });
        checkCrc(entry, crc);
    }

    /** Reads to the end for the checksum's sake. */
    void verify(Entry entry) throws IOException {
        try (InputStream in = stream(entry)) {
            byte[] piece = new byte[1 << 16];
            while (in.read(piece) >= 0) {}
        }
    }

    /**
     * The unpacked bytes. Reading fails with a FormatException where the entry is shorter or longer than it says, and at its end if the
     * checksum is wrong.
     */
    InputStream stream(Entry entry) {
        InputStream packed = new BufferedInputStream(new Packed(entry), 1 << 16);
        if (!entry.deflated()) return new Checked(packed, entry);
        Inflater inflater = new Inflater(true);
        return new Checked(new InflaterInputStream(packed, inflater, 1 << 16), entry) {
            @Override
            public void close() throws IOException {
                inflater.end();
                super.close();
            }
        };
    }

    private void checkCrc(Entry entry, CRC32 crc) throws FormatException {
        if (hasChecksums && (int) crc.getValue() != entry.crc())
            throw new FormatException(name, entry.name() + " is damaged: its checksum is wrong");
    }

    /** The packed bytes of an entry, by position, as other streams share the channel. */
    private final class Packed extends InputStream {
        private long at;
        private final long end;

        Packed(Entry entry) {
            at = entry.begin();
            end = at + entry.packedSize();
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 255;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            if (at == end && length > 0) return -1;
            int count = channel.read(ByteBuffer.wrap(into, offset, (int) Math.min(length, end - at)), at);
            if (count < 0) throw new FormatException(name, "cut short at byte " + at);
            at += count;
            return count;
        }
    }

    /** Counts and sums what passes, and compares at the end. */
    private class Checked extends FilterInputStream {
        private final Entry entry;
        private final CRC32 crc = new CRC32();
        private long count;
        private boolean ended;

        Checked(InputStream in, Entry entry) {
            super(in);
            this.entry = entry;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 255;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            if (ended || length == 0) return ended ? -1 : 0;
            int read;
            try {
                read = super.read(into, offset, length);
            } catch (FormatException e) {
                throw e;
            } catch (IOException e) { // ZipException, EOFException of the inflater
                throw new FormatException(name, entry.name() + " does not unpack: " + e.getMessage(), e);
            }
            if (read < 0) {
                ended = true;
                if (count != entry.size())
                    throw new FormatException(
                            name, entry.name() + " unpacks to " + count + " bytes, not to " + entry.size());
                checkCrc(entry, crc);
                return -1;
            }
            count += read;
            if (count > entry.size())
                throw new FormatException(name, entry.name() + " unpacks to more than its " + entry.size() + " bytes");
            crc.update(into, offset, read);
            return read;
        }

        @Override
        public long skip(long length) throws IOException {
            return readNBytes((int) Math.min(length, 1 << 16)).length;
        }

        @Override
        public boolean markSupported() {
            return false;
        }
    }

    private ByteBuffer buffer(long position, int size) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        TensorBytes.readFully(name, channel, bytes, position);
        return bytes.flip();
    }

    private static int unsigned16(ByteBuffer bytes, int at) {
        return bytes.getShort(at) & 0xffff;
    }

    private static long unsigned32(ByteBuffer bytes, int at) {
        return bytes.getInt(at) & MAX_32;
    }

    private void require(boolean condition, String problem) throws FormatException {
        if (!condition) throw new FormatException(name, problem);
    }
}
