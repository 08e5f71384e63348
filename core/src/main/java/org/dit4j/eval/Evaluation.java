package org.dit4j.eval;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;

/**
 * The figures of a set of samples. What cannot be computed of what is there is empty.
 *
 * @param frechetDistance of the features; FID of Inception's
 * @param spatialDistance of the spatial features: sFID
 * @param inceptionScore by splits of 5000, as guided diffusion's evaluator has it
 * @param inceptionScoreWhole of all pictures as one
 * @param kernelDistance KID
 * @param precisionRecall by 3 neighbours
 * @param warnings what makes the figures less than they look, a sentence each
 */
public record Evaluation(
        OptionalDouble frechetDistance,
        OptionalDouble spatialDistance,
        Optional<InceptionScore.Score> inceptionScore,
        Optional<InceptionScore.Score> inceptionScoreWhole,
        Optional<KernelDistance> kernelDistance,
        Optional<PrecisionRecall> precisionRecall,
        List<String> warnings) {
    /** Samples that papers compare. */
    public static final long PUBLISHED_SAMPLES = 50_000;

    private static final int SPLIT_SIZE = 5000;

    /**
     * What of the figures is computed, beside the Fréchet distances.
     *
     * @param kernel whether KID is
     * @param kernelSubset pictures of each of its 100 subsets; 0: one of all
     * @param manifold whether precision and recall are
     */
    public record Options(boolean kernel, int kernelSubset, boolean manifold) {
        /** Everything, as published. */
        public static final Options ALL = new Options(true, KernelDistance.PUBLISHED_SUBSET_SIZE, true);

        public Options {
            if (kernelSubset < 0 || kernelSubset == 1)
                throw new IllegalArgumentException("KID by subsets of " + kernelSubset + "; 0 is all, else 2 or more");
        }
    }

    /**
     * Computes what can be.
     *
     * @throws IllegalArgumentException if the features of the two are not comparable, saying what differs
     */
    public static Evaluation of(FeatureSet sample, Reference reference, Options options) throws IOException {
        requireComparable(sample, reference);
        List<String> warnings = warnings(sample, reference);
        Gaussian features = sample.gaussian(Tap.FEATURES);
        OptionalDouble frechet = OptionalDouble.of(
                FrechetDistance.of(features, reference.gaussians().get(Tap.FEATURES)));
        OptionalDouble spatial = OptionalDouble.empty();
        Gaussian spatialReference = reference.gaussians().get(Tap.SPATIAL);
        if (spatialReference != null && sample.width(Tap.SPATIAL).isPresent())
            spatial = OptionalDouble.of(FrechetDistance.of(sample.gaussian(Tap.SPATIAL), spatialReference));
        Optional<InceptionScore.Score> splits = Optional.empty(), whole = Optional.empty();
        if (sample.width(Tap.LOGITS).isPresent()) {
            splits = Optional.of(score(sample, SPLIT_SIZE));
            whole = Optional.of(score(sample, 0));
        }
        Optional<KernelDistance> kernel = Optional.empty();
        Optional<PrecisionRecall> manifold = Optional.empty();
        if (reference.features().isPresent() && (options.kernel || options.manifold))
            try (TensorScope scope = new TensorScope()) {
                FeatureSet other = reference.features().get();
                Tensor a = sample.first(Tap.FEATURES, sample.count()), b = other.first(Tap.FEATURES, other.count());
                if (options.kernel) kernel = Optional.of(kernel(a, b, options.kernelSubset));
                int k = PrecisionRecall.PUBLISHED_K;
                if (options.manifold) manifold = Optional.of(PrecisionRecall.of(a, b, k));
            }
        return new Evaluation(frechet, spatial, splits, whole, kernel, manifold, List.copyOf(warnings));
    }

    private static InceptionScore.Score score(FeatureSet sample, int splitSize) throws IOException {
        InceptionScore score = new InceptionScore(splitSize);
        sample.forEach(Tap.LOGITS, score::add);
        return score.result();
    }

    private static KernelDistance kernel(Tensor a, Tensor b, int subset) {
        long least = Math.min(a.size(0), b.size(0));
        if (subset == 0 || least < subset) return new KernelDistance(KernelDistance.of(a, b), 0, 1, least);
        return KernelDistance.ofSubsets(a, b, KernelDistance.PUBLISHED_SUBSETS, subset, 0);
    }

    private static void requireComparable(FeatureSet sample, Reference reference) throws IOException {
        FeatureSpace here = sample.origin().space();
        reference.origin().map(FeatureSet.Origin::space).ifPresent(there -> {
            if (!there.equals(here))
                throw new IllegalArgumentException("the reference has features of another kind: " + there.text()
                        + "; the samples' are " + here.text() + "; make its statistics again with dit stats");
        });
        int width = sample.width(Tap.FEATURES).orElseThrow();
        int other = reference.gaussians().get(Tap.FEATURES).width();
        if (width != other)
            throw new IllegalArgumentException("the reference has statistics of " + other + " features, "
                    + here.network() + " gives " + width + "; they are of another network");
    }

    private static List<String> warnings(FeatureSet sample, Reference reference) throws IOException {
        List<String> warnings = new ArrayList<>();
        int width = sample.width(Tap.FEATURES).orElseThrow();
        warnings(warnings, "samples", sample.count(), width);
        long count = reference.gaussians().get(Tap.FEATURES).count();
        if (count > 0 && count < width) warnings(warnings, "reference pictures", count, width);
        if (reference.origin().isEmpty())
            warnings.add("the reference does not say by which network, resize and weights its statistics were made;"
                    + " they must be " + sample.origin().space().text());
        boolean itself = reference
                .origin()
                .map(origin -> origin.source().equals(sample.origin().source()))
                .orElse(false);
        if (itself) warnings.add("the reference is the sample itself: the distance says nothing of a model");
        return warnings;
    }

    private static void warnings(List<String> warnings, String what, long count, int width) {
        if (count < width)
            warnings.add(String.format(
                    Locale.ROOT,
                    "%,d %s are fewer than the %,d features: their covariance is singular, and the distance far too large",
                    count,
                    what,
                    width));
        else if (count < PUBLISHED_SAMPLES)
            warnings.add(String.format(
                    Locale.ROOT,
                    "%,d %s, where papers compare %,d: the distance is larger than of more",
                    count,
                    what,
                    PUBLISHED_SAMPLES));
    }
}
