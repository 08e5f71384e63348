package org.dit4j.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.dit4j.io.NoLinks;
import org.dit4j.io.Printable;
import org.dit4j.io.Uninterrupted;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@code log.txt}, in the published format, and of what it says that which a person at a terminal wants to know too. */
final class RunLog {
    private static final Logger LOGGER = LoggerFactory.getLogger(RunLog.class);
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

    private final Path file;
    /** How a line begins that says which setting the run goes on with, and which it had. */
    static final String CHANGED = "Changed ";

    private static final int TIME_LENGTH = "[yyyy-MM-dd HH:mm:ss".length();
    private static final TrainingListener SILENT = new TrainingListener() {};

    /** Null until {@link #tellTo}; what is to be told until then waits for it. */
    private TrainingListener listener;

    private final List<String> untold = new ArrayList<>();

    RunLog(Path file) {
        this.file = file;
    }

    /** From now on tells this listener, first what waited for one. */
    void tellTo(TrainingListener following) throws IOException {
        listener = SILENT;
        for (String message : untold) following.onMessage(message);
        untold.clear();
        listener = following;
    }

    /** Appends a line. What cannot be logged does not end a run. */
    void add(String format, Object... values) {
        String message = values.length == 0 ? format : String.format(Locale.ROOT, format, values);
        String line = "[" + LocalDateTime.now().format(TIME) + "] " + Printable.line(message) + System.lineSeparator();
        ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
        try {
            Uninterrupted.run(() -> append(bytes));
        } catch (IOException e) {
            LOGGER.error("{} cannot be written: {}", file, e.getMessage());
        }
    }

    private void append(ByteBuffer bytes) throws IOException {
        try (FileChannel channel = NoLinks.open(
                file.getParent(),
                file,
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND,
                StandardOpenOption.WRITE)) {
            while (bytes.hasRemaining()) channel.write(bytes);
        }
    }

    /** What a log says that begins so, without that beginning; nothing if there is none. */
    static Set<String> messages(Path file, String beginning) throws IOException {
        if (Files.notExists(file)) return Set.of();
        // unlike Files.lines, this takes bytes that are no text
        return new String(Files.readAllBytes(file), StandardCharsets.UTF_8)
                .lines()
                .filter(line -> line.startsWith("] " + beginning, TIME_LENGTH))
                .map(line -> line.substring(TIME_LENGTH + 2 + beginning.length()))
                .collect(Collectors.toSet());
    }

    /** Appends a line, and tells it. A listener that fails at it ends the run, and is told nothing of that. */
    void tell(String message) throws IOException {
        add(message);
        if (listener == null) {
            untold.add(message);
            return;
        }
        TrainingListener told = listener;
        listener = SILENT;
        told.onMessage(message);
        listener = told;
    }

    /** As {@link #tell}, of what is wrong. */
    void warn(String message) throws IOException {
        LOGGER.warn(message);
        tell(message);
    }
}
