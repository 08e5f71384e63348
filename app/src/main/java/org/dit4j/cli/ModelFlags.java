package org.dit4j.cli;

import org.dit4j.data.Dataset;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.NoiseSchedule;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import picocli.CommandLine.Option;

/** Which network to train: a published size, or one of its own. */
final class ModelFlags {
    @Option(
            names = "--model",
            converter = Names.Models.class,
            completionCandidates = Names.Models.class,
            paramLabel = "NAME",
            description = "A published size and patch: ${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}.")
    private String model = "DiT-XL/2";

    @Option(
            names = "--patch-size",
            converter = Ranges.Count.class,
            paramLabel = "PIXELS",
            description = "Side of a token. This and the next three default to the published model's.")
    private Integer patchSize;

    @Option(
            names = "--hidden-size",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Width of a token, a multiple of 4 and of the heads.")
    private Integer hiddenSize;

    @Option(names = "--depth", converter = Ranges.Count.class, paramLabel = "N", description = "Number of blocks.")
    private Integer depth;

    @Option(
            names = "--num-heads",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Attention heads of a block.")
    private Integer numHeads;

    @Option(
            names = "--block",
            converter = Names.Blocks.class,
            completionCandidates = Names.Blocks.class,
            paramLabel = "NAME",
            description = "Design of the blocks: ${COMPLETION-CANDIDATES}. Default: adaln-zero.")
    private DiTBlock.Kind block = DiTBlock.Kind.ADALN_ZERO;

    @Option(
            names = "--label-dropout",
            converter = Ranges.Fraction.class,
            paramLabel = "SHARE",
            description = "Share of labels that training hides, so that samples can be guided; 0: they cannot."
                    + " Default: ${DEFAULT-VALUE}.")
    private double labelDropout = 0.1;

    @Option(
            names = "--learn-sigma",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description = "Predict a variance too, as published. --no-learn-sigma: the fixed one of the posterior.")
    private boolean learnSigma = true;

    @Option(
            names = "--prediction",
            converter = Names.Predictions.class,
            completionCandidates = Names.Predictions.class,
            paramLabel = "NAME",
            description = "What the network predicts: ${COMPLETION-CANDIDATES}. Default: noise.")
    private DiffusionConfig.Prediction prediction = DiffusionConfig.Prediction.NOISE;

    @Option(
            names = "--noise-schedule",
            converter = Names.Schedules.class,
            completionCandidates = Names.Schedules.class,
            paramLabel = "NAME",
            description = "How noise grows: ${COMPLETION-CANDIDATES}. Default: linear.")
    private NoiseSchedule schedule = NoiseSchedule.LINEAR;

    /** 1000 timesteps, as published. */
    DiffusionConfig diffusion() {
        return DiffusionConfig.of(
                schedule,
                1000,
                prediction,
                learnSigma ? DiffusionConfig.Variance.LEARNED_RANGE : DiffusionConfig.Variance.FIXED_SMALL);
    }

    /** @throws IllegalArgumentException if the values do not fit each other, or the pictures */
    DiTConfig config(DataFlags flags, Dataset data) {
        DiTConfig published = DiTConfig.of(model);
        return new DiTConfig(
                data.height(),
                data.width(),
                patchSize == null ? published.patchSize() : patchSize,
                data.channels(),
                hiddenSize == null ? published.hiddenSize() : hiddenSize,
                depth == null ? published.depth() : depth,
                numHeads == null ? published.numHeads() : numHeads,
                published.mlpRatio(),
                flags.numClasses(data),
                labelDropout,
                learnSigma,
                block);
    }

    /** The published name, or width × depth / patch. */
    String name(DiTConfig config) {
        boolean published = patchSize == null && hiddenSize == null && depth == null && numHeads == null;
        return published ? model : "DiT-" + config.hiddenSize() + "x" + config.depth() + "/" + config.patchSize();
    }

    /** Completes what the published model decides. */
    void derive(Settings settings, DiTConfig config) {
        settings.derive("patch-size", config.patchSize(), model);
        settings.derive("hidden-size", config.hiddenSize(), model);
        settings.derive("depth", config.depth(), model);
        settings.derive("num-heads", config.numHeads(), model);
    }
}
