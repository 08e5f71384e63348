package org.dit4j.report;

import java.util.Locale;
import org.dit4j.model.DiTConfig;

/** Models and choices in words. */
public final class Words {
    private Words() {}

    /** An enum's constant as flags and files write it: IN_CONTEXT is in-context. */
    public static String choice(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** A model, on one line. */
    public static String model(DiTConfig config) {
        return String.format(
                Locale.ROOT,
                "DiT on %dx%d %s of %d channel%s: patch %d, width %d, depth %d, %d heads, %s blocks, %d classes; %,d parameters",
                config.inputHeight(),
                config.inputWidth(),
                config.inChannels() == 1 || config.inChannels() == 3 ? "pixels" : "latents",
                config.inChannels(),
                config.inChannels() == 1 ? "" : "s",
                config.patchSize(),
                config.hiddenSize(),
                config.depth(),
                config.numHeads(),
                choice(config.block()),
                config.numClasses(),
                config.parameters());
    }
}
