package org.dit4j.train;

/** A training run whose loss is no longer a number. */
public class DivergedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public DivergedException(String message) {
        super(message);
    }
}
