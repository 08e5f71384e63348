package org.dit4j.data;

import java.io.IOException;
import java.util.Objects;
import java.util.Optional;

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

    /** That of the data: the recorded one if its stamp is still theirs, which reads no content; else a new one. */
    public static Fingerprint of(Dataset data, Optional<Fingerprint> recorded) throws IOException {
        return recorded.isPresent() && recorded.get().stamp.equals(data.stamp()) ? recorded.get() : data.fingerprint();
    }
}
