package org.dit4j.jobs;

import java.util.List;
import java.util.Objects;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;

/**
 * A set of pictures, as metrics want one.
 *
 * @param numSamples pictures; a set can grow, and does not shrink
 * @param batchSize pictures to a forward pass, the last one filled up; last bits depend on it, and so it is part of what a set is
 * @param seed with a picture's index it fixes noise and class
 * @param labels how classes are chosen
 * @param classes the labels to choose from; none for pictures of no class
 * @param format what is left at the end
 */
public record SampleConfig(
        int numSamples, int batchSize, long seed, Labels labels, List<Integer> classes, Format format) {
    /** What six digits can number. */
    private static final int MOST = 1_000_000;

    /** How the classes of a set are chosen. */
    public enum Labels {
        /** Each picture's by chance, as published. */
        RANDOM,
        /** One after the other, so that each has as many pictures as the others, or one more. */
        BALANCED
    }

    /** What a set is written as. */
    public enum Format {
        /** A folder of 000000.png, 000001.png, … */
        PNG,
        /** One file of all pixels, which is how metrics exchange sets. */
        NPZ,
        /** Both, as published. */
        BOTH
    }

    /** @throws IllegalArgumentException naming the value that is out of range */
    public SampleConfig {
        require(
                numSamples >= 1 && numSamples <= MOST,
                "number of samples " + numSamples + " is outside 1 … " + MOST + ", which six digits can number");
        require(batchSize >= 1 && batchSize <= 4096, "batch size " + batchSize + " is outside 1 … 4096");
        Objects.requireNonNull(labels, "labels");
        Objects.requireNonNull(format, "format");
        classes = List.copyOf(classes);
    }

    /** The label of a picture, −1 for none. */
    public int label(long index) {
        if (classes.isEmpty()) return -1;
        return classes.get(
                labels == Labels.BALANCED
                        ? (int) (index % classes.size())
                        : Noise.below(classes.size(), seed, Purpose.SAMPLE_LABEL, index));
    }

    /** Pictures that are drawn, those included that fill up the last forward pass. */
    public int numDrawn() {
        return (numSamples + batchSize - 1) / batchSize * batchSize;
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
