package org.dit4j.data;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dit4j.io.FormatException;

/**
 * Class names by folder name or by path, from a CSV file (RFC 4180) with a header line: one column holds the keys, another the names of
 * their classes. Classes are numbered in the order in which the table names them first.
 *
 * <p>With the Grocery Store data set's {@code classes.csv}, the key column {@code Class Name (str)} and the name column {@code Coarse Class
 * Name (str)} merge 81 folders into 43 classes, numbered as there.
 */
public final class ClassTable {
    private final Path file;
    private final Map<String, Integer> labels;
    private final List<String> classNames;

    private ClassTable(Path file, Map<String, Integer> labels, List<String> classNames) {
        this.file = file;
        this.labels = labels;
        this.classNames = classNames;
    }

    /**
     * Reads a table.
     *
     * @param keyColumn the header of the column of folder names, or of picture paths relative to the data set's root, with {@code /}
     * @param nameColumn the header of the column of class names; it may be the same
     * @throws FormatException if a column is missing, a line has too few or too many fields, or a key stands twice with different names
     */
    public static ClassTable read(Path file, String keyColumn, String nameColumn) throws IOException {
        List<List<String>> lines = parse(file);
        if (lines.isEmpty()) throw new FormatException(file, "empty; a table of classes has a header line");
        List<String> header = lines.get(0);
        int keyAt = column(file, header, keyColumn), nameAt = column(file, header, nameColumn);
        Map<String, Integer> labels = new LinkedHashMap<>();
        Map<String, Integer> names = new LinkedHashMap<>();
        for (int i = 1; i < lines.size(); i++) {
            List<String> line = lines.get(i);
            if (line.size() != header.size())
                throw new FormatException(
                        file, "row " + i + " has " + line.size() + " fields, the header has " + header.size());
            String key = line.get(keyAt), name = line.get(nameAt);
            if (key.isBlank() || name.isBlank()) throw new FormatException(file, "row " + i + " has an empty name");
            names.putIfAbsent(name, names.size());
            Integer label = names.get(name), before = labels.putIfAbsent(key, label);
            if (before != null && !before.equals(label))
                throw new FormatException(
                        file,
                        "row " + i + " puts \"" + key + "\" into \"" + name + "\", an earlier row into another class");
        }
        if (labels.isEmpty()) throw new FormatException(file, "names no class");
        return new ClassTable(file, labels, List.copyOf(names.keySet()));
    }

    private static int column(Path file, List<String> header, String name) throws FormatException {
        int column = header.indexOf(name);
        if (column < 0) throw new FormatException(file, "has no column \"" + name + "\"; its columns are " + header);
        return column;
    }

    private static List<List<String>> parse(Path file) throws IOException {
        String text;
        try {
            text = Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "not UTF-8 text", e);
        }
        if (text.startsWith("\uFEFF")) text = text.substring(1); // as spreadsheets write it
        List<List<String>> lines = new ArrayList<>();
        List<String> line = new ArrayList<>();
        StringBuilder field = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (quoted) {
                if (c != '"') field.append(c);
                else if (i + 1 < text.length() && text.charAt(i + 1) == '"') field.append(text.charAt(++i));
                else quoted = false;
            } else if (c == '"') quoted = true;
            else if (c == ',') end(field, line);
            else if (c == '\n') endLine(field, line, lines);
            else if (c != '\r') field.append(c);
        }
        if (quoted) throw new FormatException(file, "a quoted field does not end");
        endLine(field, line, lines);
        return lines;
    }

    private static void end(StringBuilder field, List<String> line) {
        line.add(field.toString().strip());
        field.setLength(0);
    }

    private static void endLine(StringBuilder field, List<String> line, List<List<String>> lines) {
        end(field, line);
        if (line.size() > 1 || !line.get(0).isEmpty()) lines.add(List.copyOf(line)); // not an empty line
        line.clear();
    }

    /** The classes, in order. */
    public List<String> classNames() {
        return classNames;
    }

    /** The class of a key, or null if the table does not have it. */
    Integer label(String key) {
        return labels.get(key);
    }

    /** Where the table was read from, for messages. */
    Path file() {
        return file;
    }
}
