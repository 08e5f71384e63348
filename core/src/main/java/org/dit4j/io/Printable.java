package org.dit4j.io;

/**
 * Text of others (names of classes and files, metadata) as people may see it: what steers a terminal or turns the reading direction is
 * shown as {@code \}{@code uXXXX}, which is also how JSON writes it.
 */
public final class Printable {
    private Printable() {}

    /** {@code text} with its control characters escaped, but for line feeds and tabs. */
    public static String text(String text) {
        return escaped(text, false);
    }

    /** As {@link #text}, on one line: line feeds and tabs are escaped too. */
    public static String line(String text) {
        return escaped(text, true);
    }

    private static String escaped(String text, boolean oneLine) {
        StringBuilder result = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean kept = (c == '\n' || c == '\t' || c == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n')
                    && !oneLine;
            if (!kept && steers(c)) {
                if (result == null) result = new StringBuilder(text.length() + 16).append(text, 0, i);
                result.append(String.format("\\u%04x", (int) c));
            } else if (result != null) result.append(c);
        }
        return result == null ? text : result.toString();
    }

    /** C0, DEL and C1; the marks, embeddings, overrides and isolates of bidirectional text; the line and paragraph separators. */
    private static boolean steers(char c) {
        return c < 0x20
                || c >= 0x7f && c < 0xa0
                || c == 0x061c
                || c == 0x200e
                || c == 0x200f
                || c >= 0x2028 && c <= 0x202e
                || c >= 0x2066 && c <= 0x2069;
    }
}
