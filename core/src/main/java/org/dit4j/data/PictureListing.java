package org.dit4j.data;

import java.io.IOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.dit4j.io.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What {@link ImageFolder} finds below its root, and the classes that the places of the pictures mean. */
final class PictureListing {
    /** A picture and its class. */
    record Item(Path file, int label) {}

    /** What Java puts in the place of bytes that are no letter in the locale's encoding. */
    private static final char UNREADABLE = '\uFFFD';

    /** Of the names of picture files, in small letters: those of torchvision, and a few more that Pillow reads. */
    static final Set<String> ENDINGS =
            Set.of("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm");
    /** Folders that no one made: of macOS' archiver and of Synology's file server. */
    static final Set<String> NOBODYS = Set.of("__MACOSX", "@eaDir");
    /** Names that folders have which part a data set, and hardly any class. */
    private static final Set<String> PARTS =
            Set.of("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval");

    private static final Logger log = LoggerFactory.getLogger(PictureListing.class);

    /** Where the pictures are, and the folder whose folders are the classes: the same, or below. */
    private final Path root;

    private final Path shownRoot;
    private final Path classRoot;
    /** Pictures right below the root are one class. */
    private final boolean flat;

    private final ImageFolderConfig config;
    private final List<Path> pictures = new ArrayList<>();
    private final List<Path> folders = new ArrayList<>();
    private final TreeSet<Path> classFolders = new TreeSet<>();
    private final TreeMap<String, Integer> others = new TreeMap<>();

    /**
     * Walks through the folders.
     *
     * @param root where the pictures are, perhaps inside a zip file
     * @param shownRoot the root as the user wrote it
     */
    PictureListing(Path root, Path shownRoot, ImageFolderConfig config) throws IOException {
        this.root = root;
        this.shownRoot = shownRoot;
        this.config = config;
        Files.walkFileTree(root, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, new Visitor());
        if (pictures.isEmpty()) throw new FormatException(shownRoot, "no picture here or below" + others());
        boolean automatic = config.classDepth() == ImageFolderConfig.AUTOMATIC
                && config.classTable().isEmpty();
        flat = automatic && pictures.stream().allMatch(picture -> root.equals(picture.getParent()));
        classRoot = automatic && !flat ? classRoot() : root;
        for (Path folder : folders)
            if (folder.startsWith(classRoot)
                    && classRoot.relativize(folder).getNameCount() == depth()
                    && !folder.equals(classRoot)) classFolders.add(folder);
    }

    private int depth() {
        return config.classDepth() == ImageFolderConfig.AUTOMATIC ? 1 : config.classDepth();
    }

    /** Passes over folders that hold all others, and refuses what is likely a folder too high. */
    private Path classRoot() throws FormatException {
        Path top = root;
        while (true) {
            TreeSet<String> names = new TreeSet<>();
            boolean deep = true;
            TreeSet<String> below = new TreeSet<>();
            for (Path picture : pictures) {
                Path relative = top.relativize(picture);
                if (relative.getNameCount() == 1) return top; // a picture without a class, which is refused later
                names.add(relative.getName(0).toString());
                deep &= relative.getNameCount() > 2;
                if (relative.getNameCount() > 2) below.add(relative.getName(1).toString());
            }
            boolean parts = names.stream().allMatch(name -> PARTS.contains(name.toLowerCase(Locale.ROOT)));
            if (parts && names.size() > 1)
                throw new FormatException(
                        shown(top),
                        "its folders " + names + " would be the classes; are they parts of a data set? Give the one to"
                                + " train on, as in --data-path " + shown(top.resolve(names.first()))
                                + " --validation-path " + shown(top.resolve(names.last()))
                                + "; or say that they are classes: --class-depth 1");
            boolean single = names.size() == 1 && deep && (below.size() > 1 || parts);
            if (!single) return top;
            top = top.resolve(names.first());
        }
    }

    /** Where the classes are, if that is not right below the root; for descriptions. */
    String layout() {
        if (flat) return " (all pictures are one)";
        return classRoot.equals(root) ? "" : " (the folders in " + shown(classRoot) + ")";
    }

    private static String nameOf(Path folder) {
        // a zip file system's folders may end in a slash
        return folder.getFileName().toString().replace("/", "");
    }

    private final class Visitor extends SimpleFileVisitor<Path> {
        @Override
        public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
            if (folder.equals(root)) return FileVisitResult.CONTINUE;
            if (isHidden(folder) || NOBODYS.contains(nameOf(folder))) return FileVisitResult.SKIP_SUBTREE;
            folders.add(folder);
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            if (isHidden(file)) return FileVisitResult.CONTINUE;
            String name = file.getFileName().toString();
            String ending = name.substring(Math.max(0, name.lastIndexOf('.'))).toLowerCase(Locale.ROOT);
            if (name.indexOf('.') >= 0 && ENDINGS.contains(ending.substring(1))) pictures.add(file);
            else others.merge(ending, 1, Integer::sum);
            return FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
            if (e instanceof FileSystemLoopException && !config.skipBroken())
                throw new FormatException(
                        shown(file),
                        "a link to a folder that it lies in, which never ends; remove it, or go on without:"
                                + " --on-broken skip",
                        e);
            if (!config.skipBroken() || file.equals(root)) throw e;
            log.warn("left out: {}: {}", shown(file), e.toString());
            return FileVisitResult.CONTINUE;
        }

        private boolean isHidden(Path path) {
            return path.getFileName().toString().startsWith(".");
        }
    }

    /** "; other files left out: 3 (.csv, .txt)", or nothing. */
    String others() {
        int count = others.values().stream().mapToInt(Integer::intValue).sum();
        if (count == 0) return "";
        return "; other files left out: " + count + " (" + String.join(", ", others.keySet()) + ")";
    }

    /** The table's classes, or the folders' names, sorted. */
    List<String> classNames() throws FormatException {
        if (config.classTable().isPresent()) return config.classTable().get().classNames();
        TreeSet<String> names = new TreeSet<>();
        for (Path picture : pictures) names.add(folderName(picture));
        requireNoEmptyClass();
        return List.copyOf(names);
    }

    private void requireNoEmptyClass() throws FormatException {
        if (config.classDepth() == ImageFolderConfig.INNERMOST || flat) return;
        for (Path picture : pictures)
            classFolders.remove(classRoot.resolve(classRoot.relativize(picture).subpath(0, depth())));
        if (!classFolders.isEmpty())
            throw new FormatException(
                    shown(classFolders.first()),
                    "a class folder without a picture; put some there or remove it" + others());
    }

    private String folderName(Path picture) throws FormatException {
        if (flat) return rootName();
        Path relative = classRoot.relativize(picture);
        int numFolders = relative.getNameCount() - 1;
        int depth = config.classDepth() == ImageFolderConfig.INNERMOST ? Math.max(1, numFolders) : depth();
        if (numFolders == 0 && depth == 1)
            throw new FormatException(
                    shown(picture),
                    "lies right in %1$s, so it has no class; put the pictures of each class into a folder of their own, as in %1$s/CLASS/%2$s"
                            .formatted(shown(classRoot), relative));
        if (numFolders < depth)
            throw new FormatException(
                    shown(picture),
                    "the class is the name of folder %d below %s, but this picture lies in %d; move it, or choose another class depth"
                            .formatted(depth, shown(classRoot), numFolders));
        String name = relative.getName(depth - 1).toString();
        // two names of which Java can read no letter would look the same, and be one class
        if (name.indexOf(UNREADABLE) >= 0)
            throw new FormatException(
                    shown(picture),
                    "the name of its class has letters that cannot be read in this locale; set LC_ALL=C.UTF-8");
        return name;
    }

    private String rootName() {
        Path name = shownRoot.toAbsolutePath().normalize().getFileName();
        String text = name == null ? "all" : name.toString();
        return text.toLowerCase(Locale.ROOT).endsWith(".zip") ? text.substring(0, text.length() - 4) : text;
    }

    /** The pictures, sorted by class, folder and name. */
    List<Item> items(List<String> classNames) throws FormatException {
        Map<String, Integer> labels = new HashMap<>();
        for (String name : classNames) labels.put(name, labels.size());
        List<Item> items = new ArrayList<>(pictures.size());
        for (Path picture : pictures) {
            int label = config.classTable().isPresent()
                    ? label(config.classTable().get(), picture)
                    : labels.get(folderName(picture));
            items.add(new Item(picture, label));
        }
        items.sort(Comparator.comparingInt(Item::label)
                .thenComparing(item -> item.file.getParent().toString())
                .thenComparing(item -> item.file.getFileName().toString())
                .thenComparing(Item::file)); // names that cannot be read in this locale look alike, and are not
        return Collections.unmodifiableList(items);
    }

    private int label(ClassTable table, Path picture) throws FormatException {
        Integer byPath = table.label(root.relativize(picture).toString().replace('\\', '/'));
        if (byPath != null) return byPath;
        String folder = folderName(picture);
        Integer byFolder = table.label(folder);
        if (byFolder == null)
            throw new FormatException(
                    shown(picture),
                    "neither its path nor its folder \"" + folder + "\" is in the table " + table.file());
        return byFolder;
    }

    /** For fingerprints, the place of each item below the root. */
    List<String> names(List<Item> items) {
        boolean zipped = root.getFileSystem() != shownRoot.getFileSystem();
        String uri = zipped ? "" : FingerprintInput.uri(root);
        return items.stream()
                .map(item -> zipped ? root.relativize(item.file).toString() : FingerprintInput.relative(uri, item.file))
                .toList();
    }

    /** A path as the user would write it, the zip file included. */
    String shown(Path below) {
        // text, not a path: a name from a zip file, or an unreadable one, may be none in this file system
        if (below.equals(root)) return shownRoot.toString();
        return shownRoot + shownRoot.getFileSystem().getSeparator() + root.relativize(below);
    }
}
