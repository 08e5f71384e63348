package org.dit4j.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.file.Path;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.FormatException;
import org.dit4j.io.RegularFile;

/** Small JSON files beside weights. */
final class JsonFile {
    /** Python writes numbers that JSON has not: {@code -Infinity}. */
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    private static final int MAX_BYTES = 1 << 20;

    private JsonFile() {}

    /** @throws FormatException if the file is no JSON object, or far too large for one */
    static JsonNode read(Path file) throws IOException {
        byte[] text = RegularFile.readSmall(file, MAX_BYTES, "a configuration");
        try {
            JsonNode node = JSON.readTree(text);
            if (!node.isObject()) throw new FormatException(file, "is not a JSON object");
            return node;
        } catch (JsonProcessingException e) {
            throw new FormatException(file, "is not JSON: " + e.getOriginalMessage(), e);
        } catch (CharConversionException e) { // what looks like UTF-32
            throw new FormatException(file, "is not JSON: " + e.getMessage(), e);
        }
    }

    /** A positive whole number. */
    static int integer(Path file, JsonNode object, String key, int absent) throws FormatException {
        JsonNode value = object.get(key);
        if (value == null || value.isNull()) return absent;
        if (!value.canConvertToInt() || !value.isIntegralNumber() || value.asInt() < 1)
            throw new FormatException(file, key + " is " + value + "; it must be a positive whole number");
        return value.asInt();
    }

    /** Writes a file whole or not at all. */
    static void write(Path file, JsonNode node) throws IOException {
        AtomicFile.write(file, toBytes(node));
    }

    /** As it is written. */
    static byte[] toBytes(JsonNode node) throws IOException {
        return JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(node);
    }
}
