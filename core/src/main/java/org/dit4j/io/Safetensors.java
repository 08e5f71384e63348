package org.dit4j.io;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** The safetensors format: a JSON header and raw little-endian tensors. */
public final class Safetensors {
    private static final int MAX_HEADER_BYTES = 100_000_000;
    private static final ObjectMapper JSON = new ObjectMapper();

    static {
        Backend.configure();
    }

    private Safetensors() {}

    /** A tensor of a file: its dtype, shape and place among the data, begin inclusive, end exclusive. */
    public record Entry(ScalarType dtype, List<Long> shape, long begin, long end) {}

    /** What a file holds, in the order of its data. */
    public record Header(Map<String, Entry> entries, Map<String, String> metadata, long dataOffset) {}

    /** Reads what a file holds without its data. */
    public static Header header(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return header(path, channel);
        }
    }

    /** Every tensor of a file, on the CPU, in the order of its data. */
    public static Map<String, Tensor> read(Path path) throws IOException {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            Header header = header(path, channel);
            for (Map.Entry<String, Entry> named : header.entries().entrySet()) {
                Entry entry = named.getValue();
                Tensor tensor = Tensors.empty(
                        entry.dtype(),
                        entry.shape().stream().mapToLong(Long::longValue).toArray());
                try (TensorScope scope = new TensorScope()) {
                    BytePointer bytes = new BytePointer(tensor.data_ptr());
                    long size = entry.end() - entry.begin();
                    for (long done = 0; done < size; ) {
                        int chunk = (int) Math.min(size - done, 1 << 30);
                        ByteBuffer buffer =
                                bytes.position(done).limit(done + chunk).asBuffer();
                        readFully(path, channel, buffer, header.dataOffset() + entry.begin() + done);
                        done += chunk;
                    }
                }
                tensors.put(named.getKey(), tensor);
            }
        }
        return tensors;
    }

    /**
     * Writes tensors in the order of the map, to a temporary name beside {@code path} that is then renamed, so that a file of this name is
     * always whole.
     */
    public static void write(Path path, Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        Path temporary = path.resolveSibling(
                path.getFileName() + ".tmp-" + ProcessHandle.current().pid());
        try {
            try (FileChannel channel = FileChannel.open(
                            temporary,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.TRUNCATE_EXISTING,
                            StandardOpenOption.WRITE);
                    TensorScope scope = new TensorScope()) {
                byte[] header = encodeHeader(tensors, metadata);
                ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
                writeFully(channel, start.putLong(header.length).put(header).flip());
                for (Tensor tensor : tensors.values()) writeData(channel, tensor);
                channel.force(true);
            }
            Files.move(temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static void writeData(FileChannel channel, Tensor tensor) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Tensor host = tensor.detach()
                    .to(Backend.device("cpu"), tensor.scalar_type(), false, false, null)
                    .contiguous();
            BytePointer bytes = new BytePointer(host.data_ptr());
            long size = host.nbytes();
            for (long done = 0; done < size; ) {
                int chunk = (int) Math.min(size - done, 1 << 30);
                writeFully(channel, bytes.position(done).limit(done + chunk).asBuffer());
                done += chunk;
            }
        }
    }

    private static byte[] encodeHeader(Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        ObjectNode root = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode node = root.putObject("__metadata__");
            metadata.forEach(node::put);
        }
        long offset = 0;
        for (Map.Entry<String, Tensor> named : tensors.entrySet()) {
            Tensor tensor = named.getValue();
            ObjectNode node = root.putObject(named.getKey());
            node.put("dtype", name(Tensors.dtype(tensor)));
            var shape = node.putArray("shape");
            for (long size : tensor.shape()) shape.add(size);
            long end = offset + tensor.nbytes();
            node.putArray("data_offsets").add(offset).add(end);
            offset = end;
        }
        byte[] json = JSON.writeValueAsBytes(root);
        byte[] padded = java.util.Arrays.copyOf(json, (json.length + 7) / 8 * 8);
        java.util.Arrays.fill(padded, json.length, padded.length, (byte) ' ');
        return padded;
    }

    private static Header header(Path path, FileChannel channel) throws IOException {
        ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        readFully(path, channel, length, 0);
        long size = length.flip().getLong();
        if (size < 2 || size > MAX_HEADER_BYTES || size + 8 > channel.size())
            throw new FormatException(
                    path,
                    "header length " + Long.toUnsignedString(size)
                            + " does not fit the file; is this a safetensors file?");
        ByteBuffer text = ByteBuffer.allocate((int) size);
        readFully(path, channel, text, 8);
        JsonNode root;
        try {
            root = JSON.readTree(new String(text.array(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new FormatException(path, "the header is not JSON: " + e.getMessage(), e);
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        List<Map.Entry<String, Entry>> entries = new ArrayList<>();
        for (Map.Entry<String, JsonNode> field : root.properties()) {
            if (field.getKey().equals("__metadata__")) {
                for (Map.Entry<String, JsonNode> item : field.getValue().properties())
                    metadata.put(item.getKey(), item.getValue().asText());
                continue;
            }
            JsonNode node = field.getValue();
            List<Long> shape = new ArrayList<>();
            node.path("shape").forEach(dim -> shape.add(dim.asLong()));
            ScalarType dtype = dtype(path, field.getKey(), node.path("dtype").asText());
            JsonNode offsets = node.path("data_offsets");
            entries.add(Map.entry(
                    field.getKey(),
                    new Entry(
                            dtype,
                            List.copyOf(shape),
                            offsets.path(0).asLong(),
                            offsets.path(1).asLong())));
        }
        entries.sort((a, b) -> Long.compare(a.getValue().begin(), b.getValue().begin()));
        Map<String, Entry> ordered = new LinkedHashMap<>();
        entries.forEach(entry -> ordered.put(entry.getKey(), entry.getValue()));
        return new Header(ordered, metadata, 8 + size);
    }

    private static ScalarType dtype(Path path, String key, String name) throws FormatException {
        return switch (name) {
            case "F64" -> ScalarType.Double;
            case "F32" -> ScalarType.Float;
            case "F16" -> ScalarType.Half;
            case "BF16" -> ScalarType.BFloat16;
            case "I64" -> ScalarType.Long;
            case "I32" -> ScalarType.Int;
            case "I16" -> ScalarType.Short;
            case "I8" -> ScalarType.Char;
            case "U8" -> ScalarType.Byte;
            case "BOOL" -> ScalarType.Bool;
            default -> throw new FormatException(path, key + " has the unknown dtype \"" + name + "\"");
        };
    }

    private static String name(ScalarType dtype) {
        return switch (dtype) {
            case Double -> "F64";
            case Float -> "F32";
            case Half -> "F16";
            case BFloat16 -> "BF16";
            case Long -> "I64";
            case Int -> "I32";
            case Short -> "I16";
            case Char -> "I8";
            case Byte -> "U8";
            case Bool -> "BOOL";
            default -> throw new IllegalArgumentException("safetensors has no dtype for " + dtype);
        };
    }

    private static void readFully(Path path, FileChannel channel, ByteBuffer buffer, long position) throws IOException {
        while (buffer.hasRemaining()) {
            int count = channel.read(buffer, position);
            if (count < 0) throw new FormatException(path, "cut short at byte " + position, new EOFException());
            position += count;
        }
    }

    private static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) channel.write(buffer);
    }
}
