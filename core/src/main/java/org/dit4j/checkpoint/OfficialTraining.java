package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.FormatException;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Tensors;

/**
 * A checkpoint of the published training script, {@code {model, ema, opt, args}}, to be resumed. The file has neither the order of the data
 * nor the state of the random numbers: a resumed run goes on with the same weights and moments, but sees other images.
 */
public final class OfficialTraining {
    static {
        Backend.configure();
    }

    private final DiTWeights model;
    private final DiTWeights ema;
    private final Map<String, Tensor> moments;
    private final long steps;
    private final double learningRate;
    private final Map<String, Object> args;

    private OfficialTraining(
            DiTWeights model,
            DiTWeights ema,
            Map<String, Tensor> moments,
            long steps,
            double learningRate,
            Map<String, Object> args) {
        this.model = model;
        this.ema = ema;
        this.moments = moments;
        this.steps = steps;
        this.learningRate = learningRate;
        this.args = args;
    }

    /**
     * Reads the state of the optimiser into the scope around the call; the weights are read later.
     *
     * @param numHeads attention heads, needed for a width that no published model has
     * @throws FormatException if the file is no training checkpoint, or its parts do not fit each other
     */
    public static OfficialTraining read(Path file, OptionalInt numHeads) throws IOException {
        if (!TensorFile.isTorch(file))
            throw new FormatException(file, "is no checkpoint of the published training script");
        Map<?, ?> root = map(file, TorchFile.read(file, place -> place.startsWith("opt.")), "the file");
        DiTWeights model = OfficialCheckpoint.read(file, part(file, root, "model", Weights.MODEL), numHeads);
        DiTWeights ema = OfficialCheckpoint.read(file, part(file, root, "ema", Weights.EMA), numHeads);
        Map<?, ?> optimizer = map(file, root.get("opt"), "opt");
        Map<?, ?> group = group(file, optimizer);
        if (Boolean.TRUE.equals(group.get("amsgrad")))
            throw new FormatException(file, "opt is AdamW with amsgrad, whose third moments have no place here");
        Map<String, Tensor> first = new LinkedHashMap<>(), second = new LinkedHashMap<>();
        long steps = -1;
        List<?> indices = list(file, group.get("params"), "opt.param_groups.0.params");
        List<String> names =
                new ArrayList<>(DiTShapes.of(model.description().model()).keySet());
        Map<?, ?> states = map(file, optimizer.get("state"), "opt.state");
        if (indices.size() != names.size())
            throw new FormatException(file, "opt has " + indices.size() + " parameters, the model has " + names.size());
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            if (name.equals("pos_embed")) continue; // never trained, so it has no state
            String place = "opt.state." + indices.get(i);
            Map<?, ?> state = map(file, states.get(indices.get(i)), place);
            first.put("exp_avg." + name, moment(file, state, "exp_avg", place, model, name));
            second.put("exp_avg_sq." + name, moment(file, state, "exp_avg_sq", place, model, name));
            long taken = step(file, state.get("step"), place);
            if (steps >= 0 && taken != steps)
                throw new FormatException(file, place + " is at step " + taken + ", others at " + steps);
            steps = taken;
        }
        first.putAll(second);
        Map<String, Object> args =
                root.get("args") instanceof TorchFile.Namespace namespace ? namespace.fields() : Map.of();
        double learningRate = group.get("lr") instanceof Number number ? number.doubleValue() : Double.NaN;
        return new OfficialTraining(model, ema, first, steps, learningRate, args);
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

    private static Tensor moment(Path file, Map<?, ?> state, String kind, String place, DiTWeights model, String name)
            throws FormatException {
        List<Long> needed = DiTShapes.of(model.description().model()).get(name);
        if (!(state.get(kind) instanceof Tensor tensor))
            throw new FormatException(file, place + " has no " + kind + "; is the optimiser AdamW?");
        if (!Arrays.equals(
                tensor.shape(), needed.stream().mapToLong(Long::longValue).toArray()))
            throw new FormatException(
                    file, place + "." + kind + " is " + Tensors.shape(tensor) + ", but " + name + " is " + needed);
        return tensor;
    }

    private static long step(Path file, Object step, String place) throws FormatException {
        if (step instanceof Tensor tensor && tensor.numel() == 1) return (long) Tensors.toDoubles(tensor)[0];
        if (step instanceof Number number) return number.longValue(); // of older versions of PyTorch
        throw new FormatException(file, place + " has no step");
    }

    private static Map<?, ?> map(Path file, Object value, String place) throws FormatException {
        if (value instanceof Map<?, ?> map) return map;
        throw new FormatException(
                file,
                place + " is no dict; a checkpoint of the published training script has {model, ema, opt, args}, and"
                        + " weights alone cannot be resumed");
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

    /** AdamW's moments, {@code exp_avg.NAME} and then {@code exp_avg_sq.NAME}, by published parameter name and in that order. */
    public Map<String, Tensor> moments() {
        return moments;
    }

    /** Optimisation steps taken. */
    public long steps() {
        return steps;
    }

    /** The learning rate; NaN if the file does not say. */
    public double learningRate() {
        return learningRate;
    }

    /** The script's flags by name, {@code global_batch_size} for example; plain values. */
    public Map<String, Object> args() {
        return args;
    }
}
