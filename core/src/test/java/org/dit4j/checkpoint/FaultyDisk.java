package org.dit4j.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/**
 * A disk in memory that fails at a chosen call and remembers what was forced: {@link #restart} is what a machine finds after it lost
 * power.
 */
final class FaultyDisk implements Disk {
    /** What power failure does to what was not forced. */
    enum Loss {
        /** Nothing: the process died, not the machine. */
        NONE,
        /** All of it is gone. */
        LOST,
        /** Some of it is there: of each file a part, its end perhaps garbage; of each folder the first few changes. */
        TORN
    }

    /** The machine has stopped. */
    static final class Stopped extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private interface Node {}

    private static final class File implements Node {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        int forced;
    }

    private static final class Folder implements Node {
        final Map<String, Node> forced = new TreeMap<>(), children = new TreeMap<>();
        /** Since the folder was forced, in order. */
        final List<Change> changes = new ArrayList<>();

        void change(String removed, String added, Node node) {
            Change change = new Change(removed, added, node);
            change.apply(children);
            changes.add(change);
        }
    }

    private record Change(String removed, String added, Node node) {
        void apply(Map<String, Node> children) {
            if (removed != null) children.remove(removed);
            if (added != null) children.put(added, node);
        }
    }

    private final Path top;
    private final Folder root = new Folder();
    private int calls, failingCall = -1;
    private boolean stops;
    long free = Long.MAX_VALUE;

    /** @param top the one folder that is there from the beginning */
    FaultyDisk(Path top) {
        this.top = top;
    }

    /** The call numbered {@code call} from now, from 0 on, throws an IOException; or, if it {@code stops}, that and all after it end the machine. */
    void failAt(int call, boolean stops) {
        calls = 0;
        failingCall = call;
        this.stops = stops;
    }

    int calls() {
        return calls;
    }

    private void count() throws IOException {
        int call = calls++;
        if (failingCall < 0 || call < failingCall) return;
        if (stops) throw new Stopped();
        if (call == failingCall) throw new IOException("call " + call + " fails");
    }

    private Folder folder(Path path) throws NoSuchFileException {
        if (path.equals(top)) return root;
        if (folder(path.getParent()).children.get(name(path)) instanceof Folder folder) return folder;
        throw new NoSuchFileException(path.toString());
    }

    private static String name(Path path) {
        return path.getFileName().toString();
    }

    private void add(Path path, Node node) throws IOException {
        Folder parent = folder(path.getParent());
        if (parent.children.containsKey(name(path))) throw new FileAlreadyExistsException(path.toString());
        parent.change(null, name(path), node);
    }

    @Override
    public void createFolder(Path folder) throws IOException {
        count();
        add(folder, new Folder());
    }

    @Override
    public Output create(Path path) throws IOException {
        count();
        File file = new File();
        add(path, file);
        return new Output() {
            @Override
            public void write(ByteBuffer bytes) throws IOException {
                byte[] content = new byte[bytes.remaining()];
                bytes.get(content);
                try {
                    count();
                } catch (IOException | Stopped e) {
                    file.content.write(content, 0, content.length / 2); // it failed half-way
                    throw e;
                }
                file.content.writeBytes(content);
            }

            @Override
            public void force() throws IOException {
                count();
                file.forced = file.content.size();
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public void forceFolder(Path path) throws IOException {
        count();
        Folder folder = folder(path);
        folder.forced.clear();
        folder.forced.putAll(folder.children);
        folder.changes.clear();
    }

    @Override
    public void move(Path from, Path to) throws IOException {
        count();
        Folder parent = folder(from.getParent());
        Node node = parent.children.get(name(from));
        if (!from.getParent().equals(to.getParent()) || node == null) throw new NoSuchFileException(from.toString());
        if (parent.children.get(name(to)) instanceof Folder) throw new FileAlreadyExistsException(to.toString());
        parent.change(name(from), name(to), node);
    }

    @Override
    public boolean isFolder(Path path) {
        try {
            folder(path);
            return true;
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    @Override
    public void delete(Path path) throws IOException {
        count();
        Node node = folder(path.getParent()).children.get(name(path));
        if (node == null || node instanceof Folder folder && !folder.children.isEmpty())
            throw new IOException(path + " cannot be deleted");
        folder(path.getParent()).change(name(path), null, null);
    }

    @Override
    public List<Path> list(Path path) throws IOException {
        count();
        return folder(path).children.keySet().stream().map(path::resolve).toList();
    }

    @Override
    public long freeBytes(Path folder) throws IOException {
        count();
        return free;
    }

    /** Writes what is found after the failure to a real folder. */
    void restart(Loss loss, Random random, Path real) throws IOException {
        materialize(root, loss, random, real);
    }

    private static void materialize(Folder folder, Loss loss, Random random, Path real) throws IOException {
        Files.createDirectory(real);
        Map<String, Node> found = new TreeMap<>(folder.forced);
        int kept = switch (loss) {
            case NONE -> folder.changes.size();
            case LOST -> 0;
            case TORN -> random.nextInt(folder.changes.size() + 1);
        };
        for (Change change : folder.changes.subList(0, kept)) change.apply(found);
        for (Map.Entry<String, Node> child : found.entrySet()) {
            Path path = real.resolve(child.getKey());
            if (child.getValue() instanceof Folder inner) materialize(inner, loss, random, path);
            else Files.write(path, content((File) child.getValue(), loss, random));
        }
    }

    private static byte[] content(File file, Loss loss, Random random) {
        byte[] content = file.content.toByteArray();
        int unforced = content.length - file.forced;
        return switch (loss) {
            case NONE -> content;
            case LOST -> Arrays.copyOf(content, file.forced);
            case TORN -> {
                int kept = random.nextInt(unforced + 1);
                byte[] torn = Arrays.copyOf(content, file.forced + kept);
                for (int i = Math.max(file.forced, torn.length - 64); i < torn.length; i++)
                    torn[i] = (byte) random.nextInt();
                yield torn;
            }
        };
    }
}
