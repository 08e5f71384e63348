package org.dit4j.eval;

import java.util.Objects;

/**
 * What features depend on beside the picture; those of equal spaces can be compared, others cannot.
 *
 * @param network its name: {@code inception-v3-2015-12-05}
 * @param preprocessing how a picture comes to the size and range that the network takes: a profile's name
 * @param weights SHA-256 of the file of weights, in hex
 * @param precision that it is computed in: {@code fp32}
 */
public record FeatureSpace(String network, String preprocessing, String weights, String precision) {
    public FeatureSpace {
        Objects.requireNonNull(network, "network");
        Objects.requireNonNull(preprocessing, "preprocessing");
        Objects.requireNonNull(weights, "weights");
        Objects.requireNonNull(precision, "precision");
    }

    /** On one line, for people. */
    public String text() {
        return network + ", " + preprocessing + ", " + precision + ", weights "
                + weights.substring(0, Math.min(12, weights.length()));
    }
}
