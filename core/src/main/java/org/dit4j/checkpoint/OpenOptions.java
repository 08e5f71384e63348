package org.dit4j.checkpoint;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import org.dit4j.model.Profile;

/**
 * What a path alone does not say.
 *
 * @param weights of a checkpoint with two sets
 * @param numHeads attention heads, for files that do not say and widths that no published model has
 * @param profile whose arithmetic to follow; empty: diffusers' for what came from a diffusers folder, else the published code's
 * @param vae the autoencoder of a model on latents, as {@link Checkpoints#openVae} takes it; empty: the one in the diffusers folder
 */
public record OpenOptions(Weights weights, OptionalInt numHeads, Optional<Profile> profile, Optional<Path> vae) {
    /** Averaged weights, and the rest as the path says. */
    public static final OpenOptions DEFAULT =
            new OpenOptions(Weights.EMA, OptionalInt.empty(), Optional.empty(), Optional.empty());

    public OpenOptions withWeights(Weights chosen) {
        return new OpenOptions(chosen, numHeads, profile, vae);
    }

    public OpenOptions withNumHeads(int heads) {
        return new OpenOptions(weights, OptionalInt.of(heads), profile, vae);
    }

    public OpenOptions withProfile(Profile chosen) {
        return new OpenOptions(weights, numHeads, Optional.of(chosen), vae);
    }

    public OpenOptions withVae(Path path) {
        return new OpenOptions(weights, numHeads, profile, Optional.of(path));
    }
}
