package org.dit4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.checkpoint.OfficialTraining;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.checkpoint.Surgery;
import org.dit4j.data.Dataset;
import org.dit4j.io.FormatException;
import org.dit4j.io.TorchValues;
import org.dit4j.kernels.AdamW;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.TrainState;
import org.dit4j.train.Trainer;
import org.dit4j.vae.LatentSpace;

/** What a run begins with: found in a file, and found to fit its configuration, but not read yet. */
public final class InitialState {
    static {
        Backend.configure();
    }

    /** Random weights, at step 0. */
    static final InitialState FRESH = new InitialState(0, List.of(), state -> {});

    private final long steps;
    private final List<String> notes;
    private final Trainer.Start loader;

    private InitialState(long steps, List<String> notes, Trainer.Start loader) {
        this.steps = steps;
        this.notes = List.copyOf(notes);
        this.loader = loader;
    }

    /**
     * The state of the published training script, to go on from: weights, average, AdamW's moments and step count. The place in the order of
     * the data is steps × global batch size. What the file says otherwise than the configuration is among the {@link #notes}; the
     * configuration counts.
     *
     * @param file {@code {model, ema, opt, args}}
     * @throws IllegalArgumentException if the weights are of another model, naming the shapes
     * @throws FormatException if the file is damaged, or holds no state of an optimiser
     */
    public static InitialState ofPublished(Path file, TrainConfig config) throws IOException {
        if (!Files.exists(file))
            throw new NoSuchFileException(
                    file.toString(),
                    null,
                    "no such file or folder; give the folder of a run, or a training checkpoint of the published script");
        OfficialTraining training = OfficialTraining.read(file, config.model());
        List<String> notes = new ArrayList<>();
        notes.add("goes on from " + file + ": step " + training.steps() + " of the published script");
        Map<String, Object> optimizer = training.hyperParameters(), args = training.args();
        AdamW published = AdamW.withDecay(config.weightDecay());
        note(notes, "learning rate", config.learningRate().rate(), optimizer.get("lr"));
        note(notes, "weight decay", config.weightDecay(), optimizer.get("weight_decay"));
        if (optimizer.get("betas") instanceof TorchValues.Tuple betas)
            note(notes, "AdamW's betas", List.of(published.beta1(), published.beta2()), betas.items());
        note(notes, "AdamW's eps", published.eps(), optimizer.get("eps"));
        note(notes, "global batch size", config.globalBatchSize(), args.get("global_batch_size"));
        note(notes, "seed", config.seed(), args.get("global_seed"));
        noteDiffusion(notes, config, training.model().description());
        return new InitialState(training.steps(), notes, state -> load(training, state));
    }

    private static void note(List<String> notes, String what, Object here, Object there) {
        boolean equal = here instanceof Number a && there instanceof Number b
                ? a.doubleValue() == b.doubleValue()
                : Objects.equals(here, there);
        if (there != null && !equal) notes.add(what + " is " + here + " here, " + there + " in the file");
    }

    private static void noteDiffusion(List<String> notes, TrainConfig config, DiTDescription given) {
        note(
                notes,
                "diffusion",
                config.diffusion().text(),
                given.diffusion().withProducts(config.diffusion().products()).text());
    }

    private static void load(OfficialTraining training, TrainState state) throws IOException {
        load(training.model(), state.network());
        load(training.ema(), state.averagedNetwork());
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Map<String, Tensor> moments = training.readMoments();
            FlatParameters parameters = state.parameters();
            parameters
                    .views(state.firstMoments())
                    .forEach((name, tensor) -> tensor.copy_(moments.get("exp_avg." + name)));
            parameters
                    .views(state.secondMoments())
                    .forEach((name, tensor) -> tensor.copy_(moments.get("exp_avg_sq." + name)));
        }
        state.beginAfter(training.steps());
    }

    private static void load(DiTWeights weights, DiT network) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            StateDict.load(network, weights.read());
        }
    }

    /**
     * Trained weights to begin with at step 0, the averaged ones where a file has two sets: they become the network's and the average's.
     * Another number of classes gets fresh rows in the label table, another image size an interpolated position table; nothing else may
     * differ. The network follows the published arithmetic, whichever code the weights are from.
     *
     * @param path as {@link Checkpoints#open} takes it
     * @throws IllegalArgumentException if the weights are of another patch size, width or depth, or differ otherwise, with the reason
     * @throws FormatException if a file is damaged, or is none of a DiT
     */
    public static InitialState ofWeights(Path path, TrainConfig config, Dataset data) throws IOException {
        DiTConfig wanted = config.model();
        DiTWeights weights = Checkpoints.open(path, OpenOptions.DEFAULT.withNumHeads(wanted.numHeads()));
        DiTDescription given = weights.description();
        Surgery.requireFitting(given.model(), wanted);
        weights.requireSharedEmbedders("a network that is trained here");
        List<String> notes = new ArrayList<>();
        notes.add("begins with the weights of " + path + (given.weights().isEmpty() ? "" : ", " + given.weights()));
        DiTConfig old = given.model();
        if (old.numClasses() != wanted.numClasses())
            notes.add(wanted.numClasses() + " classes here, " + old.numClasses() + " in the file: fresh rows for all");
        if (old.inputHeight() != wanted.inputHeight() || old.inputWidth() != wanted.inputWidth())
            notes.add("input of " + wanted.inputHeight() + "×" + wanted.inputWidth() + " here, " + old.inputHeight()
                    + "×" + old.inputWidth() + " in the file: positions interpolated");
        Optional<LatentSpace> here = data.latents()
                .map(header -> LatentSpace.of(header.encoderDigest(), header.scale(), header.shift(), header.probe()));
        if (here.isPresent()
                && given.latents().isPresent()
                && !here.get().isLike(given.latents().get()))
            notes.add(
                    "the data are latents of another autoencoder, or scaled otherwise, than those that the weights know");
        noteDiffusion(notes, config, given);
        return new InitialState(0, notes, state -> load(weights, state));
    }

    private static void load(DiTWeights weights, TrainState state) throws IOException {
        torch.manual_seed(state.config().seed()); // of the fresh rows
        DiT fitted = Surgery.fitted(weights, state.config().model());
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = StateDict.of(fitted);
            StateDict.load(state.network(), tensors);
            StateDict.load(state.averagedNetwork(), tensors);
            state.parameters().round();
        } finally {
            fitted.close();
        }
    }

    /** Optimisation steps that lie behind it. */
    public long steps() {
        return steps;
    }

    /** What a person should know of it, one line each: what it is, what is changed in it, where it does not agree with the configuration. */
    public List<String> notes() {
        return notes;
    }

    void load(TrainState state) throws IOException {
        loader.load(state);
    }
}
