package org.dit4j.cli;

import java.util.Optional;
import org.dit4j.vae.LatentScaling;
import picocli.CommandLine.Option;

/** How the latents of a single file of an autoencoder are scaled, which it cannot say. */
final class VaeScale {
    @Option(
            names = "--vae-scale",
            paramLabel = "SCALE",
            description =
                    "Of an autoencoder in a single file, which cannot say it: latents = (what it gives - shift) x scale."
                            + " Default: 0.18215, Stable Diffusion's, for 4 channels; else it must be given.")
    private Double scale;

    @Option(
            names = "--vae-shift",
            paramLabel = "SHIFT",
            description = "The shift that goes with --vae-scale. Default: 0.")
    private Double shift;

    /** The flags as a shell takes them; empty if none was given. */
    String typed() {
        return scaling()
                .map(given ->
                        " --vae-scale " + given.scale() + (given.shift() == 0 ? "" : " --vae-shift " + given.shift()))
                .orElse("");
    }

    /** @throws IllegalArgumentException if the scale is not positive, or there is a shift without one */
    Optional<LatentScaling> scaling() {
        if (scale == null && shift != null) throw new IllegalArgumentException("--vae-shift goes with --vae-scale");
        return Optional.ofNullable(scale).map(given -> new LatentScaling(given, shift == null ? 0 : shift));
    }
}
