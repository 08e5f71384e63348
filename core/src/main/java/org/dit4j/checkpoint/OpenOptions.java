package org.dit4j.checkpoint;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import org.dit4j.model.Profile;
import org.dit4j.vae.LatentScaling;

/**
 * What a path alone does not say.
 *
 * @param weights of a checkpoint with two sets
 * @param numHeads attention heads, for files that do not say and widths that no published model has
 * @param profile whose arithmetic to follow; empty: diffusers' for what came from a diffusers folder, else the published code's
 * @param place where the weights are, for a file with several sets of a kind, as {@code dit inspect} lists them
 * @param noNullLabel whether every row of the label table is a class, of a file that does not say; else the last is the null label
 * @param vae the autoencoder of a model on latents, as {@link Checkpoints#openVae} takes it; empty: the one in the diffusers folder
 * @param vaeScaling how its latents are scaled, of a single file that cannot say it
 */
public record OpenOptions(
        Weights weights,
        Optional<String> place,
        OptionalInt numHeads,
        boolean noNullLabel,
        Optional<Profile> profile,
        Optional<Path> vae,
        Optional<LatentScaling> vaeScaling) {
    /** Averaged weights, and the rest as the path says. */
    public static final OpenOptions DEFAULT = new OpenOptions(
            Weights.EMA,
            Optional.empty(),
            OptionalInt.empty(),
            false,
            Optional.empty(),
            Optional.empty(),
            Optional.empty());

    public OpenOptions withWeights(Weights chosen) {
        return new OpenOptions(chosen, place, numHeads, noNullLabel, profile, vae, vaeScaling);
    }

    public OpenOptions withPlace(String chosen) {
        return new OpenOptions(weights, Optional.of(chosen), numHeads, noNullLabel, profile, vae, vaeScaling);
    }

    public OpenOptions withoutNullLabel() {
        return new OpenOptions(weights, place, numHeads, true, profile, vae, vaeScaling);
    }

    public OpenOptions withNumHeads(int heads) {
        return new OpenOptions(weights, place, OptionalInt.of(heads), noNullLabel, profile, vae, vaeScaling);
    }

    public OpenOptions withProfile(Profile chosen) {
        return new OpenOptions(weights, place, numHeads, noNullLabel, Optional.of(chosen), vae, vaeScaling);
    }

    public OpenOptions withVae(Path path) {
        return new OpenOptions(weights, place, numHeads, noNullLabel, profile, Optional.of(path), vaeScaling);
    }

    public OpenOptions withVaeScaling(Optional<LatentScaling> given) {
        return new OpenOptions(weights, place, numHeads, noNullLabel, profile, vae, given);
    }
}
