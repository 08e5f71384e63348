package org.dit4j.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentScaling;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which autoencoder lies between pictures and latents. */
final class VaeFlag {
    private static final Path NONE = Path.of("none");

    @Option(
            names = "--vae",
            paramLabel = "PATH",
            description = "An autoencoder, for models on latents: a diffusers folder, a folder of TAESD's two files, a"
                    + " .safetensors or .bin file; ema or mse, the published ones, in the local cache of Hugging Face's hub."
                    + " none: there is none. Default: ${DEFAULT-VALUE}.")
    private Path vae = NONE;

    @Mixin
    private final VaeScale scale = new VaeScale();

    boolean isGiven() {
        return !vae.equals(NONE);
    }

    Path path() {
        return vae;
    }

    /** How its latents are scaled, if that was given. */
    Optional<LatentScaling> scaling() {
        return scale.scaling();
    }

    /** The flags as a shell takes them; empty if none was given. */
    String typed() {
        return isGiven() ? " --vae " + SampleCommand.quoted(vae) + scale.typed() : "";
    }

    /** The autoencoder, on the CPU; the caller closes it. */
    LatentCodec open() {
        if (!isGiven()) throw new IllegalArgumentException("--vae is missing: a folder or file of an autoencoder");
        Optional<LatentScaling> scaling = scaling();
        return Failure.as(ExitCode.CHECKPOINT, () -> Checkpoints.openVae(path(), scaling));
    }
}
