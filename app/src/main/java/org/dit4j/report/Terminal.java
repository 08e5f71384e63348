package org.dit4j.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * What standard error is connected to.
 *
 * @param interactive whether a person watches, so that a line may be rewritten
 * @param color whether to use colour
 * @param columns width of a line
 */
public record Terminal(boolean interactive, boolean color, int columns) {
    private static final int DEFAULT_COLUMNS = 100;

    /**
     * Asks the launcher, which can see it ({@code -Ddit.columns}: the width of standard error, 0 if it is no terminal), else Linux. Where neither knows,
     * lines are plain: a file full of carriage returns is worse than a terminal without a bar.
     */
    public static Terminal ofStandardError() {
        Integer columns = Integer.getInteger("dit.columns");
        boolean interactive = columns != null ? columns > 0 : isTerminal(Path.of("/proc/self/fd/2"));
        return of(interactive, columns == null || columns == 0 ? DEFAULT_COLUMNS : columns, System.getenv());
    }

    /** What standard output is connected to, on Linux; elsewhere it counts as a file. The launcher's width is that of the same window. */
    public static Terminal ofStandardOutput() {
        int columns = Integer.getInteger("dit.columns", 0);
        return of(isTerminal(Path.of("/proc/self/fd/1")), columns == 0 ? DEFAULT_COLUMNS : columns, System.getenv());
    }

    /** <a href="https://no-color.org">NO_COLOR</a>, if set to anything, takes the colour away; so does a dumb terminal. */
    static Terminal of(boolean interactive, int columns, Map<String, String> environment) {
        boolean dumb = "dumb".equals(environment.get("TERM"));
        boolean refused = !environment.getOrDefault("NO_COLOR", "").isEmpty();
        return new Terminal(interactive && !dumb, interactive && !dumb && !refused, columns);
    }

    private static boolean isTerminal(Path descriptor) {
        try {
            String target = Files.readSymbolicLink(descriptor).toString();
            return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
        } catch (IOException | UnsupportedOperationException e) {
            return false; // not Linux
        }
    }
}
