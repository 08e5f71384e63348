package org.dit4j.model;

/**
 * Whose arithmetic a network follows. The weights of one run in the other, but the numbers differ: the published code and diffusers' copy of
 * it deviate in what this enum names, and in the sampling that goes with it.
 */
public enum Profile {
    /** The published code. */
    OFFICIAL(0, 1e-6),
    /** diffusers' {@code DiTTransformer2DModel}, and its pipeline, which guides every channel. */
    DIFFUSERS(1, 1e-5);

    private final int frequencyShift;
    private final double mlpNormEps;

    Profile(int frequencyShift, double mlpNormEps) {
        this.frequencyShift = frequencyShift;
        this.mlpNormEps = mlpNormEps;
    }

    /** What the exponents of a timestep's frequencies are divided by, of {@code half} frequencies: diffusers reaches 1/10000 exactly. */
    int frequencyDivisor(int half) {
        return half - frequencyShift;
    }

    /** ε of the LayerNorm before the MLP; that of every other LayerNorm is 1e-6 in both. */
    double mlpNormEps() {
        return mlpNormEps;
    }

    /** Whether guidance acts on every channel; else on the first three. */
    public boolean guidesAllChannels() {
        return this == DIFFUSERS;
    }
}
