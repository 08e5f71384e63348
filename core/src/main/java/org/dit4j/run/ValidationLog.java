package org.dit4j.run;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.JsonLine;
import org.dit4j.io.NoLinks;
import org.dit4j.io.Uninterrupted;
import org.dit4j.train.ValidationLosses;

/**
 * {@code validation.jsonl}: one JSON object for each validation. Not part of {@code metrics.jsonl}, since it depends on the clock when a
 * validation is due.
 */
final class ValidationLog {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path file;

    /** Opens the log for more; what is there of later steps than {@code lastStep}, and half lines, are cut off. */
    ValidationLog(Path file, long lastStep) throws IOException {
        this.file = file;
        if (Files.notExists(file)) return;
        StringBuilder kept = new StringBuilder();
        for (ValidationLosses losses : read(file)) if (losses.step() <= lastStep) kept.append(line(losses));
        AtomicFile.write(file, kept.toString().getBytes(StandardCharsets.UTF_8));
    }

    /** What a log says; without lines that are none. */
    static List<ValidationLosses> read(Path file) throws IOException {
        List<ValidationLosses> all = new ArrayList<>();
        if (Files.notExists(file)) return all;
        // unlike Files.readAllLines, this takes bytes that are no text for a line that is none
        String text = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        text.lines().forEach(line -> ValidationLosses.of(JsonLine.parse(line)).ifPresent(all::add));
        return all;
    }

    void add(ValidationLosses losses) throws IOException {
        long size = Files.exists(file) ? Files.size(file) : 0;
        Uninterrupted.run(() -> append(line(losses).getBytes(StandardCharsets.UTF_8), size));
    }

    private void append(byte[] line, long size) throws IOException {
        try (FileChannel channel =
                NoLinks.open(file.getParent(), file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            ByteBuffer rest = ByteBuffer.wrap(line);
            try {
                while (rest.hasRemaining()) channel.write(rest, size + rest.position());
            } catch (IOException e) {
                if (channel.isOpen()) channel.truncate(size); // no half lines
                throw e;
            }
        }
    }

    private static String line(ValidationLosses losses) {
        ObjectNode line = JSON.createObjectNode();
        line.put("step", losses.step());
        JsonLine.put(line, "loss", losses.loss());
        ArrayNode buckets = line.putArray("buckets");
        for (double bucket : losses.buckets()) buckets.add(JsonLine.finite(bucket));
        line.put("timesteps", losses.numTimesteps());
        line.put("items", losses.numItems());
        ObjectNode time = line.putObject("time");
        time.put("at", losses.at().truncatedTo(ChronoUnit.MILLIS).toString());
        time.put("seconds", losses.seconds());
        return line + "\n";
    }
}
