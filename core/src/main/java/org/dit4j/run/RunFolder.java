package org.dit4j.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.data.Dataset;
import org.dit4j.data.Fingerprint;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.AtomicFolder;
import org.dit4j.io.FormatException;
import org.dit4j.run.RunIdentity.NewerVersionException;
import org.dit4j.torch.Precision;
import org.dit4j.train.TrainConfig;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where a run keeps what it makes: {@code results/000-DiT-S-2} with {@code checkpoints}, {@code samples}, {@code log.txt},
 * {@code metrics.jsonl}, {@code config.yaml} and {@code run.json}.
 */
public record RunFolder(Path path) {
    private static final Logger LOGGER = LoggerFactory.getLogger(RunFolder.class);
    private static final Pattern NUMBERED = Pattern.compile("(\\d{3,9})-.*"), NEW = Pattern.compile("\\.new-\\d{1,18}");
    private static final Duration OLD = Duration.ofHours(1);
    private static final String IDENTITY = "run.json", DATA = "data.json";
    private static final int FEW = 2;
    private static final ObjectMapper JSON = new ObjectMapper();

    /**
     * Makes the folder after the highest number in {@code results}, whole or not at all.
     *
     * @param name of the model, for example "DiT-S/2"; a slash becomes a dash
     */
    public static RunFolder create(Path results, String name, RunIdentity identity) throws IOException {
        Files.createDirectories(results);
        removeOrphans(results);
        try (AtomicFolder fresh = AtomicFolder.begin(results.resolve("new-run"))) {
            RunFolder folder = new RunFolder(fresh.path());
            Files.createDirectory(folder.checkpoints());
            Files.createDirectory(folder.samples());
            AtomicFile.write(folder.path.resolve(IDENTITY), identity.toJson());
            for (int number = next(results); ; number++) {
                Path path = results.resolve(String.format(Locale.ROOT, "%03d-%s", number, name.replace('/', '-')));
                try {
                    fresh.moveTo(path);
                    return new RunFolder(path);
                } catch (FileAlreadyExistsException e) {
                    // another process was faster
                }
            }
        }
    }

    /**
     * What processes of version 0.1.0 left that ended while they made a folder. By their age: the numbers in their names may be those of
     * processes in another container.
     */
    private static void removeOrphans(Path results) throws IOException {
        for (Path path : entries(results)) {
            if (!NEW.matcher(path.getFileName().toString()).matches()
                    || Files.getLastModifiedTime(path)
                            .toInstant()
                            .isAfter(Instant.now().minus(OLD))) continue;
            try (Stream<Path> all = Files.walk(path)) {
                for (Path orphan : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(orphan);
            }
        }
    }

    /**
     * The newest run in {@code results} that learns the same from the same data, and began with {@code origin}: with what is there now, or
     * was there, if nothing is there any more.
     */
    public static Optional<RunFolder> find(
            Path results, TrainConfig config, Precision precision, Dataset data, Origin origin) throws IOException {
        for (RunFolder folder : all(results)) {
            RunIdentity run;
            try {
                run = folder.identity();
            } catch (FormatException e) {
                LOGGER.warn("{}; passed over", e.getMessage());
                continue;
            }
            RunIdentity learned = new RunIdentity(RunIdentity.learned(config, precision)).withOriginOf(run);
            if (!learned.isSameButForDataAs(run) || !origin.hasNameOf(run)) continue;
            RunIdentity identity = RunIdentity.of(config, precision, data, folder.fingerprint())
                    .withOriginOf(run);
            if (!identity.isSameRunAs(run)) continue;
            if (origin.isUnchangedSince(run)) return Optional.of(folder);
            LOGGER.warn(
                    "{} is not the file any more that {} began with; that run goes on with --resume {}",
                    origin.path().orElseThrow(),
                    folder.path,
                    folder.path);
        }
        return Optional.empty();
    }

    /**
     * What the newest run in {@code results} that is almost this one has otherwise: one line that names it and at most {@value #FEW}
     * settings. A person who changed a setting, or whose data changed, learns why a run begins anew.
     */
    public static Optional<String> almost(Path results, RunIdentity identity) throws IOException {
        for (RunFolder folder : all(results)) {
            List<String> differences;
            try {
                differences = identity.differences(folder.identity());
            } catch (FormatException e) {
                continue;
            }
            if (!differences.isEmpty() && differences.size() <= FEW)
                return Optional.of(
                        "not the run " + folder.path + ", which differs in " + String.join("; ", differences));
        }
        return Optional.empty();
    }

    /** Whether a folder says that it is one of a run. */
    static boolean isOne(Path path) {
        return Files.exists(path.resolve(IDENTITY));
    }

    /** The runs in {@code results}, newest first; folders of other programs are left out, and there may be no such folder. */
    public static List<RunFolder> all(Path results) throws IOException {
        if (!Files.isDirectory(results)) return List.of();
        List<RunFolder> runs = new ArrayList<>();
        for (Path path : entries(results)) {
            RunFolder folder = new RunFolder(path);
            if (number(path) >= 0
                    && (Files.exists(path.resolve(IDENTITY)) || folder.saved().isPresent())) runs.add(folder);
        }
        runs.sort(Comparator.comparingInt((RunFolder folder) -> number(folder.path))
                .reversed()
                .thenComparing(RunFolder::path)); // a copy beside a run, as 000-tiny.bak, comes after it
        return runs;
    }

    private static int next(Path results) throws IOException {
        return entries(results).stream().mapToInt(RunFolder::number).max().orElse(-1) + 1;
    }

    private static List<Path> entries(Path results) throws IOException {
        try (Stream<Path> entries = Files.list(results)) {
            return entries.toList();
        }
    }

    private static int number(Path path) {
        Matcher matcher = NUMBERED.matcher(path.getFileName().toString());
        return matcher.matches() ? Integer.parseInt(matcher.group(1)) : -1;
    }

    /**
     * What the run depends on, as the folder says or, where that is damaged or gone, its newest checkpoint.
     *
     * @throws IOException if this is not the folder of a run
     */
    public RunIdentity identity() throws IOException {
        try {
            return recordedOrSaved();
        } catch (NewerVersionException e) {
            throw new FormatException(path.resolve(IDENTITY), e.getMessage(), e);
        }
    }

    private RunIdentity recordedOrSaved() throws IOException {
        try {
            return recorded();
        } catch (FormatException e) {
            RunIdentity saved = saved().orElseThrow(() -> e);
            LOGGER.warn("{} is damaged or gone; the newest checkpoint says what run it is", path.resolve(IDENTITY));
            return saved;
        }
    }

    private RunIdentity recorded() throws IOException {
        Path file = path.resolve(IDENTITY);
        if (!Files.exists(file))
            throw new FormatException(
                    path,
                    "is not the folder of a run: it has no " + IDENTITY
                            + "; to begin a run with its weights: --init-from");
        try {
            return RunIdentity.ofJson(Files.readAllBytes(file));
        } catch (NewerVersionException e) {
            throw e;
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, "is damaged: " + e.getMessage(), e);
        }
    }

    private Optional<RunIdentity> saved() throws IOException {
        try {
            return CheckpointFolder.withNewest(
                            checkpoints(), newest -> RunIdentity.ofState(CheckpointFolder.state(newest)))
                    .orElse(Optional.empty());
        } catch (JsonProcessingException e) { // damaged too
            return Optional.empty();
        }
    }

    /**
     * Makes again what the folder should say and have, where somebody took it away, or an older version did not write it. Only for who
     * alone writes there.
     */
    void repair(RunIdentity former, RunIdentity now) throws IOException {
        if (Files.notExists(samples(), LinkOption.NOFOLLOW_LINKS)) Files.createDirectory(samples());
        boolean outdated = former.isOfFirstVersion();
        try {
            recorded();
        } catch (FormatException e) {
            outdated = true;
        }
        if (outdated)
            AtomicFile.write(
                    path.resolve(IDENTITY), (former.isOfFirstVersion() ? former.withDataOf(now) : former).toJson());
    }

    /** The fingerprint of the run's data with its stamp, which spares reading them again; nothing if there is none that can be read. */
    Optional<Fingerprint> fingerprint() {
        try {
            JsonNode json = JSON.readTree(Files.readAllBytes(path.resolve(DATA)));
            return Optional.of(new Fingerprint(
                    json.path("digest").asText(), json.path("stamp").asText()));
        } catch (IOException | IllegalArgumentException e) { // not there, or somebody's
            return Optional.empty();
        }
    }

    /** Keeps the fingerprint for the next start, if it is another one. */
    void keep(Fingerprint fingerprint) throws IOException {
        if (fingerprint().filter(fingerprint::equals).isPresent()) return;
        ObjectNode json =
                JSON.createObjectNode().put("digest", fingerprint.digest()).put("stamp", fingerprint.stamp());
        AtomicFile.write(path.resolve(DATA), JSON.writeValueAsBytes(json));
    }

    /** Checkpoints, one folder each. */
    public Path checkpoints() {
        return path.resolve("checkpoints");
    }

    /** Sample grids, drawn as training goes. */
    public Path samples() {
        return path.resolve("samples");
    }

    /** The grid that was drawn after a step. */
    public Path samples(long step) {
        return samples().resolve(String.format(Locale.ROOT, "step-%07d.png", step));
    }

    /** The log, in the published format. */
    public Path log() {
        return path.resolve("log.txt");
    }

    /** The metrics, one JSON object on each line. */
    public Path metrics() {
        return path.resolve("metrics.jsonl");
    }

    /** The losses on data that are not trained on, one JSON object on each line; only where there are such data. */
    public Path validation() {
        return path.resolve("validation.jsonl");
    }

    /** The resolved configuration, a recipe that starts the same run again. */
    public Path config() {
        return path.resolve("config.yaml");
    }
}
