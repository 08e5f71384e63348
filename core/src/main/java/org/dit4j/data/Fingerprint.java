package org.dit4j.data;

import java.util.Objects;

/**
 * What tells data apart from all others, wherever they lie.
 *
 * @param digest SHA-256 in hex of what of the data reaches the network, {@link Dataset#fingerprint} says of what
 * @param stamp a text that was equal as long as nobody touched the data, as {@link Dataset#stamp}
 */
public record Fingerprint(String digest, String stamp) {
    /** @throws IllegalArgumentException if {@code digest} is none */
    public Fingerprint {
        if (!digest.matches("[0-9a-f]{64}"))
            throw new IllegalArgumentException("\"" + digest + "\" is no SHA-256 in hex");
        Objects.requireNonNull(stamp, "stamp");
    }
}
