package org.dit4j.data;

import java.awt.image.BufferedImage;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import java.util.zip.ZipException;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Picture files with classes as a network takes them: decoded, cropped, and where one is broken, an error or another of its class. */
final class Pictures {
    private static final Logger log = LoggerFactory.getLogger(Pictures.class);

    /** Where the files are. */
    interface Files {
        /** For messages. */
        String name(int index);

        InputStream open(int index) throws IOException;
    }

    private final Path path;
    private final List<String> classNames;
    private final int imageSize, channels;
    private final boolean skipBroken;
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
            int count,
            IntUnaryOperator label,
            Files files) {
        this.path = path;
        this.classNames = classNames;
        this.imageSize = imageSize;
        this.channels = channels;
        this.skipBroken = skipBroken;
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
    }

    /** As {@link Dataset#pixels}. */
    void pixels(int index, float[] out, int offset) throws IOException {
        Objects.checkFromIndexSize(offset, channels * imageSize * imageSize, out.length);
        Pixels.write(skipBroken ? firstWhole(index) : whole(index), channels, out, offset);
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
                if (broken.put(candidate, e.getMessage()) == null)
                    log.warn("left out, the next picture of its class stands in: {}", e.getMessage());
            }
        }
        throw new FormatException(
                path,
                "none of the " + same.length + " pictures of class \"" + classNames.get(label.applyAsInt(index))
                        + "\" can be read, the last because " + broken.get(same[same.length - 1]));
    }

    private BufferedImage crop(int index) throws IOException {
        String name = files.name(index);
        try (InputStream in = files.open(index)) {
            return Images.centerCrop(Images.read(in, name), imageSize);
        } catch (ZipException | EOFException e) {
            throw new FormatException(name, "damaged in the zip file: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) { // too long and narrow
            throw new FormatException(name, e.getMessage(), e);
        }
    }

    /** What is wrong with each picture that was left out so far, sorted. */
    List<String> broken() {
        return broken.values().stream().sorted().toList();
    }
}
