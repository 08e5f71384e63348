package org.dit4j.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.RegularFile;

/**
 * By which a file is known to be as it was written.
 *
 * @param bytes its length
 * @param blocks CRC32C of each {@value #BLOCK} bytes, the last block perhaps shorter, as eight hexadecimal digits
 */
public record Checksums(long bytes, List<String> blocks) {
    private static final int BLOCK = 1 << 20;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** @throws IllegalArgumentException if there are not as many blocks as bytes need */
    public Checksums {
        blocks = List.copyOf(blocks);
        if (bytes < 0 || blocks.size() != (bytes + BLOCK - 1) / BLOCK)
            throw new IllegalArgumentException(blocks.size() + " checksums for " + bytes + " bytes; one for each MiB");
    }

    /** Reads a file. */
    public static Checksums of(Path file) throws IOException {
        try (FileChannel channel = RegularFile.open(file)) {
            long bytes = channel.size();
            List<String> blocks = new ArrayList<>();
            for (long at = 0; at < bytes; at += BLOCK) blocks.add(block(channel, at, bytes));
            return new Checksums(bytes, blocks);
        }
    }

    /** Shorter than it should be, it has another checksum. */
    private static String block(FileChannel channel, long at, long bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(BLOCK, bytes - at));
        while (buffer.hasRemaining() && channel.read(buffer, at + buffer.position()) >= 0) {}
        CRC32C crc = new CRC32C();
        crc.update(buffer.flip());
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    /**
     * What of a file is not as it was written, one line each.
     *
     * @param every how many blocks one is read of: 1 reads all
     * @param first the first block that is read
     */
    public List<String> damage(Path file, int every, int first) throws IOException {
        try (FileChannel channel = RegularFile.open(file)) {
            if (channel.size() != bytes)
                return List.of(file + ": has " + channel.size() + " bytes; " + bytes + " were written");
            List<String> damage = new ArrayList<>();
            for (int i = first; i < blocks.size(); i += every)
                if (!block(channel, (long) i * BLOCK, bytes).equals(blocks.get(i)))
                    damage.add(file + ": block " + i + " (from byte " + (long) i * BLOCK + " on) is damaged");
            return damage;
        }
    }

    private static Path beside(Path file) {
        return file.resolveSibling(file.getFileName() + ".checksums");
    }

    /** Keeps them beside the file until there is an index that has them. */
    public void keep(Path file) throws IOException {
        AtomicFile.write(beside(file), JSON.writeValueAsBytes(this));
    }

    /** What {@link #keep} kept for a file, if that can be read. */
    public static Optional<Checksums> kept(Path file) throws IOException {
        if (!Files.exists(beside(file))) return Optional.empty();
        try {
            return Optional.ofNullable(JSON.readValue(
                    RegularFile.readSmall(beside(file), 1 << 26, "a list of checksums"), Checksums.class));
        } catch (JsonProcessingException | NullPointerException e) {
            return Optional.empty();
        }
    }

    /** Removes what {@link #keep} kept for a file. */
    public static void forget(Path file) throws IOException {
        Files.deleteIfExists(beside(Objects.requireNonNull(file)));
    }
}
