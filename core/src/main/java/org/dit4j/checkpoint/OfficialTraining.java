package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.Finite;
import org.dit4j.io.FormatException;
import org.dit4j.io.TorchFile;
import org.dit4j.io.TorchValues;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * A checkpoint of the published training script, {@code {model, ema, opt, args}}, to be gone on from. The file has neither the order of the
 * data nor the state of the random numbers: whoever goes on has the same weights and moments, but sees other images.
 */
public final class OfficialTraining {
    private static final String STATE = "opt.state";
    /** More than 3000 epochs of ImageNet in batches of one image. */
    private static final double MAX_STEPS = 1L << 32;

    private static final String FIRST = "exp_avg", SECOND = "exp_avg_sq";
    private static final List<String> KINDS = List.of(FIRST, SECOND);
    private static final String NO_STATE = ", so there is no state of training to go on from: a checkpoint of the"
            + " published training script has {model, ema, opt, args}; a new run can begin with the weights (--init-from)";

    static {
        Backend.configure();
    }

    private final Path file;
    private final DiTWeights model;
    private final DiTWeights ema;
    /** The key of each trained parameter's moments in the optimiser's state, by its published name. */
    private final Map<String, Object> places;

    private final long steps;
    private final Map<String, Object> hyperParameters;
    private final Map<String, Object> args;

    private OfficialTraining(
            Path file,
            DiTWeights model,
            DiTWeights ema,
            Map<String, Object> places,
            long steps,
            Map<String, Object> hyperParameters,
            Map<String, Object> args) {
        this.file = file;
        this.model = model;
        this.ema = ema;
        this.places = places;
        this.steps = steps;
        this.hyperParameters = hyperParameters;
        this.args = args;
    }

    /**
     * Finds the state and checks that its parts fit each other; weights and moments are read later.
     *
     * @param model the network that it must be of
     * @throws FormatException if the file is no training checkpoint, its parts do not fit each other, or it is of another model, naming the
     *     shapes
     */
    public static OfficialTraining read(Path file, DiTConfig model) throws IOException {
        if (!TensorFile.isTorch(file)) throw new FormatException(file, "is no file of torch.save" + NO_STATE);
        try (TensorScope scope = new TensorScope()) {
            Object root = TorchFile.read(file, place -> place.matches("opt\\.state\\.\\d+\\.step"));
            return of(file, map(file, root, "the file"), model);
        }
    }

    private static OfficialTraining of(Path file, Map<?, ?> root, DiTConfig wanted) throws IOException {
        Map<?, ?> optimizer = map(file, root.get("opt"), "\"opt\"");
        DiTWeights model = OfficialCheckpoint.read(file, part(file, root, "model", Weights.MODEL), wanted, false);
        DiTWeights ema = OfficialCheckpoint.read(file, part(file, root, "ema", Weights.EMA), wanted, true);
        Map<?, ?> group = group(file, optimizer);
        if (Boolean.TRUE.equals(group.get("amsgrad")))
            throw new FormatException(file, "opt is AdamW with amsgrad, whose third moments have no place here");
        Map<String, Object> places = new LinkedHashMap<>();
        long steps = -1;
        List<?> indices = list(file, group.get("params"), "opt.param_groups.0.params");
        List<String> names =
                new ArrayList<>(DiTShapes.of(model.description().model()).keySet());
        Map<?, ?> states = map(file, optimizer.get("state"), STATE);
        if (indices.size() != names.size())
            throw new FormatException(file, "opt has " + indices.size() + " parameters, the model has " + names.size());
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            if (name.equals("pos_embed")) continue; // never trained, so it has no state
            String place = STATE + "." + indices.get(i);
            Map<?, ?> state = map(file, states.get(indices.get(i)), place);
            requireMoment(file, state, FIRST, place, model, name);
            requireMoment(file, state, SECOND, place, model, name);
            places.put(name, indices.get(i));
            long taken = step(file, state.get("step"), place);
            if (steps >= 0 && taken != steps)
                throw new FormatException(file, place + " is at step " + taken + ", others at " + steps);
            steps = taken;
        }
        Map<String, Object> hyperParameters = new LinkedHashMap<>();
        group.forEach((name, value) -> {
            if (!name.equals("params")) hyperParameters.put(String.valueOf(name), value);
        });
        Map<String, Object> args =
                root.get("args") instanceof TorchValues.Namespace namespace ? namespace.fields() : Map.of();
        return new OfficialTraining(file, model, ema, places, steps, hyperParameters, args);
    }

    private static TensorFile part(Path file, Map<?, ?> root, String key, Weights weights) throws IOException {
        map(file, root.get(key), key);
        return TensorFile.of(file, weights);
    }

    private static Map<?, ?> group(Path file, Map<?, ?> optimizer) throws FormatException {
        List<?> groups = list(file, optimizer.get("param_groups"), "opt.param_groups");
        if (groups.size() != 1)
            throw new FormatException(
                    file, "opt has " + groups.size() + " groups of parameters; the published script has one");
        return map(file, groups.get(0), "opt.param_groups.0");
    }

    private static void requireMoment(
            Path file, Map<?, ?> state, String kind, String place, DiTWeights model, String name)
            throws FormatException {
        List<Long> needed = DiTShapes.of(model.description().model()).get(name);
        if (!(state.get(kind) instanceof TorchFile.TensorInfo moment))
            throw new FormatException(file, place + " has no " + kind + "; is the optimiser AdamW?");
        if (!moment.shape().equals(needed))
            throw new FormatException(
                    file, place + "." + kind + " is " + moment.shape() + ", but " + name + " is " + needed);
    }

    private static long step(Path file, Object step, String place) throws FormatException {
        double taken;
        if (step instanceof Tensor tensor && tensor.numel() == 1) taken = Tensors.toDoubles(tensor)[0];
        else if (step instanceof Number number) taken = number.doubleValue(); // of older versions of PyTorch
        else throw new FormatException(file, place + " has no step");
        if (!(taken >= 0 && taken <= MAX_STEPS))
            throw new FormatException(file, place + " is at step " + taken + "; from 0 to " + (long) MAX_STEPS);
        return (long) taken;
    }

    private static Map<?, ?> map(Path file, Object value, String place) throws FormatException {
        if (value instanceof Map<?, ?> map) return map;
        throw new FormatException(
                file, value == null ? "has no " + place + NO_STATE : place + " is no dict" + NO_STATE);
    }

    private static List<?> list(Path file, Object value, String place) throws FormatException {
        if (value instanceof List<?> list) return list;
        throw new FormatException(file, place + " is no list");
    }

    /** The weights in training. */
    public DiTWeights model() {
        return model;
    }

    /** The averaged weights. */
    public DiTWeights ema() {
        return ema;
    }

    /**
     * AdamW's moments, {@code exp_avg.NAME} and then {@code exp_avg_sq.NAME}, by published parameter name and in that order, on the CPU, in
     * the scope around the call.
     */
    public Map<String, Tensor> readMoments() throws IOException {
        Set<String> wanted = new HashSet<>();
        for (String kind : KINDS) places.values().forEach(place -> wanted.add(STATE + "." + place + "." + kind));
        Map<?, ?> root = (Map<?, ?>) TorchFile.read(file, wanted::contains);
        Map<?, ?> states = (Map<?, ?>) ((Map<?, ?>) root.get("opt")).get("state");
        Map<String, Tensor> moments = new LinkedHashMap<>();
        for (String kind : KINDS)
            places.forEach((name, place) ->
                    moments.put(kind + "." + name, (Tensor) ((Map<?, ?>) states.get(place)).get(kind)));
        Finite.requireWeights(file, moments);
        return moments;
    }

    /** Optimisation steps taken. */
    public long steps() {
        return steps;
    }

    /** AdamW's settings by PyTorch's names, {@code lr}, {@code betas}, {@code eps}, {@code weight_decay} and so on; plain values. */
    public Map<String, Object> hyperParameters() {
        return hyperParameters;
    }

    /** The script's flags by name, {@code global_batch_size} for example; plain values. */
    public Map<String, Object> args() {
        return args;
    }
}
