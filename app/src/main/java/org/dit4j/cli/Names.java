package org.dit4j.cli;

import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.SampleRequest;
import org.dit4j.checkpoint.Weights;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.report.Words;
import org.dit4j.torch.Precision;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Flags whose values are names from a list: both the converter and the candidates that help texts, completion and "did you mean" show. */
abstract class Names<T> implements ITypeConverter<T>, Iterable<String> {
    private final Map<String, T> known = new LinkedHashMap<>();

    Names(Collection<T> values, Function<T, String> name) {
        for (T value : values) known.put(name.apply(value), value);
    }

    @Override
    public Iterator<String> iterator() {
        return known.keySet().iterator();
    }

    /** Case does not count. */
    @Override
    public T convert(String text) {
        return known.entrySet().stream()
                .filter(entry -> entry.getKey().equalsIgnoreCase(text))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElseThrow(() -> new TypeConversionException("unknown value \"" + text + "\""));
    }

    /** What {@link #convert} takes for a value. */
    String name(Object value) {
        return known.entrySet().stream()
                .filter(entry -> entry.getValue().equals(value))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElseThrow();
    }

    /** An enum's constant as flags write it: IN_CONTEXT is in-context. */
    static String flag(Enum<?> constant) {
        return Words.choice(constant);
    }

    /** "DiT-XL/2" and the other eleven. */
    static final class Models extends Names<String> {
        Models() {
            super(DiTConfig.names(), Function.identity());
        }
    }

    /** The constants of an enum as flags write them. */
    private abstract static class Constants<E extends Enum<E>> extends Names<E> {
        Constants(E[] constants) {
            super(Arrays.asList(constants), Names::flag);
        }
    }

    /** What a pipeline computes in. */
    static final class Precisions extends Constants<Precision> {
        Precisions() {
            super(Precision.values());
        }
    }

    /** The solvers. */
    static final class Samplers extends Constants<SampleRequest.Sampler> {
        Samplers() {
            super(SampleRequest.Sampler.values());
        }
    }

    /** What a network predicts. */
    static final class Predictions extends Constants<DiffusionConfig.Prediction> {
        Predictions() {
            super(DiffusionConfig.Prediction.values());
        }
    }

    /** Noise schedules. */
    static final class Schedules extends Constants<NoiseSchedule> {
        Schedules() {
            super(NoiseSchedule.values());
        }
    }

    /** The designs of the block. */
    static final class Blocks extends Constants<DiTBlock.Kind> {
        Blocks() {
            super(DiTBlock.Kind.values());
        }
    }

    /** The two sets of weights of a training checkpoint. */
    static final class WeightSets extends Constants<Weights> {
        WeightSets() {
            super(Weights.values());
        }
    }

    /** Whose arithmetic a network follows. */
    static final class Profiles extends Constants<Profile> {
        Profiles() {
            super(Profile.values());
        }
    }

    /** What weights are stored as. */
    static final class Dtypes extends Names<ScalarType> {
        Dtypes() {
            super(
                    List.of(ScalarType.Float, ScalarType.Half, ScalarType.BFloat16),
                    dtype -> Map.of(ScalarType.Float, "fp32", ScalarType.Half, "fp16", ScalarType.BFloat16, "bf16")
                            .get(dtype));
        }
    }

    /** The published autoencoders, or none. */
    static final class Vaes extends Names<String> {
        Vaes() {
            super(List.of("none", "ema", "mse"), Function.identity());
        }
    }

    /** What shells offer for a device; cuda:1 and so on are not listed. */
    static final class Devices implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return List.of("auto", "cpu", "cuda").iterator();
        }
    }
}
