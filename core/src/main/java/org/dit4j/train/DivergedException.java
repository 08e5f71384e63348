package org.dit4j.train;

/** A training run whose losses, gradients or weights are no longer finite numbers. */
public class DivergedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public DivergedException(String message) {
        super(message);
    }
}
