package org.dit4j.run;

import org.dit4j.train.Execution;
import org.dit4j.train.TrainConfig;

/**
 * All that a run is told but its data: what is learned, how it is computed, how often something comes of it, and what happens when something
 * goes wrong. Only the first, and the precision of the second, make it another run.
 */
public record RunPlan(TrainConfig config, Execution execution, Cadence cadence, Safety safety) {
    /** So many steps of a configuration, everything else by default. */
    public static RunPlan of(TrainConfig config, long maxSteps) {
        return new RunPlan(config, Execution.DEFAULT, Cadence.of(maxSteps), Safety.DEFAULT);
    }

    public RunPlan withExecution(Execution other) {
        return new RunPlan(config, other, cadence, safety);
    }

    public RunPlan withCadence(Cadence other) {
        return new RunPlan(config, execution, other, safety);
    }

    public RunPlan withSafety(Safety other) {
        return new RunPlan(config, execution, cadence, other);
    }
}
