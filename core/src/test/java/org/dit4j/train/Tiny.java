package org.dit4j.train;

import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;

/** A network that trains in no time. */
final class Tiny {
    static final DiTConfig MODEL = new DiTConfig(8, 8, 2, 3, 24, 1, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);
    static final Execution EXECUTION =
            new Execution(System.getProperty("dit.device", "cpu"), Precision.FP32, 0, false, 0);

    private Tiny() {}
}
