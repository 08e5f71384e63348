package org.dit4j.report;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.dit4j.io.FormatException;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.Event.ID;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * A YAML file of flags: one mapping from flag names without their dashes to values or lists of values, {@code image-size: 32}. Text only; what a
 * value means is the flag's business. Read from parser events, so that a hostile file has nothing to nest or to expand.
 */
public record Recipe(Path path, Map<String, Entry> entries) {
    /** No recipe written by a person comes near it. */
    private static final int MAX_BYTES = 1 << 20;

    /** The values of one key as they stand in the file, and where the key and its first value are. */
    public record Entry(List<String> values, Place key, Place value) {}

    /** A place in the file; {@code line} and {@code column} count from 1. */
    public record Place(Path path, int line, int column) {
        private static Place of(Path path, Optional<Mark> mark) {
            return new Place(
                    path,
                    mark.map(Mark::getLine).orElse(0) + 1,
                    mark.map(Mark::getColumn).orElse(0) + 1);
        }

        /** The exception that says {@code file:line:column: message}. */
        public FormatException problem(String message) {
            return new FormatException(toString(), message);
        }

        @Override
        public String toString() {
            return path + ":" + line + ":" + column;
        }
    }

    /** No key at all: everything is a flag or a default. */
    public static final Recipe NONE = new Recipe(Path.of(""), Map.of());

    /**
     * Reads a file.
     *
     * @throws FormatException with the place of the first thing that is not a flat mapping of scalars
     * @throws IOException if there is no such file, or it is none of text
     */
    public static Recipe read(Path path) throws IOException {
        return parse(path, text(path));
    }

    /** A recipe of the folder {@code recipes}, which the jar carries; read as if the current folder had it. */
    public static Recipe builtIn(String name) throws IOException {
        Path path = Path.of("recipes", name);
        try (InputStream in = Recipe.class.getResourceAsStream("/recipes/" + name)) {
            if (in == null) throw new IOException(path + " is not in this jar");
            return parse(path, new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    private static Recipe parse(Path path, String text) throws FormatException {
        LoadSettings settings = LoadSettings.builder()
                .setLabel(path.toString())
                .setCodePointLimit(MAX_BYTES)
                .build();
        try {
            return new Recipe(
                    path, entries(path, new Parse(settings).parseString(text).iterator()));
        } catch (MarkedYamlEngineException e) {
            throw Place.of(path, e.getProblemMark()).problem("not YAML: " + e.getProblem());
        } catch (YamlEngineException e) {
            throw new FormatException(path, "not YAML: " + e.getMessage(), e);
        }
    }

    private static String text(Path path) throws IOException {
        if (Files.isDirectory(path)) throw new FormatException(path, "is a folder; a recipe is a YAML file");
        if (Files.size(path) > MAX_BYTES)
            throw new FormatException(path, "has " + Files.size(path) + " bytes; a recipe has at most " + MAX_BYTES);
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(path)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(path, "is not UTF-8 text; a recipe is a YAML file", e);
        }
    }

    private static Map<String, Entry> entries(Path path, Iterator<Event> events) throws FormatException {
        Map<String, Entry> entries = new LinkedHashMap<>();
        events.next(); // the start of the stream
        if (events.next().getEventId() == ID.StreamEnd) return entries;
        Event root = events.next();
        boolean empty = root instanceof ScalarEvent scalar && scalar.getValue().isEmpty();
        if (empty) return entries;
        if (root.getEventId() != ID.MappingStart)
            throw place(path, root).problem("a recipe is lines of \"flag: value\", as in \"image-size: 32\"");
        for (Event key = events.next(); key.getEventId() != ID.MappingEnd; key = events.next()) {
            String name = scalar(path, key, "a key");
            Entry former = entries.get(name);
            if (former != null)
                throw place(path, key)
                        .problem("\"" + name + "\" stands here a second time, first on line "
                                + former.key().line());
            entries.put(name, entry(path, key, events));
        }
        events.next(); // the end of the document
        Event rest = events.next();
        if (rest.getEventId() != ID.StreamEnd) throw place(path, rest).problem("a recipe is one YAML document");
        return entries;
    }

    private static Entry entry(Path path, Event key, Iterator<Event> events) throws FormatException {
        Event value = events.next();
        List<String> values = new ArrayList<>();
        if (value.getEventId() == ID.SequenceStart) {
            for (Event item = events.next(); item.getEventId() != ID.SequenceEnd; item = events.next())
                values.add(scalar(path, item, "an item of a list"));
        } else values.add(scalar(path, value, "the value of \"" + ((ScalarEvent) key).getValue() + "\""));
        return new Entry(values, place(path, key), place(path, value));
    }

    private static String scalar(Path path, Event event, String what) throws FormatException {
        if (!(event instanceof ScalarEvent scalar))
            throw place(path, event)
                    .problem(what + " is a number, a word or a quoted text here, nothing nested or aliased");
        boolean absent = scalar.isPlain() && List.of("", "~", "null").contains(scalar.getValue());
        if (absent) throw place(path, event).problem(what + " is missing; leave the line out to get the default");
        return scalar.getValue();
    }

    private static Place place(Path path, Event event) {
        return Place.of(path, event.getStartMark());
    }
}
