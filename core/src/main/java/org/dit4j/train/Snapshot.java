package org.dit4j.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.TrainState;
import org.dit4j.data.Dataset;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.LatentSpace;
import org.dit4j.vae.LinearRgb;

/**
 * The whole state of a trainer between two steps, copied to the CPU's memory, so that it can be written while training goes on. The
 * buffers serve again for the next one.
 */
final class Snapshot implements AutoCloseable {
    private static final String FIRST = "exp_avg.", SECOND = "exp_avg_sq.", STEP = "step";

    private final Trainer trainer;
    private final List<String> classNames;
    private final Optional<LatentSpace> latents;
    private final Optional<LinearRgb> colours;
    /** What is not trained, and so in no flat buffer; the average's differs where both came from a file that averaged it too. */
    private final Map<String, Tensor> fixed, averagedFixed;

    private final List<String> names = new ArrayList<>();
    private final Tensor values, average, firstMoments, secondMoments, stepCount;
    private final Map<String, Object> state = new LinkedHashMap<>();
    private long steps;

    Snapshot(Trainer trainer, Dataset data) {
        this.trainer = trainer;
        colours = data.linearRgb().map(coefficients -> new LinearRgb(data.channels(), coefficients));
        latents = data.latents().map(LatentEncoder::space);
        classNames = trainer.config().model().numClasses() == 0 ? List.of() : List.copyOf(data.classNames());
        values = copyOf(trainer.parameters().values());
        average = copyOf(trainer.ema().average());
        firstMoments = copyOf(trainer.optimizer().firstMoments());
        secondMoments = copyOf(trainer.optimizer().secondMoments());
        stepCount = copyOf(trainer.optimizer().stepCount());
        try (TensorScope scope = new TensorScope()) {
            names.addAll(StateDict.of(trainer.network()).keySet());
            fixed = fixed(trainer.network());
            averagedFixed = fixed(trainer.emaNetwork());
        }
    }

    private Map<String, Tensor> fixed(DiT network) {
        Map<String, Tensor> trained = trainer.parameters().views(values), others = new LinkedHashMap<>();
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
     * Copies the trainer's state.
     *
     * @param run what else belongs to the same instant, as plain values
     * @throws DivergedException if a weight, average or moment is not finite; nothing is copied then
     */
    void take(Map<String, ?> run) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            requireFinite();
            values.copy_(trainer.parameters().values());
            average.copy_(trainer.ema().average());
            firstMoments.copy_(trainer.optimizer().firstMoments());
            secondMoments.copy_(trainer.optimizer().secondMoments());
            stepCount.copy_(trainer.optimizer().stepCount());
        }
        Tally.Counts counts = trainer.tally().read();
        steps = trainer.steps();
        state.clear();
        state.put("step", steps);
        state.put("trainedImages", trainer.trainedImages());
        state.put("seed", trainer.config().seed());
        state.put("lossSum", counts.lossSum());
        state.put("lossSteps", counts.lossSteps());
        state.put("skippedSteps", counts.skippedSteps());
        state.put("skippedInARow", counts.skippedInARow());
        state.putAll(run);
    }

    private void requireFinite() {
        Tensor norms = torch.zeros_like(trainer.parameters().values().norm());
        for (Tensor tensor : new Tensor[] {
            trainer.parameters().values(),
            trainer.ema().average(),
            trainer.optimizer().firstMoments(),
            trainer.optimizer().secondMoments()
        }) norms.add_(tensor.norm());
        if (!Double.isFinite(norms.item_double()))
            throw new DivergedException("weights are no longer finite at step " + trainer.steps());
    }

    /** Writes what was taken last; on any thread, while nothing is taken. */
    Path save(Path folder, TrainState.Retention retention) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> moments = new LinkedHashMap<>();
            trainer.parameters().views(firstMoments).forEach((name, tensor) -> moments.put(FIRST + name, tensor));
            trainer.parameters().views(secondMoments).forEach((name, tensor) -> moments.put(SECOND + name, tensor));
            moments.put(STEP, stepCount);
            Map<String, TrainState.Part> parts = new LinkedHashMap<>();
            parts.put(TrainState.MODEL, network(values, fixed, "trained " + steps + " steps"));
            parts.put(TrainState.EMA, network(average, averagedFixed, ema()));
            parts.put(TrainState.OPTIMIZER, new TrainState.Part(moments, Map.of()));
            return TrainState.save(folder, steps, parts, state, retention);
        }
    }

    private TrainState.Part network(Tensor flat, Map<String, Tensor> others, String weights) {
        Map<String, Tensor> trained = trainer.parameters().views(flat), all = new LinkedHashMap<>();
        for (String name : names) all.put(name, trained.getOrDefault(name, others.get(name)));
        return new TrainState.Part(
                all,
                new DiTCheckpoint.Description(
                                trainer.config().model(),
                                classNames,
                                trainer.diffusion().text(),
                                weights)
                        .withLatents(latents, colours)
                        .metadata());
    }

    /** Which average it is: a ramp makes other weights than the published constant. */
    private String ema() {
        Ema.Schedule schedule = trainer.config().ema();
        String ramp = schedule.rampRatio() == 0
                ? ""
                : ", half-life at most " + schedule.rampRatio() + " of the images trained";
        return "EMA " + schedule.decay() + ramp + ", after " + steps + " steps";
    }

    /** The samples that a checkpoint's run has trained on, where its data go on. */
    static long trainedImages(Path checkpoint) throws IOException {
        return number(checkpoint, TrainState.state(checkpoint), "trainedImages").asLong();
    }

    /** Sets a trainer to the state that a checkpoint holds. */
    static void restore(Trainer trainer, Path checkpoint) throws IOException {
        restoreBuffers(trainer, checkpoint);
        JsonNode state = TrainState.state(checkpoint);
        trainer.restore(
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

    /** Sets a trainer's weights, average and moments to those that a checkpoint holds. */
    static void restoreBuffers(Trainer trainer, Path checkpoint) throws IOException {
        FlatParameters parameters = trainer.parameters();
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            // the networks' tensors are views of the buffers, and what is not trained may be another run's
            copy(checkpoint.resolve(TrainState.MODEL), "", StateDict.of(trainer.network()));
            copy(checkpoint.resolve(TrainState.EMA), "", StateDict.of(trainer.emaNetwork()));
            Path optimizer = checkpoint.resolve(TrainState.OPTIMIZER);
            copy(optimizer, FIRST, parameters.views(trainer.optimizer().firstMoments()));
            copy(optimizer, SECOND, parameters.views(trainer.optimizer().secondMoments()));
            copy(optimizer, "", Map.of(STEP, trainer.optimizer().stepCount()));
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

    @Override
    public void close() {
        for (Tensor tensor : new Tensor[] {values, average, firstMoments, secondMoments, stepCount}) tensor.close();
        fixed.values().forEach(Tensor::close);
        averagedFixed.values().forEach(Tensor::close);
    }
}
