package org.dit4j.io;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.SafetensorsHeader.Entry;

/** The JSON header of a safetensors file, read as a stream, so that a hostile one costs no more memory than its own size suggests. */
final class SafetensorsJson {
    /** The format's own limit. */
    static final int MAX_BYTES = 100_000_000;

    private static final int MAX_TENSORS = 1_000_000, MAX_DIMENSIONS = 64;
    private static final String METADATA = "__metadata__";

    /** Nesting as in the original's parser; the names and strings of a header are bounded by its size. */
    static final JsonFactory JSON = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(128)
                    .maxStringLength(MAX_BYTES)
                    .maxNameLength(1 << 20)
                    .build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private static final Map<String, ScalarType> DTYPES = Map.ofEntries(
            Map.entry("BOOL", ScalarType.Bool),
            Map.entry("U8", ScalarType.Byte),
            Map.entry("I8", ScalarType.Char),
            Map.entry("F8_E5M2", ScalarType.Float8_e5m2),
            Map.entry("F8_E4M3", ScalarType.Float8_e4m3fn),
            Map.entry("F8_E5M2FNUZ", ScalarType.Float8_e5m2fnuz),
            Map.entry("F8_E4M3FNUZ", ScalarType.Float8_e4m3fnuz),
            Map.entry("F8_E8M0", ScalarType.Float8_e8m0fnu),
            Map.entry("I16", ScalarType.Short),
            Map.entry("U16", ScalarType.UInt16),
            Map.entry("F16", ScalarType.Half),
            Map.entry("BF16", ScalarType.BFloat16),
            Map.entry("I32", ScalarType.Int),
            Map.entry("U32", ScalarType.UInt32),
            Map.entry("F32", ScalarType.Float),
            Map.entry("C64", ScalarType.ComplexFloat),
            Map.entry("F64", ScalarType.Double),
            Map.entry("I64", ScalarType.Long),
            Map.entry("U64", ScalarType.UInt64));
    /** Those that no tensor here can have, and their bits. */
    private static final Map<String, Integer> PACKED = Map.of("F4", 4, "F6_E2M3", 6, "F6_E3M2", 6);

    private final Path path;
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private final List<Named> entries = new ArrayList<>();

    /** A tensor as the header has it. */
    private record Named(String key, String dtype, List<Long> shape, long begin, long end) {}

    private SafetensorsJson(Path path) {
        this.path = path;
    }

    static SafetensorsHeader read(Path path, FileChannel channel) throws IOException {
        if (channel.size() < 8)
            throw new FormatException(path, whatElse(channel, "too short to be a safetensors file"));
        ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        TensorBytes.readFully(path.toString(), channel, length, 0);
        long size = length.flip().getLong();
        if (size < 2 || size > MAX_BYTES || size + 8 > channel.size())
            throw new FormatException(path, whatElse(channel, unfit(size, channel)));
        ByteBuffer text = ByteBuffer.allocate((int) size);
        TensorBytes.readFully(path.toString(), channel, text, 8);
        int first = 0;
        while (first < size - 1 && " \t\r\n".indexOf(text.get(first)) >= 0) first++; // as in the original's own tests
        if (text.get(first) != '{') throw new FormatException(path, "the header does not begin with {");
        return new SafetensorsJson(path).parse(text.array(), channel.size() - 8 - size);
    }

    private static String unfit(long size, FileChannel channel) throws IOException {
        ByteBuffer next = ByteBuffer.allocate(1);
        boolean header = size >= 2 && size <= MAX_BYTES && channel.read(next, 8) == 1 && next.get(0) == '{';
        return header
                ? "cut short: its header length is " + size + ", but the file has only " + channel.size()
                        + " bytes; fetch or copy it again"
                : "header length " + Long.toUnsignedString(size)
                        + " does not fit the file; is this a safetensors file?";
    }

    private static String whatElse(FileChannel channel, String otherwise) throws IOException {
        ByteBuffer begin = ByteBuffer.allocate((int) Math.min(FileKind.LENGTH, channel.size()));
        TensorBytes.readFully("", channel, begin, 0);
        return FileKind.of(begin.array()).orElse(otherwise);
    }

    private SafetensorsHeader parse(byte[] text, long dataSize) throws IOException {
        InputStreamReader utf8 = new InputStreamReader(
                new ByteArrayInputStream(text), StandardCharsets.UTF_8.newDecoder()); // reports what is not UTF-8
        try (JsonParser json = JSON.createParser(utf8)) {
            json.nextToken();
            while (json.nextToken() != JsonToken.END_OBJECT) {
                String key = json.currentName();
                json.nextToken();
                if (key.equals(METADATA)) readMetadata(json);
                else readEntry(key, json);
            }
            if (json.nextToken() != null) throw problem("the header goes on after its closing brace");
        } catch (JacksonException e) {
            throw new FormatException(path, "the header is not correct JSON: " + e.getOriginalMessage(), e);
        } catch (CharacterCodingException e) {
            throw new FormatException(path, "the header is not UTF-8", e);
        }
        return checked(text.length, dataSize);
    }

    private void readMetadata(JsonParser json) throws IOException {
        if (json.currentToken() == JsonToken.VALUE_NULL) return;
        require(json.currentToken() == JsonToken.START_OBJECT, METADATA + " is not an object");
        while (json.nextToken() != JsonToken.END_OBJECT) {
            String key = json.currentName();
            require(json.nextToken() == JsonToken.VALUE_STRING, METADATA + ": " + key + " is not a string");
            metadata.put(key, json.getText());
        }
    }

    private void readEntry(String key, JsonParser json) throws IOException {
        require(json.currentToken() == JsonToken.START_OBJECT, key + " is not an object");
        require(StandardCharsets.UTF_8.newEncoder().canEncode(key), "a tensor's name is not Unicode");
        require(entries.size() < MAX_TENSORS, "more than " + MAX_TENSORS + " tensors");
        String dtype = null;
        List<Long> shape = null, offsets = null;
        while (json.nextToken() != JsonToken.END_OBJECT) {
            String field = json.currentName();
            json.nextToken();
            switch (field) {
                case "dtype" -> {
                    require(json.currentToken() == JsonToken.VALUE_STRING, key + ": dtype is not a string");
                    dtype = json.getText();
                }
                case "shape" -> shape = readSizes(key, field, json, MAX_DIMENSIONS);
                case "data_offsets" -> offsets = readSizes(key, field, json, 2);
                default -> json.skipChildren();
            }
        }
        require(dtype != null && shape != null && offsets != null, key + " lacks dtype, shape or data_offsets");
        require(offsets.size() == 2, key + " has data_offsets " + offsets + "; two are needed");
        // a dtype of tomorrow is no reason to hide the other tensors
        require(dtype.matches("[A-Z][A-Z0-9_]{0,31}"), key + " has the unknown dtype \"" + dtype + "\"");
        entries.add(new Named(key, dtype, shape, offsets.get(0), offsets.get(1)));
    }

    private List<Long> readSizes(String key, String field, JsonParser json, int most) throws IOException {
        require(json.currentToken() == JsonToken.START_ARRAY, key + ": " + field + " is not an array");
        List<Long> sizes = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
            require(json.currentToken() == JsonToken.VALUE_NUMBER_INT, key + ": " + field + " is not of integers");
            require(sizes.size() < most, key + ": " + field + " has more than " + most + " numbers");
            long size = json.getLongValue();
            require(size >= 0, key + ": " + field + " has the negative number " + size);
            sizes.add(size);
        }
        return List.copyOf(sizes);
    }

    private SafetensorsHeader checked(int headerSize, long dataSize) throws FormatException {
        entries.sort(Comparator.comparingLong(Named::begin).thenComparingLong(Named::end));
        Map<String, Entry> ordered = new LinkedHashMap<>();
        Map<String, String> unread = new LinkedHashMap<>();
        long at = 0;
        for (Named entry : entries) {
            String key = entry.key();
            require(
                    entry.begin() == at && entry.end() >= at,
                    key + " is at bytes " + entry.begin() + " to " + entry.end() + ", expected from " + at
                            + ": data with a gap or an overlap");
            ScalarType dtype = DTYPES.get(entry.dtype());
            Integer bits = dtype == null ? PACKED.get(entry.dtype()) : Integer.valueOf(8 * Dtypes.bytes(dtype));
            if (bits != null) {
                long size = size(key, entry.shape(), bits);
                require(
                        entry.end() - at == size,
                        key + " has " + (entry.end() - at) + " bytes, its shape " + entry.shape() + " needs " + size);
            }
            at = entry.end();
            if (dtype == null) unread.put(key, entry.dtype() + " " + entry.shape());
            else ordered.put(key, new Entry(dtype, entry.shape(), entry.begin(), entry.end()));
        }
        require(
                at == dataSize,
                "the tensors have " + at + " bytes, the file has " + dataSize + " after its header; was it cut short?"
                        + " Fetch or copy it again");
        return new SafetensorsHeader(ordered, unread, metadata, 8L + headerSize);
    }

    private long size(String key, List<Long> shape, int bits) throws FormatException {
        try {
            long size = 1;
            for (long dimension : shape) size = Math.multiplyExact(size, dimension);
            size = Math.multiplyExact(size, bits);
            require(size % 8 == 0, key + " has the shape " + shape + ", no whole number of bytes");
            return size / 8;
        } catch (ArithmeticException e) {
            throw problem(key + " has the shape " + shape + ", above every file's size");
        }
    }

    private void require(boolean condition, String problem) throws FormatException {
        if (!condition) throw problem(problem);
    }

    private FormatException problem(String problem) {
        return new FormatException(path, problem);
    }

    static byte[] encode(Map<String, Tensor> tensors, Map<String, String> metadata) throws IOException {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        try (JsonGenerator json = JSON.createGenerator(text)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeObjectFieldStart(METADATA);
                for (Map.Entry<String, String> item : metadata.entrySet())
                    json.writeStringField(item.getKey(), item.getValue());
                json.writeEndObject();
            }
            long offset = 0;
            for (Map.Entry<String, Tensor> named : tensors.entrySet()) {
                Tensor tensor = named.getValue();
                if (named.getKey().equals(METADATA))
                    throw new IllegalArgumentException("a tensor cannot be called " + METADATA);
                json.writeObjectFieldStart(named.getKey());
                json.writeStringField("dtype", name(named.getKey(), Dtypes.of(tensor)));
                json.writeFieldName("shape");
                json.writeArray(tensor.shape(), 0, tensor.shape().length);
                json.writeFieldName("data_offsets");
                json.writeArray(new long[] {offset, offset + tensor.nbytes()}, 0, 2);
                json.writeEndObject();
                offset += tensor.nbytes();
            }
            json.writeEndObject();
        }
        while (text.size() % 8 != 0) text.write(' ');
        return text.toByteArray();
    }

    private static String name(String key, ScalarType dtype) {
        for (Map.Entry<String, ScalarType> known : DTYPES.entrySet())
            if (known.getValue() == dtype) return known.getKey();
        throw new IllegalArgumentException(key + " is of " + dtype + ", which safetensors cannot hold");
    }
}
