package org.dit4j.checkpoint;

import java.util.Optional;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * How weights are written.
 *
 * @param dtype to round them to; empty keeps what the file has
 * @param maxShardBytes the bytes of tensors in one file, as {@link org.dit4j.io.Safetensors#writeShards} takes it
 */
public record WriteOptions(Optional<ScalarType> dtype, long maxShardBytes) {
    /** As {@code maxShardBytes}: everything in one file. */
    public static final long ONE_FILE = Long.MAX_VALUE;

    /** As they are, in one file. */
    public static final WriteOptions DEFAULT = new WriteOptions(Optional.empty(), ONE_FILE);

    public WriteOptions withDtype(ScalarType chosen) {
        return new WriteOptions(Optional.of(chosen), maxShardBytes);
    }

    public WriteOptions withMaxShardBytes(long bytes) {
        return new WriteOptions(dtype, bytes);
    }
}
