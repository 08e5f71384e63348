package org.dit4j.eval;

import java.io.IOException;
import org.bytedeco.pytorch.Tensor;

/** Pictures of one size, by number, to take features of. For one thread at a time. */
public interface PictureSource extends AutoCloseable {
    /** How many there are. */
    long size();

    /**
     * The pictures from … from + count − 1, (count, 3, H, W) uint8 on the CPU, in the scope around the call. It is fastest from the first to the
     * last.
     *
     * @throws IOException if one cannot be read, or has another size than the others
     */
    Tensor read(long from, int count) throws IOException;

    /** SHA-256, in hex, of what the pictures depend on. */
    String digest() throws IOException;

    /** What they are, on one line, for people. */
    String describe();

    @Override
    void close() throws IOException;
}
