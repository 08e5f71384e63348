package org.dit4j.run;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.temporal.ChronoUnit;
import java.util.ArrayDeque;
import java.util.Deque;
import org.dit4j.io.Durable;
import org.dit4j.io.JsonLine;
import org.dit4j.io.NoLinks;
import org.dit4j.io.Uninterrupted;

/**
 * {@code metrics.jsonl}: one JSON object for each log. All fields but {@code time}, the last, are the same to the last byte in a run that
 * was stopped and continued as in one that was not; for that a run that continues cuts off what was logged after its checkpoint.
 */
final class MetricsLog {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** A loss is a spike if it is so many times the median of those before it. */
    private static final double SPIKE = 1.5;

    private static final int SPIKE_WINDOW = 20, SPIKE_FEWEST = 5;

    private final Path file;
    private final Deque<Double> losses = new ArrayDeque<>();
    /** Of the whole lines. */
    private long bytes;

    /** Opens the log for more; of what is there, the whole lines in the first {@code bytes} stay. */
    MetricsLog(Path file, long bytes) throws IOException {
        this.file = file;
        Uninterrupted.run(() -> {
            try (FileChannel channel = open()) {
                this.bytes = endOfWholeLines(channel, Math.min(bytes, channel.size()));
                channel.truncate(this.bytes);
            }
        });
        rememberLossesOf(file);
    }

    /** Each time anew: an interrupt of a thread closes what it has open. */
    private FileChannel open() throws IOException {
        return NoLinks.open(
                file.getParent(), file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /** Half a line, of a file that somebody cut short, would spoil the one after it. */
    private static long endOfWholeLines(FileChannel channel, long bytes) throws IOException {
        ByteBuffer last = ByteBuffer.allocate(1);
        for (long end = bytes; end > 0; end--) {
            channel.read(last.clear(), end - 1);
            if (last.get(0) == '\n') return end;
        }
        return 0;
    }

    /** Without lines that are none, which somebody may have edited, and steps that have no loss. */
    private void rememberLossesOf(Path file) throws IOException {
        // unlike Files.newBufferedReader, this takes bytes that are no text for a line that is none
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8))) {
            for (String text = lines.readLine(); text != null; text = lines.readLine()) {
                JsonNode loss = JsonLine.parse(text).path("loss");
                if (loss.isNumber()) remember(loss.asDouble());
            }
        }
    }

    private void remember(double loss) {
        if (!Double.isFinite(loss)) return;
        losses.addLast(loss);
        if (losses.size() > SPIKE_WINDOW) losses.removeFirst();
    }

    /** Appends a line. */
    void add(TrainingLog log) throws IOException {
        remember(log.loss());
        ObjectNode line = JSON.createObjectNode();
        line.put("step", log.step());
        line.put("images", log.images());
        JsonLine.put(line, "loss", log.loss());
        JsonLine.put(line, "gradient_norm", log.gradientNorm());
        line.put("learning_rate", log.learningRate());
        line.put("skipped_steps", log.skippedSteps());
        line.put("spike", log.spike());
        ObjectNode time = line.putObject("time");
        time.put("at", log.time().at().truncatedTo(ChronoUnit.MILLIS).toString());
        JsonLine.put(time, "steps_per_second", log.time().stepsPerSecond());
        JsonLine.put(time, "images_per_second", log.time().imagesPerSecond());
        if (Double.isFinite(log.time().percentOfPeak()))
            time.put("percent_of_peak", log.time().percentOfPeak());
        if (log.time().memoryBytes() > 0) time.put("memory_bytes", log.time().memoryBytes());
        byte[] text = (JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8);
        Uninterrupted.run(() -> append(text));
        bytes += text.length;
    }

    private void append(byte[] text) throws IOException {
        try (FileChannel channel = open()) {
            channel.truncate(bytes); // no half lines
            bytes = channel.size(); // less, if somebody cut it
            ByteBuffer rest = ByteBuffer.wrap(text);
            try {
                while (rest.hasRemaining()) channel.write(rest, bytes + rest.position());
            } catch (IOException e) {
                if (channel.isOpen()) channel.truncate(bytes);
                throw e;
            }
        }
    }

    /** Whether a loss is far above those of the last logs. */
    boolean isSpike(double loss) {
        if (losses.size() < SPIKE_FEWEST) return false;
        double[] sorted =
                losses.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        return loss > SPIKE * sorted[sorted.length / 2];
    }

    /** The size of the file. */
    long bytes() {
        return bytes;
    }

    /** Makes what was added durable; on any thread. */
    void force() throws IOException {
        try (FileChannel channel = open()) {
            Durable.force(file, channel);
        }
    }
}
