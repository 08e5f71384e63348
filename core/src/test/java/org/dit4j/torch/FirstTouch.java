package org.dit4j.torch;

import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.dit4j.DiTPipeline;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiTConfig;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentScaling;
import org.dit4j.vae.TinyAutoencoderConfig;

/** A program whose first contact with dit4j is the one that its argument names; prints JavaCPP's limits then. */
final class FirstTouch {
    private FirstTouch() {}

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "network" -> DiTConfig.of("DiT-S/8").network().close();
            case "autoencoder" ->
                new AutoencoderKlConfig(3, 3, 4, List.of(4), 1, 2, 8, false, true, true, LatentScaling.STABLE_DIFFUSION)
                        .network()
                        .close();
            case "tiny autoencoder" -> TinyAutoencoderConfig.TAESD.network().close();
            case "file" -> Safetensors.read(Path.of(args[1]));
            case "scope" -> new TensorScope().close();
            case "pipeline" -> {
                try {
                    DiTPipeline.open(Path.of(args[1])).close();
                } catch (java.io.IOException expected) {
                    System.err.println(expected.getMessage());
                }
            }
            default -> throw new IllegalArgumentException(args[0]);
        }
        System.out.print("limits " + Pointer.maxBytes() + " " + Pointer.maxPhysicalBytes());
    }
}
