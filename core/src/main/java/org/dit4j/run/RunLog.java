package org.dit4j.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.dit4j.io.NoLinks;
import org.dit4j.io.Printable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** {@code log.txt}, in the published format, and of what it says that which a person at a terminal wants to know too. */
final class RunLog {
    private static final Logger LOGGER = LoggerFactory.getLogger(RunLog.class);
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

    private final Path file;
    /** Null until {@link #tellTo}; what is to be told until then waits for it. */
    private TrainingListener listener;

    private final List<String> untold = new ArrayList<>();

    RunLog(Path file) {
        this.file = file;
    }

    /** From now on tells this listener, first what waited for one. */
    void tellTo(TrainingListener following) throws IOException {
        listener = following;
        for (String message : untold) listener.onMessage(message);
        untold.clear();
    }

    /** Appends a line. What cannot be logged does not end a run. */
    void add(String format, Object... values) {
        String message = values.length == 0 ? format : String.format(Locale.ROOT, format, values);
        String line = "[" + LocalDateTime.now().format(TIME) + "] " + Printable.line(message) + System.lineSeparator();
        try (FileChannel channel = NoLinks.open(
                file.getParent(),
                file,
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND,
                StandardOpenOption.WRITE)) {
            ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) channel.write(bytes);
        } catch (IOException e) {
            LOGGER.error("{} cannot be written: {}", file, e.getMessage());
        }
    }

    /** Appends a line, and tells it. */
    void tell(String message) throws IOException {
        add(message);
        if (listener == null) untold.add(message);
        else listener.onMessage(message);
    }

    /** As {@link #tell}, of what is wrong. */
    void warn(String message) throws IOException {
        LOGGER.warn(message);
        tell(message);
    }
}
