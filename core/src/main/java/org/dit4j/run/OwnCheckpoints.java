package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.dit4j.checkpoint.CheckpointFolder;

/**
 * The checkpoints that a run may go on from. Somebody may have copied one of another run into its folder: one counts as its own if what it
 * says of its run is what the folder says, but for changes that the run's log has, or what the run is now.
 *
 * @param recorded as the folder says it
 * @param now as it goes on
 */
public record OwnCheckpoints(RunFolder folder, RunIdentity recorded, RunIdentity now) {
    /**
     * The newest that is the run's own, and of which every bit is as it was written.
     *
     * @param damaged is told what is wrong with each newer one, in one line
     * @param foreign is told of each newer one whose run it is, in one line
     */
    Optional<Path> newestWhole(Consumer<String> damaged, Consumer<String> foreign) throws IOException {
        for (Path checkpoint : CheckpointFolder.checkpoints(folder.checkpoints())) {
            Optional<String> damage = CheckpointFolder.damage(checkpoint);
            damage.ifPresent(damaged);
            if (damage.isPresent()) continue;
            Optional<String> other = foreign(checkpoint);
            if (other.isEmpty()) return Optional.of(checkpoint);
            foreign.accept(other.get());
        }
        return Optional.empty();
    }

    /** Of a checkpoint that is not the run's own whose it is, in one line. */
    Optional<String> foreign(Path checkpoint) throws IOException {
        List<String> differences = differences(checkpoint);
        return differences.isEmpty()
                ? Optional.empty()
                : Optional.of(checkpoint + " is of another run: " + String.join("; ", differences));
    }

    /**
     * Whether the newest checkpoint in the folder of a run, from which weights are taken, is of another run: then whose it is, in one line.
     * Nothing if a path means no run, or one of which nothing can be read.
     *
     * @param path the folder of a run, or its {@code checkpoints}
     */
    public static Optional<String> foreignNewest(Path path) {
        Path parent = path.toAbsolutePath().getParent();
        try {
            boolean inside = parent != null
                    && RunFolder.isOne(parent)
                    && Files.isSameFile(path, new RunFolder(parent).checkpoints());
            RunFolder folder = new RunFolder(inside ? parent : path);
            if (!RunFolder.isOne(folder.path())) return Optional.empty();
            RunIdentity recorded = folder.identity();
            OwnCheckpoints own = new OwnCheckpoints(folder, recorded, recorded);
            return CheckpointFolder.withNewest(folder.checkpoints(), own::foreign)
                    .orElse(Optional.empty());
        } catch (IOException e) { // who opens the weights says what is wrong
            return Optional.empty();
        }
    }

    /** What nobody asked of this run. A checkpoint that does not say what it is of is not doubted. */
    private List<String> differences(Path checkpoint) throws IOException {
        RunIdentity saved;
        try {
            Optional<RunIdentity> said = RunIdentity.ofState(CheckpointFolder.state(checkpoint));
            if (said.isEmpty() || now.isSameRunAs(said.get())) return List.of();
            saved = said.get();
        } catch (IllegalArgumentException e) { // of a newer version
            return List.of("it " + e.getMessage());
        }
        // before there were fingerprints, data that were moved were other data
        RunIdentity compared = saved.isOfFirstVersion() ? saved.withDataOf(recorded) : saved;
        List<String> differences = new ArrayList<>(compared.differences(recorded));
        if (!differences.isEmpty()) differences.removeIf(RunLog.messages(folder.log(), RunLog.CHANGED)::contains);
        return differences;
    }
}
