package org.dit4j.checkpoint;

/** Which weights of a checkpoint that has two sets; one with a single set has no choice. */
public enum Weights {
    /** The averaged ones, from which to sample. */
    EMA,
    /** Those in training. */
    MODEL
}
