package org.dit4j.data;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.dit4j.io.FormatException;

/**
 * Grey pictures in the IDX format of MNIST (LeCun, Cortes and Burges), as in Fashion-MNIST: a file of images and a file of labels, each
 * gzipped (ending {@code .gz}) or not. Both are held in memory as bytes.
 */
public final class IdxDataset implements Dataset {
    /** The classes of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), in order. */
    public static final List<String> FASHION_MNIST = List.of(
            "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot");

    private static final int UNSIGNED_BYTES = 0x08;

    private final Path file;
    private final int count, height, width;
    private final byte[] images, labels;
    private final List<String> classNames;
    /** What the file system said of the two files before they were read. */
    private final byte[] attributes;
    /** Null until it is asked for. */
    private Fingerprint fingerprint;

    private IdxDataset(Path file, byte[] attributes, Idx images, byte[] labels, List<String> classNames) {
        this.file = file;
        this.attributes = attributes;
        this.count = images.sizes[0];
        this.height = images.sizes[1];
        this.width = images.sizes[2];
        this.images = images.bytes;
        this.labels = labels;
        this.classNames = classNames;
    }

    /**
     * Opens a data set whose classes are named by the file {@code labels.txt} beside the images, one name per line, or else by their
     * numbers.
     */
    public static IdxDataset open(Path path) throws IOException {
        return open(path, List.of());
    }

    /**
     * Opens a data set.
     *
     * @param path a file of images, with the file of labels beside it ({@code train-images-idx3-ubyte.gz} and {@code
     *     train-labels-idx1-ubyte.gz}); or a folder that holds one such pair, or several of which one begins with {@code train}
     * @param classNames the names of all classes, for example {@link #FASHION_MNIST}; empty: as {@link #open(Path)}
     * @throws FormatException if a file is not what its format promises, or the two do not fit each other
     * @throws NoSuchFileException if there is no such file
     */
    public static IdxDataset open(Path path, List<String> classNames) throws IOException {
        Path imageFile = Files.isDirectory(path) ? imagesIn(path) : path;
        if (!Files.isRegularFile(imageFile))
            throw new NoSuchFileException(
                    imageFile.toString(), null, "there is no such file; give an IDX file of images, or its folder");
        Path labelFile = labelsOf(imageFile);
        ByteArrayOutputStream attributes = new ByteArrayOutputStream();
        for (Path file : List.of(imageFile, labelFile)) attributes.write(FingerprintInput.attributes(file));
        Idx images = Idx.read(imageFile, 3), labels = Idx.read(labelFile, 1);
        if (images.sizes[0] != labels.sizes[0])
            throw new FormatException(
                    labelFile,
                    labels.sizes[0] + " labels for the " + images.sizes[0] + " images of " + imageFile.getFileName()
                            + "; take both files from the same set");
        if (images.sizes[0] == 0) throw new FormatException(imageFile, "holds no images");
        List<String> names = names(classNames, imageFile, labels.bytes);
        requireLabelsBelow(names.size(), labels.bytes, labelFile);
        return new IdxDataset(imageFile, attributes.toByteArray(), images, labels.bytes, names);
    }

    private static Path imagesIn(Path folder) throws IOException {
        List<Path> found;
        try (Stream<Path> files = Files.list(folder)) {
            found = files.filter(file -> file.getFileName().toString().matches(".*images.*idx3.*"))
                    .sorted()
                    .toList();
        }
        if (found.isEmpty())
            throw new NoSuchFileException(
                    folder.toString(), null, "no file of images here, such as train-images-idx3-ubyte.gz");
        if (found.size() == 1) return found.get(0);
        List<Path> training = found.stream()
                .filter(file -> file.getFileName().toString().startsWith("train"))
                .toList();
        // sorted, a plain file stands before its gzipped copy
        boolean one = training.size() == 1
                || training.size() == 2 && training.get(1).toString().equals(training.get(0) + ".gz");
        if (!one)
            throw new FormatException(
                    folder,
                    "several files of images ("
                            + String.join(
                                    ", ",
                                    found.stream()
                                            .map(file -> file.getFileName().toString())
                                            .toList()) + "); give the path of one");
        return training.get(0);
    }

    private static Path labelsOf(Path imageFile) throws IOException {
        String name = imageFile.getFileName().toString();
        String labels = name.replace("images", "labels").replace("idx3", "idx1");
        if (labels.equals(name))
            throw new FormatException(
                    imageFile,
                    "its name has neither \"images\" nor \"idx3\", so it is no IDX file whose labels can be found, as"
                            + " train-images-idx3-ubyte and train-labels-idx1-ubyte; PNG and JPEG pictures are given as"
                            + " a folder or .zip");
        String plain = labels.endsWith(".gz") ? labels.substring(0, labels.length() - 3) : labels;
        for (String candidate : List.of(labels, plain, plain + ".gz")) {
            Path file = imageFile.resolveSibling(candidate);
            if (Files.isRegularFile(file)) return file;
        }
        throw new NoSuchFileException(
                imageFile.resolveSibling(labels).toString(), null, "the labels of " + name + " must be beside it");
    }

    private static List<String> names(List<String> given, Path imageFile, byte[] labels) throws IOException {
        if (!given.isEmpty()) return List.copyOf(given);
        Path file = imageFile.resolveSibling("labels.txt");
        if (Files.isRegularFile(file)) {
            List<String> lines = new ArrayList<>();
            try {
                for (String line : Files.readAllLines(file)) if (!line.isBlank()) lines.add(line.strip());
            } catch (CharacterCodingException e) {
                throw new FormatException(file, "not UTF-8 text", e);
            }
            if (lines.isEmpty()) throw new FormatException(file, "names no class; one name per line, or remove it");
            return List.copyOf(lines);
        }
        int max = 0;
        for (byte label : labels) max = Math.max(max, Byte.toUnsignedInt(label));
        return IntStream.rangeClosed(0, max).mapToObj(Integer::toString).toList();
    }

    private static void requireLabelsBelow(int numClasses, byte[] labels, Path labelFile) throws FormatException {
        for (int i = 0; i < labels.length; i++) {
            int label = Byte.toUnsignedInt(labels[i]);
            if (label >= numClasses)
                throw new FormatException(
                        labelFile,
                        "label " + label + " of image " + i + " is outside 0 … " + (numClasses - 1) + ": " + numClasses
                                + " classes are named; name them all");
        }
    }

    /** One IDX file of unsigned bytes: a magic number, the sizes, the bytes. */
    private static final class Idx {
        final int[] sizes;
        final byte[] bytes;

        private Idx(int[] sizes, byte[] bytes) {
            this.sizes = sizes;
            this.bytes = bytes;
        }

        static Idx read(Path file, int numDimensions) throws IOException {
            boolean gzipped = file.getFileName().toString().endsWith(".gz");
            try (InputStream raw = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
                    InputStream in = gzipped ? new GZIPInputStream(raw, 1 << 16) : raw) {
                return read(in, file, numDimensions);
            } catch (EOFException | ZipException e) { // GZIPInputStream's
                throw new FormatException(file, "not a whole gzip file (" + e.getMessage() + "); get it again", e);
            }
        }

        private static Idx read(InputStream in, Path file, int numDimensions) throws IOException {
            int magic = integer(in, file);
            if (magic != (UNSIGNED_BYTES << 8 | numDimensions))
                throw new FormatException(
                        file,
                        "begins with 0x%08x; an IDX file of unsigned bytes in %d dimension(s) begins with 0x%08x"
                                .formatted(magic, numDimensions, UNSIGNED_BYTES << 8 | numDimensions));
            int[] sizes = new int[numDimensions];
            long total = 1;
            for (int i = 0; i < numDimensions; i++) {
                sizes[i] = integer(in, file);
                if (sizes[i] < 0 || i > 0 && sizes[i] == 0)
                    throw new FormatException(file, "dimension " + i + " is " + Integer.toUnsignedString(sizes[i]));
                total = sizes[i] == 0 ? 0 : total > Integer.MAX_VALUE / sizes[i] ? Long.MAX_VALUE : total * sizes[i];
                if (total > Integer.MAX_VALUE - 8)
                    throw new FormatException(file, "announces more than 2 GiB of data, more than is supported");
            }
            // reads as it goes: a hostile header cannot make it reserve what the file does not hold
            byte[] bytes = in.readNBytes((int) total);
            if (bytes.length < total)
                throw new FormatException(
                        file, "cut short: " + bytes.length + " of " + total + " bytes of data are there; get it again");
            if (in.read() >= 0)
                throw new FormatException(file, "goes on after the " + total + " bytes that it announces");
            return new Idx(sizes, bytes);
        }

        private static int integer(InputStream in, Path file) throws IOException {
            byte[] four = in.readNBytes(4);
            if (four.length < 4) throw new FormatException(file, "cut short within its header; get it again");
            return four[0] << 24 | (four[1] & 0xFF) << 16 | (four[2] & 0xFF) << 8 | four[3] & 0xFF;
        }
    }

    @Override
    public long size() {
        return count;
    }

    @Override
    public int channels() {
        return 1;
    }

    @Override
    public int height() {
        return height;
    }

    @Override
    public int width() {
        return width;
    }

    @Override
    public List<String> classNames() {
        return classNames;
    }

    @Override
    public String describe() {
        return String.format(
                Locale.ROOT, "%s: %d images, %d classes, %d×%d grey", file, count, classNames.size(), height, width);
    }

    /** Of the pictures and labels, gzipped or not. */
    @Override
    public synchronized Fingerprint fingerprint() {
        if (fingerprint == null)
            fingerprint = new Fingerprint(
                    new FingerprintInput("idx", this).add(images).add(labels).hex(), stamp());
        return fingerprint;
    }

    @Override
    public String stamp() {
        return new FingerprintInput("stamp of idx", this).add(attributes).hex();
    }

    @Override
    public int label(long index) {
        return Byte.toUnsignedInt(labels[(int) Objects.checkIndex(index, count)]);
    }

    @Override
    public void pixels(long index, float[] out, int offset) {
        int size = height * width, from = size * (int) Objects.checkIndex(index, count);
        Objects.checkFromIndexSize(offset, size, out.length);
        for (int i = 0; i < size; i++) out[offset + i] = Byte.toUnsignedInt(images[from + i]) / 127.5f - 1;
    }
}
