package org.dit4j.checkpoint;

import java.util.Locale;
import org.dit4j.model.DiTConfig;

/** What a network draws. */
public enum Content {
    /** Pictures, in [−1, 1]. */
    PIXELS,
    /** The latents of an autoencoder, which makes pictures of them. */
    LATENTS;

    /** Of a network whose file does not say it: one or three channels are taken for pixels. */
    public static Content guess(DiTConfig model) {
        return model.inChannels() == 1 || model.inChannels() == 3 ? PIXELS : LATENTS;
    }

    /** In messages and files: "pixels". */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
