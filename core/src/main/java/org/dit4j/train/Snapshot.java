package org.dit4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.CheckpointPart;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.Retention;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The whole state of a training between two steps, copied to the CPU's memory, so that it can be written while training goes on. The
 * buffers serve again for the next one.
 */
public final class Snapshot implements AutoCloseable {
    private static final String FIRST = "exp_avg.", SECOND = "exp_avg_sq.", STEP = "step";

    private final TrainState live;
    private final DiTDescription description;
    /** What is not trained, and so in no flat buffer; the average's differs where both came from a file that averaged it too. */
    private final Map<String, Tensor> fixed, averagedFixed;

    private final List<String> names = new ArrayList<>();
    private final Tensor values, average, firstMoments, secondMoments, stepCount;
    private final Lifetime lifetime = new Lifetime("this snapshot", this::free);
    private final Map<String, Object> state = new LinkedHashMap<>();
    private long steps;

    /** @param description of the network, as its checkpoints carry it but for how the weights came about */
    public Snapshot(TrainState live, DiTDescription description) {
        this.live = live;
        this.description = description;
        values = copyOf(live.parameters().values());
        average = copyOf(live.average());
        firstMoments = copyOf(live.firstMoments());
        secondMoments = copyOf(live.secondMoments());
        stepCount = copyOf(live.stepCount());
        try (TensorScope scope = new TensorScope()) {
            names.addAll(StateDict.of(live.network()).keySet());
            fixed = fixed(live.network());
            averagedFixed = fixed(live.averagedNetwork());
        }
    }

    private Map<String, Tensor> fixed(DiT network) {
        Map<String, Tensor> trained = live.parameters().views(values), others = new LinkedHashMap<>();
        StateDict.of(network).forEach((name, tensor) -> {
            if (!trained.containsKey(name)) others.put(name, copyOf(tensor));
        });
        return others;
    }

    private static Tensor copyOf(Tensor tensor) {
        return TensorScope.keeping(
                () -> Tensors.empty(Tensors.dtype(tensor), tensor.shape()).copy_(tensor.detach()));
    }

    /**
     * Copies the state.
     *
     * @param run what else belongs to the same instant, as plain values
     * @throws DivergedException if a weight, average or moment is not finite; nothing is copied then
     */
    public void take(Map<String, ?> run) {
        lifetime.use(() -> {
            takeNow(run);
            return null;
        });
    }

    private void takeNow(Map<String, ?> run) {
        live.requireFinite();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            values.copy_(live.parameters().values());
            average.copy_(live.average());
            firstMoments.copy_(live.firstMoments());
            secondMoments.copy_(live.secondMoments());
            stepCount.copy_(live.stepCount());
        }
        Tally.Counts counts = live.tally().read();
        steps = live.steps();
        state.clear();
        state.put("step", steps);
        state.put("trainedImages", live.trainedImages());
        state.put("seed", live.config().seed());
        state.put("lossSum", counts.lossSum());
        state.put("lossSteps", counts.lossSteps());
        state.put("skippedSteps", counts.skippedSteps());
        state.put("skippedInARow", counts.skippedInARow());
        state.putAll(run);
    }

    /** Writes what was taken last; on any thread, while nothing is taken. */
    public Path save(Path folder, Retention retention) throws IOException {
        return lifetime.use(() -> saveNow(folder, retention));
    }

    private Path saveNow(Path folder, Retention retention) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> moments = new LinkedHashMap<>();
            live.parameters().views(firstMoments).forEach((name, tensor) -> moments.put(FIRST + name, tensor));
            live.parameters().views(secondMoments).forEach((name, tensor) -> moments.put(SECOND + name, tensor));
            moments.put(STEP, stepCount);
            Map<String, CheckpointPart> parts = new LinkedHashMap<>();
            parts.put(CheckpointFolder.MODEL, network(values, fixed, "trained " + steps + " steps"));
            parts.put(CheckpointFolder.EMA, network(average, averagedFixed, ema()));
            parts.put(CheckpointFolder.OPTIMIZER, new CheckpointPart(moments, Map.of()));
            return CheckpointFolder.save(folder, steps, parts, state, retention);
        }
    }

    private CheckpointPart network(Tensor flat, Map<String, Tensor> others, String weights) {
        Map<String, Tensor> trained = live.parameters().views(flat), all = new LinkedHashMap<>();
        for (String name : names) all.put(name, trained.getOrDefault(name, others.get(name)));
        return new CheckpointPart(all, description.withWeights(weights).metadata());
    }

    /** Which average it is: a ramp makes other weights than the published constant. */
    private String ema() {
        EmaSchedule schedule = live.config().ema();
        String ramp = schedule.rampRatio() == 0
                ? ""
                : ", half-life at most " + schedule.rampRatio() + " of the images trained";
        return "EMA " + schedule.decay() + ramp + ", after " + steps + " steps";
    }

    /** The samples that a checkpoint's run has trained on, where its data go on. */
    static long trainedImages(Path checkpoint) throws IOException {
        return number(checkpoint, CheckpointFolder.state(checkpoint), "trainedImages")
                .asLong();
    }

    /** Sets a state to the one that a checkpoint holds. */
    static void restore(TrainState into, Path checkpoint) throws IOException {
        restoreBuffers(into, checkpoint);
        JsonNode state = CheckpointFolder.state(checkpoint);
        into.restore(
                number(checkpoint, state, "step").asLong(),
                number(checkpoint, state, "trainedImages").asLong(),
                new Tally.Counts(
                        number(checkpoint, state, "lossSum").asDouble(),
                        number(checkpoint, state, "lossSteps").asDouble(),
                        number(checkpoint, state, "skippedSteps").asDouble(),
                        number(checkpoint, state, "skippedInARow").asDouble(),
                        0));
    }

    private static JsonNode number(Path checkpoint, JsonNode state, String key) throws FormatException {
        JsonNode value = state.path(key);
        if (!value.isNumber()) throw new FormatException(checkpoint, "its state has no number \"" + key + "\"");
        return value;
    }

    /** Sets weights, average and moments to those that a checkpoint holds. */
    static void restoreBuffers(TrainState into, Path checkpoint) throws IOException {
        FlatParameters parameters = into.parameters();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            // the networks' tensors are views of the buffers, and what is not trained may be another run's
            copy(checkpoint.resolve(CheckpointFolder.MODEL), "", StateDict.of(into.network()));
            copy(checkpoint.resolve(CheckpointFolder.EMA), "", StateDict.of(into.averagedNetwork()));
            Path optimizer = checkpoint.resolve(CheckpointFolder.OPTIMIZER);
            copy(optimizer, FIRST, parameters.views(into.firstMoments()));
            copy(optimizer, SECOND, parameters.views(into.secondMoments()));
            copy(optimizer, "", Map.of(STEP, into.stepCount()));
        }
    }

    private static void copy(Path file, String prefix, Map<String, Tensor> into) throws IOException {
        List<String> keys = into.keySet().stream().map(name -> prefix + name).toList();
        try (TensorScope scope = new TensorScope()) { // what was read goes before the next is: each may be gigabytes
            Map<String, Tensor> read = Safetensors.read(file, keys);
            for (Map.Entry<String, Tensor> named : into.entrySet()) {
                Tensor source = read.get(prefix + named.getKey()), target = named.getValue();
                if (!Arrays.equals(source.shape(), target.shape()) || Tensors.dtype(source) != Tensors.dtype(target))
                    throw new FormatException(
                            file,
                            prefix + named.getKey() + " is " + Tensors.shape(source) + ", the model needs "
                                    + Tensors.shape(target));
                target.copy_(source);
            }
        }
    }

    /** Waits for what another thread writes. */
    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        for (Tensor tensor : new Tensor[] {values, average, firstMoments, secondMoments, stepCount}) tensor.close();
        fixed.values().forEach(Tensor::close);
        averagedFixed.values().forEach(Tensor::close);
    }
}
