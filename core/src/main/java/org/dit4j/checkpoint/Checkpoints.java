package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.dit4j.io.FormatException;
import org.dit4j.io.ShardIndex;
import org.dit4j.torch.Backend;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentScaling;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One way to open whatever holds a DiT. Nothing is ever downloaded. */
public final class Checkpoints {
    static {
        Backend.configure();
    }

    private static final Logger log = LoggerFactory.getLogger(Checkpoints.class);

    private Checkpoints() {}

    /**
     * Finds the weights that a path means and checks that they are a model's, and in a run's checkpoint that every byte is as it was
     * written:
     * <ul>
     *   <li>a run folder or its {@code checkpoints} (the newest one), or the folder of one checkpoint,
     *   <li>a safetensors file that dit4j wrote,
     *   <li>a {@code .pt} or safetensors file with the published names, wherever they stand in it: {@link OfficialCheckpoint},
     *   <li>the folder of a diffusers pipeline: {@link DiffusersFolder},
     *   <li>a name as on Hugging Face's hub, {@code facebook/DiT-XL-2-256}, if it is in the local cache: {@link HubCache}.
     * </ul>
     *
     * <p>What is guessed where a file does not say, chosen among several sets, or ignored beside them is logged as a warning.
     *
     * @throws FormatException if a file is damaged, or is not what it should be
     * @throws NoSuchFileException if there is nothing, saying what to give or to fetch
     */
    public static DiTWeights open(Path path, OpenOptions options) throws IOException {
        DiTWeights weights = found(path, options);
        for (String note : weights.notes()) log.warn("{}: {}", path, note);
        return weights;
    }

    /** As {@link #open}, leaving it to the caller to say what was guessed. */
    static DiTWeights found(Path path, OpenOptions options) throws IOException {
        Path found = HubCache.ofEnvironment().resolve(path);
        DiTWeights weights = Files.isDirectory(found) ? openFolder(found, options) : openFile(found, options);
        return options.profile().map(weights::withProfile).orElse(weights);
    }

    private static DiTWeights openFile(Path file, OpenOptions options) throws IOException {
        Optional<FileChannel> whole = CheckpointFolder.openWhole(file);
        TensorFile tensors = whole.isPresent() ? TensorFile.of(file, whole.get()) : TensorFile.of(file);
        Optional<DiTDescription> ours = DiTDescription.of(file, tensors.metadata());
        return ours.isPresent()
                ? DiTCheckpoint.of(file, ours.get(), tensors)
                : OfficialCheckpoint.read(file, tensors, options);
    }

    private static DiTWeights openFolder(Path folder, OpenOptions options) throws IOException {
        return isDiffusers(folder, options)
                ? DiffusersFolder.read(folder)
                : reading(folder, options, file -> openFile(file, options));
    }

    /**
     * Reads the file of weights that a path means. Of a run it is that of the newest checkpoint, and of the next if the run replaces that one
     * meanwhile.
     */
    static <T> T reading(Path path, OpenOptions options, CheckpointFolder.Reading<T> reading) throws IOException {
        Optional<Path> run = run(path, options);
        if (run.isEmpty()) return reading.of(file(path, options));
        return CheckpointFolder.withNewest(run.get(), newest -> reading.of(newest.resolve(name(options))))
                .orElseThrow(() -> noCheckpoint(path));
    }

    /** The checkpoints of the run that a path means, if it means one. */
    private static Optional<Path> run(Path path, OpenOptions options) {
        if (!Files.isDirectory(path) || isDiffusers(path, options) || Files.exists(path.resolve(name(options))))
            return Optional.empty();
        return Optional.of(Files.isDirectory(path.resolve("checkpoints")) ? path.resolve("checkpoints") : path);
    }

    private static FormatException noCheckpoint(Path path) {
        return new FormatException(
                path,
                "holds no checkpoint; give a run folder, a checkpoint's folder (with " + CheckpointFolder.EMA
                        + "), a diffusers pipeline's folder (with model_index.json), or a file");
    }

    private static boolean isDiffusers(Path folder, OpenOptions options) {
        return !Files.exists(folder.resolve(name(options))) && DiffusersFolder.isOne(folder);
    }

    private static String name(OpenOptions options) {
        return options.weights() == Weights.EMA ? CheckpointFolder.EMA : CheckpointFolder.MODEL;
    }

    /** The file of weights that a path means: itself, or the one in a folder. */
    static Path file(Path path, OpenOptions options) throws IOException {
        if (!Files.isDirectory(path)) return path;
        if (isDiffusers(path, options)) return DiffusersFolder.weights(path);
        Optional<Path> run = run(path, options);
        if (run.isEmpty()) return path.resolve(name(options));
        return CheckpointFolder.latest(run.get())
                .map(newest -> newest.resolve(name(options)))
                .orElseThrow(() -> noCheckpoint(path));
    }

    /**
     * The files that {@link #open} would read the weights from: one, or an index and its shards.
     *
     * @throws NoSuchFileException if there is nothing, saying what to give or to fetch
     */
    public static List<Path> files(Path path, OpenOptions options) throws IOException {
        Path file = file(HubCache.ofEnvironment().resolve(path), options);
        List<Path> files = new ArrayList<>(List.of(file));
        if (ShardIndex.is(file))
            files.addAll(ShardIndex.read(file).tensorsByShard().keySet());
        return files;
    }

    /**
     * Opens an autoencoder: what {@link VaeCheckpoint#open} takes, a diffusers pipeline's folder (its {@code vae}), {@code ema} or
     * {@code mse} for the two that were published for DiT, or another name as on Hugging Face's hub, in the local cache.
     *
     * <p>Call it outside any step's scope; the caller closes the codec.
     */
    public static LatentCodec openVae(Path path) throws IOException {
        return openVae(path, Optional.empty());
    }

    /**
     * As {@link #openVae(Path)}.
     *
     * @param scaling between raw latents and latents, of a single file, which cannot say it
     * @throws IllegalArgumentException if a scaling is given for what says its own
     */
    public static LatentCodec openVae(Path path, Optional<LatentScaling> scaling) throws IOException {
        return VaeCheckpoint.openNamed(path, scaling);
    }
}
