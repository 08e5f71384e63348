package org.dit4j.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * A file of <a href="https://www.tensorflow.org/tensorboard">TensorBoard</a>: scalars, pictures, histograms and texts by step. What is added
 * can be seen by a TensorBoard that is running, and stays if the process ends.
 *
 * <p>The format is TensorFlow's {@code TFRecord} (length, checksum, bytes, checksum) of {@code Event} messages, as {@code event.proto} and
 * {@code summary.proto} define them. Not safe for several threads.
 */
public final class EventFile implements AutoCloseable {
    private static final Pattern NAME = Pattern.compile("events\\.out\\.tfevents\\.(\\d{10})\\..*");
    /** The field numbers of {@code Event}. */
    private static final int WALL_TIME = 1, STEP = 2, FILE_VERSION = 3, SUMMARY = 5, SESSION_LOG = 7;

    private static final int SESSION_STATUS = 1, SESSION_START = 1;
    /** The field numbers of {@code Summary.Value}. */
    private static final int TAG = 1, SIMPLE_VALUE = 2, IMAGE = 4, HISTOGRAM = 5, TENSOR = 8, METADATA = 9;

    private static final int DT_STRING = 7, RGB = 3;

    private final Path path;
    private final FileChannel channel;
    /** The end of the last whole record. */
    private long end;

    /** Something to show under a tag; a slash in the tag makes a group. */
    public static final class Value {
        private final Protobuf message;

        private Value(Protobuf message) {
            this.message = message;
        }
    }

    private EventFile(Path path) throws IOException {
        this.path = path;
        channel = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }

    /**
     * Begins a file that sorts after all that are in {@code folder}, which must exist. TensorBoard then forgets what those have of {@code firstStep} and
     * later: steps of a process that was killed, and that are now taken again from a checkpoint.
     */
    public static EventFile create(Path folder, long firstStep) throws IOException {
        long seconds = Math.max(System.currentTimeMillis() / 1000, newest(folder) + 1);
        Path path = folder.resolve(String.format(
                Locale.ROOT,
                "events.out.tfevents.%010d.%s.%d",
                seconds,
                host(),
                ProcessHandle.current().pid()));
        EventFile file = new EventFile(path);
        try {
            // TensorBoard takes the first session for a beginning, and each later one for a restart at its step
            file.write(
                    event(0).text(FILE_VERSION, "brain.Event:2"),
                    event(firstStep).message(SESSION_LOG, new Protobuf().number(SESSION_STATUS, SESSION_START)));
            return file;
        } catch (IOException e) {
            file.channel.close();
            Files.deleteIfExists(path);
            throw e;
        }
    }

    /** The seconds in the last name of the folder's event files, −1 if it has none. TensorBoard reads files in the order of their names. */
    private static long newest(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.map(entry -> NAME.matcher(entry.getFileName().toString()))
                    .filter(Matcher::matches)
                    .mapToLong(name -> Long.parseLong(name.group(1)))
                    .max()
                    .orElse(-1);
        }
    }

    /** Without asking the network, which may take seconds. */
    private static String host() throws IOException {
        Path linux = Path.of("/proc/sys/kernel/hostname");
        String name = Files.isReadable(linux) ? Files.readString(linux) : System.getenv("COMPUTERNAME");
        String plain = name == null ? "" : name.strip().replaceAll("[^A-Za-z0-9_-]", "-");
        return plain.isEmpty() ? "localhost" : plain;
    }

    public Path path() {
        return path;
    }

    /** A number, kept as float32. */
    public static Value scalar(String tag, double value) {
        return new Value(tagged(tag).real(SIMPLE_VALUE, (float) value));
    }

    /** A picture, as the bytes of a PNG file. */
    public static Value image(String tag, int width, int height, byte[] png) {
        Protobuf image =
                new Protobuf().number(1, height).number(2, width).number(3, RGB).bytes(4, png);
        return new Value(tagged(tag).message(IMAGE, image));
    }

    /**
     * How many of a set of numbers lie where.
     *
     * @param counts of the numbers in each of as many ranges of equal width, which together reach from {@code min} to {@code max}
     * @throws IllegalArgumentException if there is no range, it has no width, or a bound is not finite
     */
    public static Value histogram(
            String tag, double min, double max, double sum, double sumOfSquares, double[] counts) {
        if (counts.length == 0 || !(min < max) || Double.isInfinite(max - min))
            throw new IllegalArgumentException(tag + ": a histogram of " + counts.length + " ranges from " + min
                    + " to " + max + "; at least one, of finite width above 0");
        double[] limits = new double[counts.length];
        double number = 0;
        for (int i = 0; i < counts.length; i++) {
            limits[i] = min + (max - min) * (i + 1) / counts.length;
            number += counts[i];
        }
        Protobuf histogram = new Protobuf()
                .real(1, min)
                .real(2, max)
                .real(3, number)
                .real(4, sum)
                .real(5, sumOfSquares)
                .reals(6, limits)
                .reals(7, counts);
        return new Value(tagged(tag).message(HISTOGRAM, histogram));
    }

    /** A text, shown as Markdown. */
    public static Value text(String tag, String markdown) {
        Protobuf oneElement = new Protobuf().message(2, new Protobuf().number(1, 1));
        Protobuf tensor =
                new Protobuf().number(1, DT_STRING).message(2, oneElement).text(8, markdown);
        Protobuf metadata = new Protobuf().message(1, new Protobuf().text(1, "text")); // the plugin that shows it
        return new Value(tagged(tag).message(TENSOR, tensor).message(METADATA, metadata));
    }

    private static Protobuf tagged(String tag) {
        return new Protobuf().text(TAG, tag);
    }

    /**
     * Adds what there is to see of a step.
     *
     * @throws IOException if it cannot be written; the file then ends before it, and more can be added later
     */
    public void add(long step, List<Value> values) throws IOException {
        Protobuf summary = new Protobuf();
        for (Value value : values) summary.message(1, value.message);
        write(event(step).message(SUMMARY, summary));
    }

    private static Protobuf event(long step) {
        return new Protobuf().real(WALL_TIME, System.currentTimeMillis() / 1e3).number(STEP, step);
    }

    private void write(Protobuf... events) throws IOException {
        int size = 0;
        byte[][] records = new byte[events.length][];
        for (int i = 0; i < events.length; i++) {
            records[i] = events[i].toBytes();
            size += records[i].length + 16;
        }
        ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        for (byte[] record : records) {
            byte[] length = ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(record.length)
                    .array();
            bytes.put(length).putInt(masked(length)).put(record).putInt(masked(record));
        }
        bytes.flip();
        try {
            channel.position(end);
            while (bytes.hasRemaining()) channel.write(bytes);
            end = channel.position();
        } catch (IOException e) {
            channel.truncate(end); // nobody could read on behind half a record
            throw e;
        }
    }

    /** TFRecord's checksum: a CRC32C that is safe to compute again over data that hold it. */
    static int masked(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
