package org.dit4j.report;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dit4j.io.AtomicFile;
import org.dit4j.run.RunFolder;
import org.dit4j.run.TrainingListener;
import org.dit4j.run.TrainingLog;
import org.dit4j.train.Trainer;

/**
 * Keeps a run folder's model card, {@code README.md}, and {@code curves.png} up to date: with each grid of samples, and else now and then.
 * What cannot be written is told, and does not end the run.
 */
public final class Board implements TrainingListener {
    private static final Pattern GRID = Pattern.compile("step-\\d{7,18}\\.png");
    private static final long PAUSE_NANOS = 60_000_000_000L;
    /** Between grids, one part in so many of the time goes into this. */
    private static final int SHARE = 200;

    private final RunFolder folder;
    private final ModelCard card;
    private final RunHistory history;
    private final Consumer<String> messages;
    private long writtenNanos, tookNanos;

    public Board(RunFolder folder, ModelCard card, Consumer<String> messages) {
        this.folder = folder;
        this.card = card;
        this.messages = messages;
        history = new RunHistory(folder);
    }

    @Override
    public void onLog(Trainer trainer, TrainingLog log) {
        long since = System.nanoTime() - writtenNanos;
        if (since > PAUSE_NANOS && since / SHARE > tookNanos) write(trainer);
    }

    @Override
    public void onSamples(Trainer trainer) {
        write(trainer);
    }

    /** Writes both as they are now. */
    public void write(Trainer trainer) {
        long step = trainer.steps(), start = System.nanoTime();
        try {
            history.refresh();
            Curves.write(curves(folder), folder.path().getFileName() + ", step " + Numbers.number(step), history);
            String text =
                    card.text(step, trainer.state().trainedImages(), history, grid(step), Files.exists(curves(folder)));
            AtomicFile.write(folder.path().resolve("README.md"), text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException | RuntimeException | VirtualMachineError | LinkageError e) { // as fonts that are not there
            messages.accept("No curves or model card at step " + step + ": " + e.getMessage());
        }
        writtenNanos = System.nanoTime();
        tookNanos = writtenNanos - start;
    }

    /** Where a run's curves are; not there where a machine has no fonts. */
    public static Path curves(RunFolder folder) {
        return folder.path().resolve("curves.png");
    }

    /** The newest grid up to a step; a process that was killed may have left later ones. */
    private Optional<Path> grid(long step) throws IOException {
        try (Stream<Path> grids = Files.list(folder.samples())) {
            return grids.filter(
                            path -> GRID.matcher(path.getFileName().toString()).matches())
                    .filter(path -> stepOf(path) <= step)
                    .max(Comparator.comparingLong(Board::stepOf));
        }
    }

    /** The step of a grid, by its name. */
    static long stepOf(Path grid) {
        return Long.parseLong(grid.getFileName().toString().replaceAll("\\D", ""));
    }
}
