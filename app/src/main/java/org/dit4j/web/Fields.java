package org.dit4j.web;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.util.Iterator;
import java.util.List;
import org.dit4j.report.DidYouMean;

/** The fields of a client's object, each checked where it is read; those that nobody knows are refused, so that a typing error is no default. */
final class Fields {
    private static final int SHOWN = 40;

    private final ObjectNode object;
    private final String place;

    /** @param place the pointer to {@code object} */
    Fields(ObjectNode object, String place, List<String> known) {
        this.object = object;
        this.place = place;
        for (Iterator<String> names = object.fieldNames(); names.hasNext(); ) {
            String name = names.next();
            if (!known.contains(name))
                throw Problem.field(
                        pointer(name),
                        "unknown field \"" + shown(name) + "\"; known are " + known
                                + DidYouMean.hint(shown(name), known));
        }
    }

    String pointer(String name) {
        return place + "/" + shown(name).replace("~", "~0").replace("/", "~1");
    }

    private static String shown(String text) {
        return text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "…";
    }

    boolean has(String name) {
        return object.hasNonNull(name);
    }

    JsonNode node(String name) {
        return object.path(name);
    }

    String text(String name, String otherwise) {
        if (!has(name)) return otherwise;
        if (!node(name).isTextual()) throw wrong(name, "a text");
        return node(name).textValue();
    }

    boolean flag(String name) {
        if (!has(name)) return false;
        if (!node(name).isBoolean()) throw wrong(name, "true or false");
        return node(name).booleanValue();
    }

    double number(String name, double otherwise, double min, double max) {
        if (!has(name)) return otherwise;
        double value = node(name).isNumber() ? node(name).doubleValue() : Double.NaN;
        if (!(value >= min && value <= max)) throw wrong(name, "a number from " + plain(min) + " to " + plain(max));
        return value;
    }

    private static String plain(double value) {
        return value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
    }

    int count(String name, int otherwise, int min, int max) {
        if (!has(name)) return otherwise;
        JsonNode node = node(name);
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.intValue() < min || node.intValue() > max)
            throw wrong(name, "a whole number from " + min + " to " + max);
        return node.intValue();
    }

    /** A whole number of 64 bits; as a text too, because numbers of browsers have 53. */
    long whole(String name, long otherwise, long min) {
        if (!has(name)) return otherwise;
        return whole(node(name), pointer(name), min);
    }

    static long whole(JsonNode node, String pointer, long min) {
        BigInteger value = node.isIntegralNumber()
                ? node.bigIntegerValue()
                : node.isTextual() && node.textValue().matches("-?\\d{1,20}") ? new BigInteger(node.textValue()) : null;
        if (value == null || value.bitLength() > 63 || value.longValueExact() < min)
            throw Problem.field(pointer, given(node) + " is no whole number from " + min + " to " + Long.MAX_VALUE);
        return value.longValueExact();
    }

    /** The constant that a text names as flags do. */
    <E extends Enum<E>> E choice(String name, E otherwise, List<E> known, java.util.function.Function<E, String> word) {
        if (!has(name)) return otherwise;
        String given = text(name, "");
        for (E one : known) if (word.apply(one).equals(given)) return one;
        List<String> words = known.stream().map(word).toList();
        throw Problem.field(
                pointer(name), "\"" + shown(given) + "\" is none of " + words + DidYouMean.hint(shown(given), words));
    }

    Problem wrong(String name, String allowed) {
        return Problem.field(pointer(name), given(node(name)) + " is not " + allowed);
    }

    private static String given(JsonNode node) {
        return shown(node.toString());
    }
}
