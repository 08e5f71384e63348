package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.Inspection.HashedFile;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.data.Dataset;
import org.dit4j.io.FormatException;
import org.dit4j.train.TrainConfig;

/**
 * What a run begins with, by name; {@link #open} finds what it names. {@link RunFolder#create} records it, with the SHA-256 of its files, in
 * the run's identity. {@link TrainingRun#open} begins from what is recorded, until the run has a checkpoint of its own.
 *
 * @param path empty for fresh weights
 */
public record Origin(Kind kind, Optional<Path> path) {
    /** Random weights, as published. */
    public static final Origin FRESH = new Origin(Kind.FRESH, Optional.empty());

    /** The key of the files' sizes and times, by which they are known to be the same without being read. */
    private static final String STAMP = "originFiles";

    /** The key of the files' SHA-256. */
    private static final String DIGEST = "originSha256";

    /** Where the first weights are from. */
    public enum Kind {
        /** Nowhere: they are random. */
        FRESH,
        /** A training checkpoint of the published script, which the run goes on from. */
        PUBLISHED_STATE,
        /** Trained weights, with which the run begins at step 0. */
        TRAINED_WEIGHTS
    }

    /** @throws IllegalArgumentException if there is a path for fresh weights, or none for others */
    public Origin {
        if ((kind == Kind.FRESH) == path.isPresent())
            throw new IllegalArgumentException(
                    kind + " with path " + path + "; fresh weights have none, others have one");
    }

    /** @see InitialState#ofPublished */
    public static Origin publishedState(Path file) {
        return new Origin(Kind.PUBLISHED_STATE, Optional.of(file));
    }

    /** @see InitialState#ofWeights */
    public static Origin trainedWeights(Path path) {
        return new Origin(Kind.TRAINED_WEIGHTS, Optional.of(path));
    }

    /** What a run began with, as its identity records it. */
    public static Origin of(RunIdentity run) {
        String text = run.values().get(RunIdentity.ORIGIN);
        if (text == null) return FRESH;
        for (Kind kind : Kind.values())
            if (text.startsWith(kind + " "))
                return new Origin(
                        kind, Optional.of(Path.of(text.substring(kind.name().length() + 1))));
        throw new IllegalArgumentException("the run began with \"" + text + "\", which is not known here");
    }

    /**
     * What {@linkplain RunIdentity#begunWith a run's identity} says of it, by key; nothing for fresh weights. Reads the files, to take their SHA-256.
     *
     * @throws NoSuchFileException if there is no such file
     */
    public Map<String, String> identity() throws IOException {
        if (kind == Kind.FRESH) return Map.of();
        Map<String, String> values = new LinkedHashMap<>();
        values.put(DIGEST, digest());
        values.put(STAMP, stamp());
        // the same from wherever the command is given; what is no path is a name on the hub
        boolean isPath = Files.exists(path.orElseThrow());
        values.put(RunIdentity.ORIGIN, kind + " " + (isPath ? absolute() : path.orElseThrow()));
        return values;
    }

    private Path absolute() {
        return path.orElseThrow().toAbsolutePath().normalize();
    }

    private List<Path> files() throws IOException {
        return Checkpoints.files(path.orElseThrow(), OpenOptions.DEFAULT);
    }

    private String stamp() throws IOException {
        List<String> stamps = new ArrayList<>();
        for (Path file : files()) stamps.add(Files.size(file) + " bytes of " + Files.getLastModifiedTime(file));
        return String.join(", ", stamps);
    }

    private String digest() throws IOException {
        List<String> digests = new ArrayList<>();
        for (Path file : files()) digests.add(HashedFile.of(file).sha256());
        return String.join(", ", digests);
    }

    /** Whether a run began with what has this name, whatever it holds by now. */
    boolean hasNameOf(RunIdentity run) {
        String recorded = run.values().get(RunIdentity.ORIGIN);
        if (kind == Kind.FRESH) return recorded == null;
        return List.of(kind + " " + path.orElseThrow(), kind + " " + absolute()).contains(String.valueOf(recorded));
    }

    /**
     * Whether the files are those that a run began with. Those of the same size and time are not read again, and those that are gone are
     * taken for the same: a run does not need them once it has a checkpoint.
     */
    boolean isUnchangedSince(RunIdentity run) throws IOException {
        if (kind == Kind.FRESH) return true;
        try {
            return stamp().equals(run.values().get(STAMP))
                    || digest().equals(run.values().get(DIGEST));
        } catch (NoSuchFileException e) {
            return true;
        }
    }

    /**
     * Finds the files and checks them against a configuration; no weights are read yet.
     *
     * @param data on which the run trains
     * @throws IllegalArgumentException if they are of another model
     * @throws FormatException if a file is damaged, or is not what it should be
     * @throws NoSuchFileException if there is no such file
     */
    public InitialState open(TrainConfig config, Dataset data) throws IOException {
        return switch (kind) {
            case FRESH -> InitialState.FRESH;
            case PUBLISHED_STATE -> InitialState.ofPublished(path.orElseThrow(), config);
            case TRAINED_WEIGHTS -> InitialState.ofWeights(path.orElseThrow(), config, data);
        };
    }
}
