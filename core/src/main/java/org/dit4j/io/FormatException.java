package org.dit4j.io;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

/** A file is not what its format promises: damaged, cut short, or hostile. The message names the file and the place. */
public class FormatException extends IOException {
    private static final long serialVersionUID = 1;
    private static final int MAX_LENGTH = 2000, MAX_PARTS = 1000;

    /** {@code path: problem}. */
    public FormatException(Path path, String problem) {
        this(path.toString(), problem);
    }

    /** {@code path: problem}, with what caused it. */
    public FormatException(Path path, String problem, Throwable cause) {
        this(path.toString(), problem, cause);
    }

    /** {@code name: problem}, for what is not a file of its own, such as an entry of an archive. */
    public FormatException(String name, String problem) {
        super(printable(name + ": " + problem));
    }

    /** {@code name: problem}, with what caused it. */
    public FormatException(String name, String problem, Throwable cause) {
        super(printable(name + ": " + problem), cause);
    }

    /** {@code path: problem}, and each of its parts on a line of its own. */
    public FormatException(Path path, String problem, List<String> parts) {
        super(printable(path + ": " + problem)
                + parts.stream()
                        .limit(MAX_PARTS)
                        .map(part -> "\n  " + printable(part))
                        .collect(Collectors.joining())
                + (parts.size() > MAX_PARTS ? "\n  and " + (parts.size() - MAX_PARTS) + " more" : ""));
    }

    /** Where {@code problem} has the file's name already. */
    public FormatException(String problem, IOException cause) {
        super(printable(problem), cause);
    }

    /** Another one, with what to do. */
    public FormatException(FormatException cause, String advice) {
        super(cause.getMessage() + "; " + advice, cause);
    }

    /** Names inside a hostile file may be long, or made to confuse a terminal. */
    private static String printable(String message) {
        String shown = message.length() > MAX_LENGTH ? message.substring(0, MAX_LENGTH) + "…" : message;
        return shown.replaceAll("\\p{Cntrl}", "?");
    }
}
