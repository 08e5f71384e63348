package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.TorchFile;
import org.dit4j.io.TorchValues;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/**
 * Files with the published names and nothing that says which model they are of: the published {@code DiT-XL-2-256x256.pt}, what the
 * published training script writes, and state dicts as safetensors. The model is found from the shapes; the position table is the file's.
 */
public final class OfficialCheckpoint {
    private static final String POSITIONS = "pos_embed";
    private static final int PUBLISHED_CLASSES = 1000;
    private static final double PUBLISHED_DROPOUT = 0.1;

    static {
        Backend.configure();
    }

    private OfficialCheckpoint() {}

    /**
     * The weights of a file, found wherever they stand in it. What {@code DistributedDataParallel}, {@code torch.compile} and other wrappers
     * leave in names is taken off; what training scripts say of themselves beside the weights is obeyed.
     *
     * @param weights of a training checkpoint: the averaged or those in training
     * @param numHeads attention heads, needed for a width that no published model has
     * @throws FormatException if the file is damaged, is no DiT's, has several and does not say which is meant, or says that it is for what is
     *     not known here
     */
    public static DiTWeights read(Path file, Weights weights, OptionalInt numHeads) throws IOException {
        OpenOptions options = OpenOptions.DEFAULT.withWeights(weights);
        return read(
                file, TensorFile.of(file), numHeads.isPresent() ? options.withNumHeads(numHeads.getAsInt()) : options);
    }

    static DiTWeights read(Path file, TensorFile tensors, OpenOptions options) throws IOException {
        List<WeightSet> sets = WeightSet.all(file, tensors);
        WeightSet set =
                WeightSet.choose(file, sets, options.weights(), options.place()).orElse(null);
        if (set == null) throw new FormatException(file, noDiT(tensors));
        ScriptArgs args = ScriptArgs.of(file, tensors.root());
        args.requireKnown();
        List<String> notes = new ArrayList<>(set.notes(sets));
        Map<String, String> names = withPositions(file, set, sets, notes);
        try {
            OptionalInt heads = options.numHeads().isPresent() ? options.numHeads() : args.numHeads();
            DiTConfig found = DiTShapes.config(shapes(tensors, names), heads);
            DiTConfig model = labelled(file, found, args, options, notes);
            return of(file, tensors, names, model, args.diffusion(model), set.origin(), notes);
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
    }

    private static String noDiT(TensorFile tensors) {
        Object root = tensors.root();
        if (tensors.isTorch() && !(root instanceof Map) && !(root instanceof TorchFile.Foreign))
            return "holds no tensors by name, but " + what(root);
        try {
            DiTShapes.config(tensors.shapes(), OptionalInt.of(1));
            return "holds no DiT";
        } catch (IllegalArgumentException e) {
            return e.getMessage();
        }
    }

    private static String what(Object value) {
        if (value == null) return "None";
        if (value instanceof List || value instanceof TorchValues.Tuple) return "a list";
        if (value instanceof TorchFile.TensorInfo) return "one tensor";
        if (value instanceof TorchValues.Namespace) return "a Namespace";
        return "a " + value.getClass().getSimpleName();
    }

    /** An average of what is trained may lack the table of positions, which is not: that of the weights in training is the same. */
    private static Map<String, String> withPositions(Path file, WeightSet set, List<WeightSet> sets, List<String> notes)
            throws FormatException {
        Map<String, String> names = new LinkedHashMap<>(set.names());
        if (!set.averaged() || names.containsKey(POSITIONS)) return names;
        for (WeightSet other : sets) {
            String place = other.averaged() ? null : other.names().get(POSITIONS);
            if (place == null || names.containsKey(POSITIONS)) continue;
            names.put(POSITIONS, place);
            notes.add("the averaged weights have no " + POSITIONS + ", which is not trained; " + place + " is taken");
        }
        if (!names.containsKey(POSITIONS))
            throw new FormatException(
                    file,
                    "the averaged weights at " + set.place() + " have no " + POSITIONS
                            + ", which is not trained, and nothing else in the file has it; give the whole checkpoint, with"
                            + " the weights in training");
        return names;
    }

    /** No shape tells whether the last row of the label table is a class, or the null label of guidance. */
    private static DiTConfig labelled(
            Path file, DiTConfig found, ScriptArgs args, OpenOptions options, List<String> notes)
            throws FormatException {
        int rows = found.labelRows();
        if (rows < 2) return found;
        OptionalDouble dropout = args.labelDropout();
        OptionalLong classes = args.numClasses();
        boolean saysAll = classes.isPresent() && classes.getAsLong() == rows,
                saysLess = classes.isPresent() && classes.getAsLong() == rows - 1;
        if (dropout.isPresent() || saysAll || saysLess) {
            boolean none = saysAll || dropout.isPresent() && dropout.getAsDouble() == 0 && !saysLess;
            if (options.noNullLabel() && !none)
                throw new FormatException(
                        file, "has a null label among its " + rows + " rows of labels, as its script's flags say");
            double share = dropout.isPresent() && dropout.getAsDouble() > 0 ? dropout.getAsDouble() : PUBLISHED_DROPOUT;
            return none ? found.withClasses(rows, 0) : found.withClasses(rows - 1, share);
        }
        if (classes.isPresent())
            notes.add("its script's flags say " + classes.getAsLong() + " classes, but its label table has " + rows
                    + " rows, and is believed");
        if (options.noNullLabel()) return found.withClasses(rows, 0);
        if (rows - 1 != PUBLISHED_CLASSES)
            notes.add("does not say whether the last of its " + rows
                    + " rows of labels is the null label; it is taken for"
                    + " it, as published (--no-null-label: it is a class)");
        return found;
    }

    /** The weights of a model that is known, where there is one set. */
    static DiTWeights read(Path file, TensorFile tensors, DiTConfig model, boolean averaged) throws IOException {
        List<WeightSet> sets = WeightSet.all(file, tensors);
        WeightSet set = WeightSet.choose(file, sets, Weights.MODEL, Optional.empty())
                .orElseThrow(() -> new FormatException(file, noDiT(tensors)));
        DiffusionConfig diffusion = DiffusionConfig.published(model.learnSigma());
        return of(file, tensors, set.names(), model, diffusion, averaged ? "EMA" : "", List.of());
    }

    private static DiTWeights of(
            Path file,
            TensorFile tensors,
            Map<String, String> names,
            DiTConfig model,
            DiffusionConfig diffusion,
            String origin,
            List<String> notes)
            throws FormatException {
        return new DiTWeights(
                        file,
                        new DiTDescription(model, List.of(), diffusion, origin),
                        shapes(tensors, names),
                        () -> renamed(tensors.read(new LinkedHashSet<>(names.values())), names),
                        Optional.empty())
                .withNotes(notes);
    }

    private static Map<String, List<Long>> shapes(TensorFile tensors, Map<String, String> names) {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        names.forEach(
                (name, place) -> shapes.put(name, tensors.entries().get(place).shape()));
        return shapes;
    }

    private static Map<String, Tensor> renamed(Map<String, Tensor> tensors, Map<String, String> names) {
        Map<String, Tensor> renamed = new LinkedHashMap<>();
        names.forEach((plain, inFile) -> renamed.put(plain, tensors.get(inFile)));
        return renamed;
    }

    /**
     * Writes a bare state dict, which the published scripts and {@code torch.load(weights_only=True)} open. What the weights are of stands among
     * its attributes, where {@link Checkpoints#open} finds it.
     *
     * @throws IllegalArgumentException if every block has embedders of its own
     */
    public static void write(Path file, DiTWeights weights) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = weights.read();
            DiTWeights.requireSharedEmbedders(tensors, "a .pt file as the published scripts open it");
            TorchFile.write(file, tensors, weights.description().metadata());
        }
    }
}
