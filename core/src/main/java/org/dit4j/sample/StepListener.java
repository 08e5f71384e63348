package org.dit4j.sample;

/** Hears of every step of a solver: progress, previews, cancellation. */
@FunctionalInterface
public interface StepListener {
    /** Hears nothing and never stops. */
    StepListener NONE = step -> true;

    /** @return whether to go on; false ends the solver with a {@link java.util.concurrent.CancellationException} */
    boolean onStep(Step step);
}
