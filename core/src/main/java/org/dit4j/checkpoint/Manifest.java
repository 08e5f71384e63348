package org.dit4j.checkpoint;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.dit4j.io.FormatException;
import org.dit4j.io.Sha256;

/**
 * What a whole checkpoint consists of, to the last bit: {@code MANIFEST.json}, the last file of a checkpoint to be written. Its own last
 * line is the SHA-256 of the lines before it.
 *
 * @param format {@value #FORMAT}
 * @param step of the checkpoint
 * @param files all others of its folder
 */
record Manifest(int format, long step, List<StoredFile> files) {
    static final String NAME = "MANIFEST.json";
    static final int FORMAT = 1;
    /** Bytes of a file with a digest of their own. */
    static final int BLOCK = 1 << 20;

    private static final int MAX_BYTES = 100_000_000;
    private static final String BEFORE_DIGEST = ",\n  \"sha256\" : \"", AFTER_DIGEST = "\"\n}\n";
    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * One file.
     *
     * @param blocks CRC32C of each block of {@value Manifest#BLOCK} bytes, the last one perhaps shorter, as eight hexadecimal digits
     * @param tensors by name, in the order of their bytes
     */
    record StoredFile(String name, long bytes, List<String> blocks, Map<String, StoredTensor> tensors) {
        private boolean isPossible() {
            if (bytes < 0 || blocks.size() != (bytes + BLOCK - 1) / BLOCK) return false;
            long at = 0;
            for (StoredTensor tensor : tensors.values()) {
                if (tensor == null || tensor.begin() < at || tensor.end() < tensor.begin()) return false;
                at = tensor.end();
            }
            return at <= bytes;
        }
    }

    /** Bytes {@code begin} to {@code end}, exclusive, of a file, and their SHA-256. */
    record StoredTensor(long begin, long end, String sha256) {}

    Manifest(long step, List<StoredFile> files) {
        this(FORMAT, step, files);
    }

    byte[] toBytes() throws IOException {
        String json = JSON.writer(new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n")))
                .writeValueAsString(this);
        byte[] body = json.substring(0, json.length() - "\n}".length()).getBytes(StandardCharsets.UTF_8);
        byte[] last = (BEFORE_DIGEST + Sha256.hex(body) + AFTER_DIGEST).getBytes(StandardCharsets.UTF_8);
        byte[] whole = Arrays.copyOf(body, body.length + last.length);
        System.arraycopy(last, 0, whole, body.length, last.length);
        return whole;
    }

    /**
     * Reads the manifest of a checkpoint's folder.
     *
     * @throws FormatException if a bit of it is not as it was written, or it is of another format
     */
    static Manifest read(Path checkpoint) throws IOException {
        Path file = checkpoint.resolve(NAME);
        if (!Files.isRegularFile(file)) throw new FormatException(file, "is not there, so the checkpoint is not whole");
        if (Files.size(file) > MAX_BYTES) throw new FormatException(file, "is above " + MAX_BYTES + " bytes");
        byte[] bytes = Files.readAllBytes(file);
        int tail = BEFORE_DIGEST.length() + 64 + AFTER_DIGEST.length(), size = Math.max(0, bytes.length - tail);
        String expected = BEFORE_DIGEST + Sha256.hex(Arrays.copyOf(bytes, size)) + AFTER_DIGEST;
        if (!Arrays.equals(expected.getBytes(StandardCharsets.UTF_8), Arrays.copyOfRange(bytes, size, bytes.length)))
            throw new FormatException(file, "is damaged: its digest, the last line, is not that of its content");
        try {
            return JSON.readerFor(Manifest.class)
                    .without(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                    .<Manifest>readValue(bytes)
                    .checked(file);
        } catch (JacksonException e) {
            throw new FormatException(file, "is not a manifest: " + e.getOriginalMessage(), e);
        }
    }

    private Manifest checked(Path file) throws FormatException {
        if (format != FORMAT)
            throw new FormatException(file, "is of format " + format + "; this version reads format " + FORMAT);
        if (files == null) throw new FormatException(file, "names no files");
        for (StoredFile stored : files) {
            // a name with a folder in it could lead anywhere
            boolean plain =
                    stored != null && stored.name() != null && stored.name().matches("[A-Za-z0-9_.-]+");
            if (!plain || stored.blocks() == null || stored.tensors() == null)
                throw new FormatException(file, "describes a file without a plain name, blocks or tensors");
            if (!stored.isPossible())
                throw new FormatException(file, "gives " + stored.name() + " blocks or tensors outside its size");
        }
        Set<String> names = files.stream().map(StoredFile::name).collect(Collectors.toSet());
        if (!CheckpointNames.areComplete(names))
            throw new FormatException(
                    file,
                    "lists " + names + "; a checkpoint has " + CheckpointNames.REQUIRED + " and optimizer.safetensors");
        return this;
    }

    /** Eight digits. */
    static String hex(int crc) {
        return HexFormat.of().toHexDigits(crc);
    }
}
