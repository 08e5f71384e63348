package org.dit4j.io;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;

/**
 * A zip archive whose entries may be of any size, ZIP64 where it must be. The sizes and checksum of an entry are put into its header after
 * its data, so that no data descriptor is needed; time stamps are constant, so that equal content gives equal bytes.
 */
final class ZipWriter {
    private static final int LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50;
    private static final int END64 = 0x06064b50, LOCATOR64 = 0x07064b50;
    private static final short UTF8 = 1 << 11, VERSION = 20, VERSION64 = 45;
    private static final int DATE = 1 << 5 | 1; // 1 January 1980, the first there is
    private static final int EXTRA64_BYTES = 20, MAX_16 = 0xffff;
    private static final long MAX_32 = 0xffffffffL;

    private final FileChannel channel;
    private final int alignment;
    private final List<Entry> entries = new ArrayList<>();

    private record Entry(byte[] name, boolean deflated, int crc, long packed, long size, long header) {}

    /** @param alignment the data of stored entries begin at multiples of this */
    ZipWriter(FileChannel channel, int alignment) {
        this.channel = channel;
        this.alignment = alignment;
    }

    void add(String name, byte[] bytes) throws IOException {
        try (EntryStream out = entry(name, false)) {
            out.write(bytes);
            out.complete();
        }
    }

    void add(String name, Tensor tensor) throws IOException {
        try (EntryStream out = entry(name, false);
                TensorScope scope = new TensorScope()) {
            TensorBytes.forEach(TensorBytes.onHost(tensor), (bytes, offset) -> out.write(bytes));
            out.complete();
        }
    }

    /** Opens an entry; only one at a time. */
    EntryStream entry(String name, boolean deflated) throws IOException {
        return new EntryStream(name.getBytes(StandardCharsets.UTF_8), deflated);
    }

    /** Takes the data of one entry. Not complete until {@link #complete} is called. */
    final class EntryStream extends OutputStream {
        private final byte[] name;
        private final long header, begin;
        private final CRC32 crc = new CRC32();
        private final Deflater deflater;
        private final DeflaterOutputStream deflating;
        private long size;

        private EntryStream(byte[] name, boolean deflated) throws IOException {
            this.name = name;
            header = channel.position();
            long unpadded = header + 30 + name.length + EXTRA64_BYTES;
            int padding = deflated ? 0 : (int) (-unpadded & (alignment - 1));
            if (padding > 0 && padding < 4) padding += alignment; // an extra field has a head of 4 bytes
            writeAll(ByteBuffer.allocate(30 + name.length + EXTRA64_BYTES + padding));
            begin = channel.position();
            deflater = deflated ? new Deflater(Deflater.DEFAULT_COMPRESSION, true) : null;
            deflating = deflated ? new DeflaterOutputStream(new ChannelStream(), deflater, 1 << 16) : null;
        }

        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            crc.update(bytes, offset, length);
            size += length;
            if (deflating != null) deflating.write(bytes, offset, length);
            else writeAll(ByteBuffer.wrap(bytes, offset, length));
        }

        void write(ByteBuffer bytes) throws IOException {
            if (deflating != null) {
                byte[] copy = new byte[bytes.remaining()];
                bytes.get(copy);
                write(copy);
                return;
            }
            crc.update(bytes.duplicate());
            size += bytes.remaining();
            writeAll(bytes);
        }

        /** Bytes that were written. */
        long size() {
            return size;
        }

        /** Ends the entry; without this call the archive does not have it. */
        void complete() throws IOException {
            if (deflating != null) deflating.finish();
            long end = channel.position();
            Entry entry = new Entry(name, deflater != null, (int) crc.getValue(), end - begin, size, header);
            channel.position(header);
            writeAll(localHeader(entry, (int) (begin - header)));
            channel.position(end);
            entries.add(entry);
        }

        @Override
        public void close() {
            if (deflater != null) deflater.end();
        }
    }

    private final class ChannelStream extends OutputStream {
        @Override
        public void write(int b) throws IOException {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            writeAll(ByteBuffer.wrap(bytes, offset, length));
        }
    }

    private static ByteBuffer localHeader(Entry entry, int length) {
        boolean large = entry.size() >= MAX_32 || entry.packed() >= MAX_32;
        ByteBuffer header = buffer(length);
        header.putInt(LOCAL).putShort(large ? VERSION64 : VERSION);
        putCommon(header, entry, large);
        int extra = length - 30 - entry.name().length;
        header.putShort((short) entry.name().length).putShort((short) extra).put(entry.name());
        if (large)
            header.putShort((short) 1)
                    .putShort((short) 16)
                    .putLong(entry.size())
                    .putLong(entry.packed());
        // what is left is one field of padding, as PyTorch's own files have it ("FB")
        if (header.hasRemaining()) header.putShort((short) 0x4246).putShort((short) (header.remaining() - 2));
        return header.rewind();
    }

    /** Flags, method, time, date, checksum and sizes, the same in both headers. */
    private static void putCommon(ByteBuffer header, Entry entry, boolean large) {
        header.putShort(UTF8).putShort((short) (entry.deflated() ? 8 : 0));
        header.putShort((short) 0).putShort((short) DATE).putInt(entry.crc());
        header.putInt(large ? -1 : (int) entry.packed()).putInt(large ? -1 : (int) entry.size());
    }

    /** Writes the directory; the archive is complete then. */
    void finish() throws IOException {
        long begin = channel.position();
        for (Entry entry : entries) writeAll(centralHeader(entry));
        long end = channel.position();
        ByteBuffer tail = buffer(56 + 20 + 22);
        boolean large = begin >= MAX_32 || end - begin >= MAX_32 || entries.size() >= MAX_16;
        if (large) {
            tail.putInt(END64)
                    .putLong(44)
                    .putShort(VERSION64)
                    .putShort(VERSION64)
                    .putInt(0)
                    .putInt(0);
            tail.putLong(entries.size())
                    .putLong(entries.size())
                    .putLong(end - begin)
                    .putLong(begin);
            tail.putInt(LOCATOR64).putInt(0).putLong(end).putInt(1);
        }
        short count = (short) Math.min(entries.size(), MAX_16);
        tail.putInt(END).putShort((short) 0).putShort((short) 0).putShort(count).putShort(count);
        tail.putInt((int) Math.min(end - begin, MAX_32))
                .putInt((int) (large ? MAX_32 : begin))
                .putShort((short) 0);
        writeAll(tail.flip());
    }

    private static ByteBuffer centralHeader(Entry entry) {
        boolean large = entry.size() >= MAX_32 || entry.packed() >= MAX_32 || entry.header() >= MAX_32;
        ByteBuffer header = buffer(46 + entry.name().length + (large ? 28 : 0));
        header.putInt(CENTRAL).putShort(VERSION64).putShort(large ? VERSION64 : VERSION);
        putCommon(header, entry, large);
        header.putShort((short) entry.name().length)
                .putShort((short) (large ? 28 : 0))
                .putShort((short) 0);
        header.putShort((short) 0).putShort((short) 0).putInt(0).putInt(large ? -1 : (int) entry.header());
        header.put(entry.name());
        if (large) {
            header.putShort((short) 1).putShort((short) 24);
            header.putLong(entry.size()).putLong(entry.packed()).putLong(entry.header());
        }
        return header.rewind();
    }

    private void writeAll(ByteBuffer bytes) throws IOException {
        TensorBytes.writeFully(channel, bytes);
    }

    private static ByteBuffer buffer(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}
