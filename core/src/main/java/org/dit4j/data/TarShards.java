package org.dit4j.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.dit4j.io.FormatException;
import org.dit4j.torch.Backend;

/**
 * Pictures in tar archives as WebDataset has them: files whose names are equal up to the first dot are one sample, such as {@code
 * 000123.jpg} and {@code 000123.cls}. The picture is {@code .jpg}, {@code .png}, {@code .webp} or another kind that is read; its class is the number or word in
 * {@code .cls}, or else {@code "label"} or {@code "cls"} in {@code .json}; other files, and names that begin with a dot, are passed over. The archives are read
 * where they lie, in any order, and nothing is unpacked.
 */
public final class TarShards implements Dataset {
    static {
        Backend.configure();
    }

    private static final Pattern RANGE = Pattern.compile("\\{(\\d{1,9})\\.\\.(\\d{1,9})}");
    private static final int MAX_SHARDS = 100_000, MAX_CLASSES = 100_000;
    private static final int MAX_LABEL_BYTES = 1 << 20, MAX_PICTURE_BYTES = 512 << 20, MAX_WORD = 200;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A picture: which shard, where in it, its name there and its class as it is written. */
    private record Item(int shard, long offset, int size, String name, String written, int time) {}

    private final Path path;
    private final TarShardsConfig config;
    private final List<Path> files;
    private final List<FileChannel> channels = new ArrayList<>();
    private final List<Item> items = new ArrayList<>();
    private final List<String> classNames;
    private final int[] labels;
    private final Pictures pictures;
    private int passedOver;
    /** What the file system said of each file before it was read. */
    private final List<byte[]> attributes = new ArrayList<>();
    /** Null until it is asked for. */
    private Fingerprint fingerprint;

    private TarShards(Path path, TarShardsConfig config, List<Path> files) throws IOException {
        this.path = path;
        this.config = config;
        this.files = files;
        try {
            for (Path file : files) list(file);
            if (items.isEmpty())
                throw new FormatException(
                        path, "no picture (.jpg, .png, .webp, ...) with a class (.cls, .json) in here");
            boolean words = areWords();
            classNames = namesOfClasses(words);
            labels = labels(words);
            pictures = new Pictures(
                    path,
                    classNames,
                    config.imageSize(),
                    config.channels(),
                    config.skipBroken(),
                    config.reading(),
                    items.size(),
                    index -> labels[index],
                    new Pictures.Files() {
                        @Override
                        public String name(int index) {
                            Item item = items.get(index);
                            return shown(files.get(item.shard), item.name);
                        }

                        @Override
                        public InputStream open(int index) throws IOException {
                            Item item = items.get(index);
                            byte[] bytes = new byte[item.size];
                            TarIndex.read(files.get(item.shard), channels.get(item.shard), item.offset, bytes);
                            return new ByteArrayInputStream(bytes);
                        }
                    });
        } catch (IOException | RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Lists the samples; decodes none.
     *
     * @param path a tar file; a folder of them, which are taken in the order of their names; or several at once by a range of numbers, such as
     *     {@code train-{000000..000146}.tar}
     * @throws FormatException if an archive is damaged or hostile, a picture has no class or two, or there is no picture
     * @throws NoSuchFileException if a file is not there
     */
    public static TarShards open(Path path, TarShardsConfig config) throws IOException {
        return new TarShards(path, config, files(path));
    }

    /** Whether a path means tar files. */
    public static boolean isTar(Path path) throws IOException {
        if (path.toString().toLowerCase(Locale.ROOT).endsWith(".tar")) return true;
        if (!Files.isDirectory(path)) return false;
        try (Stream<Path> entries = Files.list(path)) {
            return entries.anyMatch(TarShards::isShard);
        }
    }

    private static boolean isShard(Path entry) {
        String name = entry.getFileName().toString();
        return name.endsWith(".tar") && !name.startsWith(".");
    }

    private static List<Path> files(Path path) throws IOException {
        List<Path> files = new ArrayList<>();
        if (Files.isDirectory(path))
            try (Stream<Path> entries = Files.list(path)) {
                entries.filter(TarShards::isShard).sorted().forEach(files::add);
            }
        else expand(path.toString(), files);
        for (Path file : files)
            if (!Files.isRegularFile(file))
                throw new NoSuchFileException(file.toString(), null, "there is no such tar file");
        if (files.isEmpty()) throw new FormatException(path, "no .tar file in here");
        return files;
    }

    /** Replaces the first range of numbers by each of them, with as many digits, and so on. */
    private static void expand(String name, List<Path> into) {
        Matcher range = RANGE.matcher(name);
        if (!range.find()) {
            into.add(Path.of(name));
            return;
        }
        int first = Integer.parseInt(range.group(1)), last = Integer.parseInt(range.group(2));
        if (first > last || last - first >= MAX_SHARDS)
            throw new IllegalArgumentException(
                    name + ": the range " + range.group() + " is empty, or of more than " + MAX_SHARDS + " files");
        int digits = range.group(1).length();
        for (int number = first; number <= last; number++) {
            String padded = String.format(Locale.ROOT, "%0" + digits + "d", number);
            expand(name.substring(0, range.start()) + padded + name.substring(range.end()), into);
            if (into.size() > MAX_SHARDS)
                throw new IllegalArgumentException(name + ": more than " + MAX_SHARDS + " files");
        }
    }

    /** The files of one sample, as far as they are found. */
    private static final class Sample {
        TarIndex.Entry picture;
        String cls, json;
    }

    private void list(Path file) throws IOException {
        attributes.add(FingerprintInput.attributes(file));
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        int shard = channels.size();
        channels.add(channel);
        TarIndex index = new TarIndex(file, channel);
        Map<String, Sample> samples = new LinkedHashMap<>();
        for (TarIndex.Entry entry = index.next(); entry != null; entry = index.next()) {
            String name = entry.name();
            int begin = name.lastIndexOf('/') + 1, dot = name.indexOf('.', begin);
            // names that begin with a dot, as macOS adds (._000123.jpg), are nobody's: WebDataset passes over them too
            String ending = dot <= begin || isNobodys(name)
                    ? ""
                    : name.substring(dot + 1).toLowerCase(Locale.ROOT);
            boolean picture = PictureListing.ENDINGS.contains(ending);
            if (!picture && !ending.equals("cls") && !ending.equals("json")) {
                passedOver++;
                continue;
            }
            Sample sample = samples.computeIfAbsent(name.substring(0, dot), key -> new Sample());
            boolean twice =
                    picture ? sample.picture != null : (ending.equals("cls") ? sample.cls : sample.json) != null;
            if (twice) throw new FormatException(shown(file, name), "its sample has two such files");
            if (picture) sample.picture = entry;
            else if (ending.equals("cls")) sample.cls = text(file, channel, entry);
            else sample.json = text(file, channel, entry);
        }
        passedOver += index.passedOver();
        for (Sample sample : samples.values()) {
            if (sample.picture == null) passedOver++;
            else items.add(item(file, shard, sample));
        }
    }

    /** Whether it is in a folder that no one made. */
    private static boolean isNobodys(String name) {
        for (String folder : PictureListing.NOBODYS)
            if (name.startsWith(folder + "/") || name.contains("/" + folder + "/")) return true;
        return false;
    }

    private static String text(Path file, FileChannel channel, TarIndex.Entry entry) throws IOException {
        if (entry.size() > MAX_LABEL_BYTES)
            throw new FormatException(shown(file, entry.name()), "has " + entry.size() + " bytes; no class is so long");
        byte[] bytes = new byte[(int) entry.size()];
        TarIndex.read(file, channel, entry.offset(), bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private Item item(Path file, int shard, Sample sample) throws FormatException {
        String name = sample.picture.name();
        if (sample.picture.size() > MAX_PICTURE_BYTES)
            throw new FormatException(shown(file, name), "a picture file above 512 MiB");
        return new Item(
                shard,
                sample.picture.offset(),
                (int) sample.picture.size(),
                name,
                written(file, name, sample),
                sample.picture.time());
    }

    private String written(Path file, String name, Sample sample) throws FormatException {
        String label;
        if (sample.cls != null) label = sample.cls.strip();
        else if (sample.json != null)
            label = jsonLabel(shown(file, name), sample.json).strip();
        else throw new FormatException(shown(file, name), "has no class: neither .cls nor .json beside it");
        if (label.isEmpty() || label.length() > MAX_WORD || label.chars().anyMatch(Character::isISOControl))
            throw new FormatException(
                    shown(file, name),
                    "its class is \"" + label.substring(0, Math.min(40, label.length()))
                            + "\", and should be a number, or a word of at most " + MAX_WORD + " letters on one line");
        return label.intern(); // there are few
    }

    private static boolean isNumber(String label) {
        return label.matches("[+-]?[0-9.]+");
    }

    /** Whether classes are words: where all of them are, or where they are names that were given. */
    private boolean areWords() throws FormatException {
        if (config.classNames()
                .containsAll(items.stream().map(Item::written).distinct().toList())) return true;
        Item number = null, word = null;
        for (Item item : items) {
            if (isNumber(item.written)) number = item;
            else word = item;
        }
        if (number != null && word != null)
            throw new FormatException(
                    path,
                    "classes are numbers or words, and here they are both: \"" + number.written + "\" of " + number.name
                            + " and \"" + word.written + "\" of " + word.name);
        return word != null;
    }

    private List<String> namesOfClasses(boolean words) throws FormatException {
        if (!config.classNames().isEmpty()) return config.classNames();
        if (words) {
            TreeSet<String> names = new TreeSet<>();
            for (Item item : items) names.add(item.written);
            if (names.size() > MAX_CLASSES)
                throw new FormatException(path, names.size() + " classes; at most " + MAX_CLASSES);
            return List.copyOf(names);
        }
        int highest = 0;
        for (Item item : items) highest = Math.max(highest, number(item, MAX_CLASSES));
        return IntStream.rangeClosed(0, highest).mapToObj(Integer::toString).toList();
    }

    private int[] labels(boolean words) throws FormatException {
        Map<String, Integer> byName = new HashMap<>();
        for (String name : classNames) byName.putIfAbsent(name, byName.size());
        int[] result = new int[items.size()];
        for (int i = 0; i < result.length; i++) {
            Item item = items.get(i);
            Integer label = words ? byName.get(item.written) : Integer.valueOf(number(item, classNames.size()));
            if (label == null)
                throw new FormatException(
                        shown(files.get(item.shard), item.name),
                        "its class is \"" + item.written + "\", which is none of the class names that were given");
            result[i] = label;
        }
        return result;
    }

    private int number(Item item, int numClasses) throws FormatException {
        if (!item.written.matches("\\d{1,9}") || Integer.parseInt(item.written) >= numClasses)
            throw new FormatException(
                    shown(files.get(item.shard), item.name),
                    "its class is \"" + item.written + "\", and should be a number from 0 to " + (numClasses - 1));
        return Integer.parseInt(item.written);
    }

    private static String jsonLabel(String shown, String json) throws FormatException {
        try {
            JsonNode node = JSON.readTree(json);
            for (String key : List.of("label", "cls"))
                if (node.path(key).isIntegralNumber() || node.path(key).isTextual())
                    return node.path(key).asText();
        } catch (JsonProcessingException e) {
            throw new FormatException(shown, "its .json is none: " + e.getOriginalMessage(), e);
        }
        throw new FormatException(shown, "its .json has no whole number or word \"label\" or \"cls\"");
    }

    private static String shown(Path file, String name) {
        // text, not a path: a name from an archive may be none in this file system
        return file + file.getFileSystem().getSeparator() + name;
    }

    @Override
    public long size() {
        return items.size();
    }

    @Override
    public int channels() {
        return config.channels();
    }

    @Override
    public int height() {
        return pictures.height();
    }

    @Override
    public int width() {
        return pictures.width();
    }

    @Override
    public List<String> classNames() {
        return classNames;
    }

    @Override
    public int label(long index) {
        return labels[(int) Objects.checkIndex(index, size())];
    }

    /**
     * {@inheritDoc}
     *
     * @throws FormatException if the picture is broken; where broken ones are skipped, only if no picture of its class is whole
     */
    @Override
    public void pixels(long index, float[] out, int offset) throws IOException {
        pictures.pixels((int) Objects.checkIndex(index, size()), out, offset);
    }

    @Override
    public void check() throws IOException {
        pictures.check(IntStream.range(0, items.size()));
    }

    @Override
    public void check(long[] some) throws IOException {
        pictures.check(Arrays.stream(some).mapToInt(Math::toIntExact));
    }

    @Override
    public List<String> brokenPictures() {
        return pictures.broken();
    }

    @Override
    public String describe() {
        return String.format(
                Locale.ROOT,
                "%s: %d pictures in %d tar file%s, %d classes, %s %d×%d %s%s%s",
                path,
                size(),
                files.size(),
                files.size() == 1 ? "" : "s",
                classNames.size(),
                config.imageSize() == ImageFolderConfig.ORIGINAL_SIZE ? "of" : "cropped to",
                width(),
                height(),
                channels() == 1 ? "grey" : "RGB",
                config.reading().describe(),
                passedOver == 0 ? "" : "; other entries left out: " + passedOver);
    }

    /** Of what the headers say of the pictures, and of their classes; their content is not read. */
    @Override
    public synchronized Fingerprint fingerprint() {
        if (fingerprint == null) {
            FingerprintInput input = new FingerprintInput("tar", this);
            input.add(config.reading().describe());
            for (int i = 0; i < labels.length; i++) {
                Item item = items.get(i);
                input.add(item.name).add(labels[i]).add(item.size).add(item.time);
            }
            fingerprint = new Fingerprint(input.hex(), stamp());
        }
        return fingerprint;
    }

    @Override
    public String stamp() {
        FingerprintInput input = new FingerprintInput("stamp of tar", this);
        for (int i = 0; i < files.size(); i++)
            input.add(files.get(i).getFileName().toString()).add(attributes.get(i));
        return input.hex();
    }

    @Override
    public void close() throws IOException {
        for (FileChannel channel : channels) channel.close();
    }
}
