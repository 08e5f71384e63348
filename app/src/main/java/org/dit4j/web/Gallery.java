package org.dit4j.web;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dit4j.doctor.Machine;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.Images;
import org.dit4j.io.Sha256;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder of PNG files, which is all the truth there is: the index is rebuilt from it at each start. A picture is called by the SHA-256 of
 * its file, which is the file's name too; others that somebody puts there are read as well.
 */
final class Gallery {
    private static final Logger LOGGER = LoggerFactory.getLogger(Gallery.class);
    private static final Pattern OURS = Pattern.compile("[0-9a-f]{64}\\.png");
    private static final String TRASH = ".deleted";
    private static final Duration UNDO = Duration.ofDays(1);

    private final Path folder, trash;
    private final Map<String, Item> items = new ConcurrentHashMap<>();
    private final ConcurrentSkipListSet<Item> newestFirst = new ConcurrentSkipListSet<>(
            Comparator.comparing(Item::kept).reversed().thenComparing(Item::id));

    /**
     * A picture of the folder.
     *
     * @param recipe as {@link PictureRecipe} has it; null where the file has none
     */
    record Item(String id, Path file, Instant kept, long bytes, ObjectNode recipe) {
        ObjectNode toJson() {
            ObjectNode json = Json.object()
                    .put("id", id)
                    .put("url", "/v1/images/" + id + ".png")
                    .put("kept", kept.toString())
                    .put("bytes", bytes);
            json.set("recipe", recipe);
            return json;
        }

        private boolean fits(String name, String value) {
            if (value == null || value.isEmpty()) return true;
            if (recipe == null) return false;
            JsonNode said = name.equals("class")
                    ? recipe.path("class").path("name")
                    : recipe.path("model").path("id");
            return said.asText().toLowerCase(Locale.ROOT).contains(value.toLowerCase(Locale.ROOT));
        }
    }

    /** @throws IOException if the folder cannot be made, read or written */
    Gallery(Path folder) throws IOException {
        this.folder = folder;
        trash = folder.resolve(TRASH);
        if (Files.exists(folder) && !Files.isDirectory(folder))
            throw new IllegalArgumentException(folder + ": a file is there, not a folder; name another with --gallery");
        if (!Files.isWritable(Machine.existing(folder)))
            throw new IllegalArgumentException(folder + ": permission denied; name another folder with --gallery");
        Files.createDirectories(trash);
        AtomicFile.removeOrphans(folder, name -> OURS.matcher(name).matches());
        emptyTrash();
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
            files = all.filter(path -> path.toString().endsWith(".png")).toList();
        }
        files.parallelStream().map(Gallery::read).filter(Objects::nonNull).forEach(this::add);
    }

    private void emptyTrash() throws IOException {
        Instant old = Instant.now().minus(UNDO);
        try (Stream<Path> all = Files.list(trash)) {
            for (Path path : all.toList())
                if (Files.getLastModifiedTime(path).toInstant().isBefore(old)) Files.deleteIfExists(path);
        }
    }

    private static Item read(Path file) {
        try {
            byte[] bytes = Files.readAllBytes(file);
            String name = file.getFileName().toString();
            String id = OURS.matcher(name).matches() ? name.substring(0, 64) : Sha256.hex(bytes);
            ObjectNode recipe = PictureRecipe.of(Images.readPngText(new ByteArrayInputStream(bytes), name));
            return new Item(id, file, Files.getLastModifiedTime(file).toInstant(), bytes.length, recipe);
        } catch (IOException e) {
            LOGGER.warn("{}: left out of the gallery: {}", file, e.getMessage());
            return null;
        }
    }

    private void add(Item item) {
        Item former = items.put(item.id(), item);
        if (former != null) newestFirst.remove(former);
        newestFirst.add(item);
    }

    /** Writes a picture with its recipe; the same picture again is the same file. */
    Item keep(BufferedImage picture, Map<String, String> text) throws IOException {
        byte[] png = Images.encodePng(picture, text);
        String id = Sha256.hex(png);
        Path file = folder.resolve(id + ".png");
        AtomicFile.write(file, png);
        Item item = new Item(id, file, Files.getLastModifiedTime(file).toInstant(), png.length, PictureRecipe.of(text));
        add(item);
        return item;
    }

    Item get(String id) {
        Item item = items.get(id);
        if (item == null) throw new Problem(404, "there is no such picture");
        return item;
    }

    byte[] bytes(String id) throws IOException {
        Item item = get(id);
        try {
            return Files.readAllBytes(item.file());
        } catch (NoSuchFileException e) {
            forget(item);
            throw new Problem(404, "the file of this picture is gone");
        }
    }

    private void forget(Item item) {
        items.remove(item.id(), item);
        newestFirst.remove(item);
    }

    /** Moves a picture away, for a day. */
    void delete(String id) throws IOException {
        Item item = get(id);
        Path away = trash.resolve(id + ".png");
        try {
            Files.move(item.file(), away, StandardCopyOption.REPLACE_EXISTING);
            Files.setLastModifiedTime(away, FileTime.from(Instant.now()));
        } catch (NoSuchFileException e) {
            // somebody was faster
        }
        forget(item);
    }

    /** Brings a deleted picture back. */
    Item restore(String id) throws IOException {
        if (items.containsKey(id)) return get(id);
        Path away = trash.resolve(id + ".png"), file = folder.resolve(id + ".png");
        try {
            Files.move(away, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchFileException e) {
            throw new Problem(404, "no such picture was deleted in the last day");
        }
        Item item = read(file);
        if (item == null) throw new Problem(404, "the deleted picture cannot be read any more");
        add(item);
        return item;
    }

    /** A page of those that fit, newest first. */
    ObjectNode page(String className, String model, int from, int most) {
        List<ObjectNode> page = new ArrayList<>();
        boolean all = (className == null || className.isEmpty()) && (model == null || model.isEmpty());
        int total = 0;
        for (Item item : newestFirst) {
            if (all && page.size() == most) break; // how many there are is known
            if (!item.fits("class", className) || !item.fits("model", model)) continue;
            if (total >= from && page.size() < most) page.add(item.toJson());
            total++;
        }
        ObjectNode json = Json.object().put("total", all ? size() : total).put("from", from);
        json.set("images", Json.nodes(page));
        return json;
    }

    int size() {
        return items.size();
    }

    Path folder() {
        return folder;
    }
}
