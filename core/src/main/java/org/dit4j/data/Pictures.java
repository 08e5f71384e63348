package org.dit4j.data;

import java.awt.image.BufferedImage;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedChannelException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.FutureTask;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import java.util.zip.ZipException;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.io.PictureHeader;
import org.dit4j.io.PictureReading;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Picture files with classes as a network takes them: decoded, cropped, and where one is broken, an error or another of its class. */
final class Pictures {
    private static final Logger log = LoggerFactory.getLogger(Pictures.class);

    /** Reading the beginnings of files is waiting: for the system, a disk, a network. */
    private static final int THREADS = 8;

    private static final int FILES_OF_TASK = 500;

    /** Where the files are. */
    interface Files {
        /** For messages. */
        String name(int index);

        InputStream open(int index) throws IOException;
    }

    private final Path path;
    private final List<String> classNames;
    private final int imageSize, channels;
    private final int height, width;
    private final boolean skipBroken;
    private final PictureReading reading;
    private final Files files;
    private final IntUnaryOperator label;
    /** By class, its pictures in order; empty where nothing stands in. */
    private final int[][] ofClass;
    /** Item → what is wrong with it. */
    private final Map<Integer, String> broken = new ConcurrentHashMap<>();

    /**
     * @param path of all, for messages
     * @param skipBroken whether a picture that cannot be read is replaced by the next whole one of its class
     */
    Pictures(
            Path path,
            List<String> classNames,
            int imageSize,
            int channels,
            boolean skipBroken,
            PictureReading reading,
            int count,
            IntUnaryOperator label,
            Files files)
            throws IOException {
        this.path = path;
        this.classNames = classNames;
        this.imageSize = imageSize;
        this.channels = channels;
        this.skipBroken = skipBroken;
        this.reading = reading;
        this.files = files;
        this.label = label;
        ofClass = new int[skipBroken ? classNames.size() : 0][];
        int[] sizes = new int[ofClass.length];
        if (skipBroken) IntStream.range(0, count).forEach(index -> sizes[label.applyAsInt(index)]++);
        for (int i = 0; i < ofClass.length; i++) ofClass[i] = new int[sizes[i]];
        for (int index = count - 1; skipBroken && index >= 0; index--) {
            int of = label.applyAsInt(index);
            ofClass[of][--sizes[of]] = index;
        }
        BufferedImage first = imageSize == ImageFolderConfig.ORIGINAL_SIZE ? crop(0) : null;
        height = first == null ? imageSize : first.getHeight();
        width = first == null ? imageSize : first.getWidth();
    }

    int height() {
        return height;
    }

    int width() {
        return width;
    }

    /** As {@link Dataset#pixels}. */
    void pixels(int index, float[] out, int offset) throws IOException {
        Objects.checkFromIndexSize(offset, channels * height * width, out.length);
        BufferedImage picture = skipBroken ? firstWhole(index) : whole(index);
        requireSize(index, picture.getHeight(), picture.getWidth());
        Pixels.write(picture, channels, out, offset);
    }

    /** As {@link Dataset#check}, of some items. */
    void check(IntStream items) throws IOException {
        int[] indices = items.toArray();
        Map<Integer, String> problems = new ConcurrentHashMap<>();
        List<FutureTask<Void>> tasks = new ArrayList<>();
        for (int from = 0; from < indices.length; from += FILES_OF_TASK) {
            int[] some = Arrays.copyOfRange(indices, from, Math.min(indices.length, from + FILES_OF_TASK));
            tasks.add(new FutureTask<>(() -> {
                for (int index : some) header(index).ifPresent(problem -> problems.put(index, problem));
                return null;
            }));
        }
        try (Readers readers = new Readers(tasks.size() > 1 ? THREADS : 0, "dit4j-headers")) {
            readers.start(tasks);
            for (FutureTask<Void> task : tasks) readers.await(task);
        }
        if (problems.isEmpty()) return;
        if (skipBroken) {
            problems.keySet().stream().sorted().forEach(index -> leaveOut(index, problems.get(index)));
            return;
        }
        List<String> lines =
                problems.keySet().stream().sorted().map(problems::get).toList();
        throw new FormatException(
                path,
                lines.size() + " of " + indices.length
                        + " pictures cannot be read; repair or remove them, or go on without:" + " --on-broken skip",
                lines);
    }

    /** Reads the header of an item's file; what is wrong with it. */
    private Optional<String> header(int index) {
        try (InputStream in = files.open(index)) {
            PictureHeader header = Images.readHeader(in, files.name(index), reading.limits());
            if (!reading.exifRotate()) requireSize(index, header.height(), header.width());
            return Optional.empty();
        } catch (IOException e) {
            return Optional.of(problem(index, e));
        }
    }

    /** One line, with the file's name. */
    private String problem(int index, IOException e) {
        if (e instanceof FormatException) return e.getMessage();
        String name = files.name(index);
        if (e instanceof NoSuchFileException) return name + ": no such file; a link to nothing?";
        if (e instanceof AccessDeniedException) return name + ": permission denied";
        return name + ": " + e.getClass().getSimpleName() + ": " + e.getMessage();
    }

    private void leaveOut(int index, String problem) {
        if (broken.put(index, problem) == null)
            log.warn("left out, the next picture of its class stands in: {}", problem);
    }

    private BufferedImage whole(int index) throws IOException {
        try {
            return crop(index);
        } catch (FormatException e) {
            throw new FormatException(e, "repair or remove it, or go on without such pictures: --on-broken skip");
        }
    }

    /** The picture, or the next of its class that can be read: like everything here a function of the index and the files. */
    private BufferedImage firstWhole(int index) throws IOException {
        int[] same = ofClass[label.applyAsInt(index)];
        int place = Arrays.binarySearch(same, index);
        for (int i = 0; i < same.length; i++) {
            int candidate = same[(place + i) % same.length];
            if (broken.containsKey(candidate)) continue;
            try {
                return crop(candidate);
            } catch (FormatException e) {
                leaveOut(candidate, e.getMessage());
            }
        }
        throw new FormatException(
                path,
                "none of the " + same.length + " pictures of class \"" + classNames.get(label.applyAsInt(index))
                        + "\" can be read, the last because " + broken.get(same[same.length - 1]));
    }

    private void requireSize(int index, int itsHeight, int itsWidth) throws FormatException {
        if (imageSize != ImageFolderConfig.ORIGINAL_SIZE || itsHeight == height && itsWidth == width) return;
        throw new FormatException(
                files.name(index),
                "is " + itsWidth + "×" + itsHeight + ", and " + files.name(0) + " is " + width + "×" + height
                        + "; pictures that stay as they are have one size; crop them all: --image-size PIXELS");
    }

    /** Cropped, or as it is. */
    private BufferedImage crop(int index) throws IOException {
        String name = files.name(index);
        try (InputStream in = files.open(index)) {
            BufferedImage picture = Images.read(in, name, reading);
            return imageSize == ImageFolderConfig.ORIGINAL_SIZE ? picture : Images.centerCrop(picture, imageSize);
        } catch (ZipException | EOFException e) {
            throw new FormatException(name, "damaged in the zip file: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) { // too long and narrow
            throw new FormatException(name, e.getMessage(), e);
        } catch (OutOfMemoryError e) { // cropping, while other threads hold what was free
            throw new FormatException(
                    name, "Java's memory is not enough to crop it; give more: DIT_JAVA_OPTS=-Xmx8g dit ...", e);
        } catch (FormatException
                | ClosedChannelException
                | InterruptedIOException e) { // the last two say nothing of the file
            throw e;
        } catch (IOException e) {
            throw new FormatException(problem(index, e), e);
        }
    }

    /** What is wrong with each picture that was left out so far, sorted. */
    List<String> broken() {
        return broken.values().stream().sorted().toList();
    }
}
