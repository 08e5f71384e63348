package org.dit4j.io;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.DateTimeException;
import java.time.Instant;

/** The lines of a log of JSON objects, one to a line. */
public final class JsonLine {
    private static final ObjectMapper JSON = new ObjectMapper();

    private JsonLine() {}

    /** A line as JSON; a missing node if it is none: somebody edited it, or a power failure cut it short. */
    public static JsonNode parse(String line) {
        try {
            return JSON.readTree(line);
        } catch (JsonProcessingException e) {
            return JSON.missingNode();
        }
    }

    /** Puts a number into a line; null in place of NaN and infinities, which JSON does not have. */
    public static void put(ObjectNode line, String key, double value) {
        line.put(key, finite(value));
    }

    /** A number of a line; NaN where there is none: JSON has no number for it. */
    public static double number(JsonNode value) {
        return value.isNumber() ? value.asDouble() : Double.NaN;
    }

    /** A time of a line; the epoch where it is none, because somebody edited it. */
    public static Instant instant(JsonNode value) {
        try {
            return Instant.parse(value.asText());
        } catch (DateTimeException e) {
            return Instant.EPOCH;
        }
    }

    /** The number, or null if it is none that JSON has. */
    public static Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }
}
