package org.dit4j.cli;

import java.nio.file.Path;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.checkpoint.Weights;
import org.dit4j.model.Profile;
import picocli.CommandLine.Option;

/** What a path of weights alone does not say. */
final class OpenFlags {
    @Option(
            names = "--weights",
            converter = Names.WeightSets.class,
            completionCandidates = Names.WeightSets.class,
            paramLabel = "NAME",
            description = "Of a checkpoint with two sets: ema, the averaged ones, or model, those in training."
                    + " Default: ema.")
    private Weights weights = Weights.EMA;

    @Option(
            names = "--weights-at",
            paramLabel = "PLACE",
            description = "Where the weights are in a file with several sets of them, as dit inspect lists them:"
                    + " ema_0.9999, state_dict.net. Default: found, or asked for.")
    private String place;

    @Option(
            names = "--no-null-label",
            description = "Every row of the label table is a class, in a file that does not say."
                    + " Default: the last row is the null label, as published.")
    private boolean noNullLabel;

    @Option(
            names = "--num-heads",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Attention heads, for a file that does not say and a width that no published model has.")
    private Integer numHeads;

    @Option(
            names = "--profile",
            converter = Names.Profiles.class,
            completionCandidates = Names.Profiles.class,
            paramLabel = "NAME",
            description = "Whose arithmetic the network follows: official or diffusers."
                    + " Default: diffusers for what came from a diffusers folder, else official.")
    private Profile profile;

    OpenOptions options(Path vae) {
        OpenOptions options = OpenOptions.DEFAULT.withWeights(weights);
        if (place != null) options = options.withPlace(place);
        if (noNullLabel) options = options.withoutNullLabel();
        if (numHeads != null) options = options.withNumHeads(numHeads);
        if (profile != null) options = options.withProfile(profile);
        return vae == null ? options : options.withVae(vae);
    }
}
