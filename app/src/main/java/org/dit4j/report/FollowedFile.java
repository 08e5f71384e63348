package org.dit4j.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.dit4j.io.JsonLine;

/** Follows a file of lines that a trainer writes on, and cuts back when it continues from a checkpoint. */
public final class FollowedFile {
    private static final int MOST_AT_ONCE = 16 << 20, TAIL = 1 << 16;

    private final Path file;
    /** Of the whole lines that were read. */
    private long end;
    /** The last of them. */
    private byte[] last = {};

    /** @param file need not be there yet */
    public FollowedFile(Path file) {
        this.file = file;
    }

    /**
     * What {@link #poll} found.
     *
     * @param anew whether the file was cut back: these are all of its lines then, and otherwise those that came since the last time
     * @param values without the line ends
     */
    public record Lines(boolean anew, List<String> values) {}

    /** The lines that are new, without the one that is being written. */
    public Lines poll() throws IOException {
        List<String> values = new ArrayList<>();
        boolean[] anew = {false};
        poll(() -> anew[0] = true, values::add);
        return new Lines(anew[0], values);
    }

    /** As {@link #poll()}, one line at a time; before the first, {@code anew} runs if the file was cut back. */
    public void poll(Runnable anew, Consumer<String> line) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            if (!stands(channel)) forget(anew);
            while (readSome(channel, line)) {}
        } catch (NoSuchFileException e) {
            if (end > 0) forget(anew);
        }
    }

    private void forget(Runnable anew) {
        end = 0;
        last = new byte[0];
        anew.run();
    }

    /** Whether what was read last is where it was; the same length may hold other lines. */
    private boolean stands(FileChannel channel) throws IOException {
        return channel.size() >= end && Arrays.equals(bytes(channel, end - last.length, last.length), last);
    }

    private static byte[] bytes(FileChannel channel, long from, int count) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(count);
        for (int read = 0; read >= 0 && buffer.hasRemaining(); ) read = channel.read(buffer, from + buffer.position());
        return Arrays.copyOf(buffer.array(), buffer.position());
    }

    private boolean readSome(FileChannel channel, Consumer<String> line) throws IOException {
        byte[] some = bytes(channel, end, (int) Math.min(MOST_AT_ONCE, channel.size() - end));
        int begin = 0;
        for (int i = 0; i < some.length; i++) {
            if (some[i] != '\n') continue;
            last = Arrays.copyOfRange(some, begin, i + 1);
            line.accept(new String(some, begin, i - begin, StandardCharsets.UTF_8));
            begin = i + 1;
        }
        end += begin;
        return begin > 0;
    }

    /** The last line of a file that is a JSON object; a missing node if there is no file, or none in its last 64 KiB. */
    public static JsonNode lastJson(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            int count = (int) Math.min(TAIL, channel.size());
            String[] lines =
                    new String(bytes(channel, channel.size() - count, count), StandardCharsets.UTF_8).split("\n");
            for (int i = lines.length - 1; i >= 0; i--) {
                JsonNode line = JsonLine.parse(lines[i]);
                if (line.isObject()) return line;
            }
        } catch (NoSuchFileException e) {
            // as one without lines
        }
        return MissingNode.getInstance();
    }
}
