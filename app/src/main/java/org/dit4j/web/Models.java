package org.dit4j.web;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.checkpoint.Weights;
import org.dit4j.io.FormatException;
import org.dit4j.report.DidYouMean;
import org.dit4j.report.ErrorText;
import org.dit4j.run.RunFolder;

/** The models that there are, by identifiers of our own, and the few of them that are open. No client ever names a file. */
final class Models implements AutoCloseable {
    /** Opened and unused, besides those that draw. */
    private static final int KEPT = 2;

    private final List<Path> paths;
    private final OpenOptions options;
    private final String device;
    private final Optional<Path> previewVae;
    private final Map<String, Open> opened = new LinkedHashMap<>(16, 0.75f, true);
    private volatile Map<String, Entry> entries = Map.of();
    private volatile Map<String, RunFolder> runs = Map.of();

    /**
     * A model that can be opened.
     *
     * @param run the run that it is of, by its identifier; null if it is of none
     * @param checkpoint the name of its checkpoint; null for the newest one of a run, or no run
     */
    record Entry(String id, Path path, String run, String checkpoint) {}

    /** A model in use; it stays open until this is closed. */
    final class Lease implements AutoCloseable {
        private final Open open;
        private boolean returned;

        private Lease(Open open) {
            this.open = open;
        }

        Model model() {
            return open.model;
        }

        @Override
        public void close() {
            synchronized (Models.this) {
                if (returned) return;
                returned = true;
                open.users--;
                evict();
            }
        }
    }

    private static final class Open {
        private Model model;
        private int users;
    }

    /** @throws IOException if a path cannot be read; what is no model is said when it is opened */
    Models(List<Path> paths, OpenOptions options, String device, Optional<Path> previewVae) throws IOException {
        this.paths = paths;
        this.options = options;
        this.device = device;
        this.previewVae = previewVae;
        for (Path path : paths)
            if (!Files.exists(path) && paths.size() > 1)
                throw new FormatException(path, "there is no such file or folder");
        refresh();
    }

    /** Looks again for runs and checkpoints. */
    void refresh() throws IOException {
        Map<String, Entry> found = new LinkedHashMap<>();
        Map<String, RunFolder> foundRuns = new LinkedHashMap<>();
        for (Path path : paths) {
            List<RunFolder> inside = RunFolder.all(path);
            if (!inside.isEmpty()) for (RunFolder run : inside) add(run, found, foundRuns);
            else if (Files.isDirectory(path.resolve("checkpoints"))) add(new RunFolder(path), found, foundRuns);
            else if (Files.exists(path) && !isEmptyFolder(path)) {
                String id = id(path, found);
                found.put(id, new Entry(id, path, null, null));
            }
        }
        entries = found;
        runs = foundRuns;
    }

    /** A folder of runs before the first one. */
    private static boolean isEmptyFolder(Path path) throws IOException {
        if (!Files.isDirectory(path)) return false;
        try (var inside = Files.newDirectoryStream(path)) {
            return !inside.iterator().hasNext();
        }
    }

    private static void add(RunFolder run, Map<String, Entry> found, Map<String, RunFolder> runs) throws IOException {
        String id = id(run.path(), found);
        runs.put(id, run);
        List<Path> checkpoints = CheckpointFolder.checkpoints(run.checkpoints());
        if (checkpoints.isEmpty()) return;
        found.put(id, new Entry(id, run.path(), id, null));
        for (Path checkpoint : checkpoints) {
            String name = checkpoint.getFileName().toString();
            found.put(id + "@" + name, new Entry(id + "@" + name, checkpoint, id, name));
        }
    }

    private static String id(Path path, Map<String, ?> taken) {
        Path name = path.toAbsolutePath().normalize().getFileName();
        String plain = name == null ? "model" : name.toString().replaceAll("[^A-Za-z0-9._-]", "-");
        if (plain.matches("[.]*")) plain = "model";
        String id = plain;
        for (int i = 2; taken.containsKey(id); i++) id = plain + "-" + i;
        return id;
    }

    List<Entry> all() {
        return List.copyOf(entries.values());
    }

    Map<String, RunFolder> runs() {
        return runs;
    }

    RunFolder run(String id) {
        RunFolder run = runs.get(id);
        if (run == null) throw new Problem(404, "there is no such run; /v1/runs lists those there are");
        return run;
    }

    /** What is drawn with where nobody says: the first there is. */
    String first() {
        return entries.keySet().stream().findFirst().orElse("");
    }

    Entry entry(String id, String pointer) {
        Entry entry = entries.get(id);
        if (entry != null) return entry;
        if (entries.isEmpty())
            throw Problem.field(
                    pointer, "there is no model yet; train one (./dit demo), or start dit serve with its path");
        throw Problem.field(
                pointer,
                "unknown model \"" + (id.length() > 80 ? id.substring(0, 80) + "…" : id) + "\""
                        + DidYouMean.hint(id.length() > 80 ? "" : id, entries.keySet())
                        + "; /v1/models lists those there are");
    }

    /** @throws Problem if it cannot be opened, saying why */
    Lease lease(String id, Weights weights, String pointer) {
        return lease(id, weights, device, pointer);
    }

    /** As {@link #lease(String, Weights, String)} on a device. Models open one after another. */
    synchronized Lease lease(String id, Weights weights, String on, String pointer) {
        Entry entry = newest(entry(id, pointer), pointer);
        String key = entry.path() + " " + weights + " " + on;
        Open open = opened.get(key);
        if (open == null) {
            open = new Open();
            try {
                open.model = Model.open(entry, weights, options, on, previewVae);
            } catch (IOException | IllegalArgumentException | IllegalStateException e) {
                throw Problem.field(pointer, "model " + id + " cannot be opened: " + ErrorText.of(e));
            }
            opened.put(key, open);
        }
        open.users++;
        evict();
        return new Lease(open);
    }

    /** Of a run, which goes on meanwhile, the checkpoint that is its newest now. */
    private static Entry newest(Entry entry, String pointer) {
        if (entry.run() == null || entry.checkpoint() != null) return entry;
        try {
            return CheckpointFolder.latest(entry.path().resolve("checkpoints"))
                    .map(path -> new Entry(
                            entry.id(), path, entry.run(), path.getFileName().toString()))
                    .orElse(entry);
        } catch (IOException e) {
            throw Problem.field(pointer, "model " + entry.id() + " cannot be opened: " + ErrorText.of(e));
        }
    }

    /** Closes those that nobody has used for longest. */
    private void evict() {
        List<String> idle = new ArrayList<>();
        opened.forEach((key, open) -> {
            if (open.users == 0) idle.add(key);
        });
        for (int i = 0; i < idle.size() - KEPT; i++)
            opened.remove(idle.get(i)).model.close();
    }

    @Override
    public synchronized void close() {
        opened.values().forEach(open -> open.model.close());
        opened.clear();
    }
}
