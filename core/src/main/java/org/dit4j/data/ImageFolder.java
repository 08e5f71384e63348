package org.dit4j.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.zip.ZipException;
import org.dit4j.io.FormatException;
import org.dit4j.torch.Backend;

/**
 * Pictures (PNG, JPEG, WebP, GIF, BMP, TIFF, PNM) below a folder, or below a folder inside a zip file, with the class in a folder's name or in a table. Classes are
 * sorted by name, pictures by class and path, so that the numbers agree with torchvision's {@code ImageFolder}. Folders of equal name
 * in different places are one class. Names that begin with a dot, and folders that archivers and file servers add ({@code __MACOSX}, {@code @eaDir}), are passed over, files of other types are left out and counted.
 */
public final class ImageFolder implements Dataset {
    static {
        Backend.configure();
    }

    private final Path path;
    private final ImageFolderConfig config;
    /** Of the zip file; null for a plain folder. */
    private final FileSystem archive;
    /** Of the zip file; null for a plain folder. */
    private final byte[] attributes;

    private final PictureListing listing;
    private final List<String> classNames;
    private final List<PictureListing.Item> items;
    private final Pictures pictures;
    /** Null until it is asked for. */
    private Fingerprint fingerprint;

    private ImageFolder(Path root, Path path, ImageFolderConfig config, FileSystem archive, byte[] attributes)
            throws IOException {
        if (!Files.isDirectory(root))
            throw new NoSuchFileException(path.toString(), null, "there is no such folder of pictures");
        this.path = path;
        this.config = config;
        this.archive = archive;
        this.attributes = attributes;
        listing = new PictureListing(root, path, config);
        classNames = listing.classNames();
        items = listing.items(classNames);
        pictures = new Pictures(
                path,
                classNames,
                config.imageSize(),
                config.channels(),
                config.skipBroken(),
                config.reading(),
                items.size(),
                index -> items.get(index).label(),
                new Pictures.Files() {
                    @Override
                    public String name(int index) {
                        return listing.shown(items.get(index).file());
                    }

                    @Override
                    public InputStream open(int index) throws IOException {
                        Path file = items.get(index).file();
                        // a pipe would keep its reader waiting for ever
                        if (!isThere(file) && Files.exists(file))
                            throw new FormatException(name(index), "not a regular file");
                        try {
                            return Files.newInputStream(file);
                        } catch (IndexOutOfBoundsException e) { // the JDK's, of a damaged zip file
                            throw new FormatException(name(index), "damaged in the zip file: " + e.getMessage(), e);
                        }
                    }
                });
    }

    /**
     * Lists the pictures; reads none.
     *
     * @param path a folder, a zip file, or a folder inside one, such as {@code photos.zip/train}
     * @throws FormatException if there is no picture, a picture is above the folder that names its class, a class folder is empty, or the
     *     table does not have a folder
     * @throws NoSuchFileException if there is no such folder
     */
    public static ImageFolder open(Path path, ImageFolderConfig config) throws IOException {
        Path zip = path;
        while (zip != null && !Files.exists(zip)) zip = zip.getParent();
        if (zip == null || !Files.isRegularFile(zip)) return new ImageFolder(path, path, config, null, null);
        byte[] attributes = FingerprintInput.attributes(zip);
        FileSystem archive = openZip(zip);
        try {
            Path root = archive.getPath("/");
            for (Path name : zip.relativize(path)) root = root.resolve(name.toString());
            return new ImageFolder(root, path, config, archive, attributes);
        } catch (ZipException
                | IndexOutOfBoundsException
                | NegativeArraySizeException e) { // what the directory says of its entries is not there
            archive.close();
            throw noZip(zip, e);
        } catch (IOException | RuntimeException e) {
            archive.close();
            throw e;
        }
    }

    private static FormatException noZip(Path zip, Exception e) {
        return new FormatException(zip, "not a whole zip file (" + e.getMessage() + "); get it again", e);
    }

    private static FileSystem openZip(Path zip) throws IOException {
        if (!zip.getFileName().toString().toLowerCase(Locale.ROOT).endsWith(".zip"))
            throw new FormatException(zip, "neither a folder nor a zip file; give the folder of pictures");
        try {
            return FileSystems.newFileSystem(zip);
        } catch (ZipException | RuntimeException e) { // the JDK checks not all that it reads
            throw noZip(zip, e);
        }
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
    public String describe() {
        String colour = channels() == 1 ? "grey" : "RGB";
        return String.format(
                Locale.ROOT,
                "%s: %d pictures, %d classes%s, %s %d×%d %s%s%s",
                path,
                size(),
                classNames.size(),
                listing.layout(),
                config.imageSize() == ImageFolderConfig.ORIGINAL_SIZE ? "of" : "cropped to",
                width(),
                height(),
                colour,
                config.reading().describe(),
                listing.others());
    }

    @Override
    public int label(long index) {
        return items.get((int) Objects.checkIndex(index, size())).label();
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
    public synchronized Fingerprint fingerprint() throws IOException {
        if (fingerprint == null) {
            String stamp = stamp(); // first: what is changed meanwhile is seen the next time
            FingerprintInput input = named("pictures");
            if (archive == null)
                input.addEnds(items.stream().map(PictureListing.Item::file).toList(), config.skipBroken());
            else addDirectory(input);
            fingerprint = new Fingerprint(input.hex(), stamp);
        }
        return fingerprint;
    }

    @Override
    public String stamp() throws IOException {
        FingerprintInput input = named("stamp of pictures");
        if (archive != null) return input.add(attributes).hex();
        for (PictureListing.Item item : items)
            input.add(
                    config.skipBroken() && !isThere(item.file())
                            ? new byte[0]
                            : FingerprintInput.attributes(item.file()));
        return input.hex();
    }

    /** A link to nothing is a broken picture, which may be skipped, and a pipe or device must not be opened. */
    private static boolean isThere(Path file) {
        return Files.isRegularFile(file);
    }

    /** What broken pictures are replaced by is no part of it: without them being skipped, there is no training. */
    private FingerprintInput named(String kind) {
        FingerprintInput input = new FingerprintInput(archive == null ? kind : kind + " in a zip file", this);
        input.add(config.reading().describe());
        List<String> names = listing.names(items);
        for (int i = 0; i < items.size(); i++)
            input.add(names.get(i)).add(items.get(i).label());
        return input;
    }

    private void addDirectory(FingerprintInput input) throws IOException {
        for (PictureListing.Item item : items) {
            Map<String, Object> entry = Files.readAttributes(item.file(), "zip:size,crc");
            input.add((long) entry.get("size")).add((long) entry.get("crc"));
        }
    }

    @Override
    public void close() throws IOException {
        if (archive != null) archive.close();
    }
}
