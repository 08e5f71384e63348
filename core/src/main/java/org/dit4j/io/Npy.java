package org.dit4j.io;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/**
 * NumPy's arrays: .npy files, and what the entries of an {@link Npz} have in common with them. Read are versions 1 to 3, both byte orders,
 * C and Fortran order, and every dtype of numbers and truth values that LibTorch has; never Python objects, records or text.
 */
public final class Npy {
    static {
        Backend.configure();
    }

    private Npy() {}

    /** Reads what a file holds without its data. */
    public static NpyHeader header(Path path) throws IOException {
        try (InputStream in = RegularFile.stream(path)) {
            return NpyDict.read(path.toString(), in, Files.size(path));
        }
    }

    /**
     * The array as a tensor on the CPU; one in Fortran order has the strides of that order.
     *
     * @throws FormatException if the file is damaged, cut short, or holds what no tensor can
     */
    public static Tensor read(Path path) throws IOException {
        try (NpyRows rows = rows(path)) {
            return rows.all();
        }
    }

    /** The array piece by piece, along its first dimension. */
    public static NpyRows rows(Path path) throws IOException {
        InputStream in = new BufferedInputStream(RegularFile.stream(path), 1 << 16);
        return NpyRows.open(path.toString(), in, Files.size(path));
    }

    /**
     * Writes a tensor of any device in C order, whole or not at all ({@link AtomicFile}).
     *
     * @throws IllegalArgumentException if NumPy has no such dtype (bfloat16, float8)
     */
    public static void write(Path path, Tensor tensor) throws IOException {
        byte[] header = NpyDict.encode(Dtypes.of(tensor), shape(tensor));
        AtomicFile.write(path, channel -> {
            TensorBytes.writeFully(channel, ByteBuffer.wrap(header));
            TensorBytes.write(channel, tensor);
        });
    }

    /** Where the rows of an array go, in order, as many at once as is convenient. */
    public static final class RowSink {
        private final ScalarType dtype;
        private final ZipWriter.EntryStream out;

        RowSink(ScalarType dtype, ZipWriter.EntryStream out) {
            this.dtype = dtype;
            this.out = out;
        }

        /** Takes rows in C order, little-endian. */
        public void write(byte[] rows) throws IOException {
            out.write(rows);
        }

        /** Takes (n, …) rows of the array's dtype, from any device. */
        public void write(Tensor rows) throws IOException {
            if (Dtypes.of(rows) != dtype)
                throw new IllegalArgumentException("rows of " + Dtypes.of(rows) + " for an array of " + dtype);
            try (TensorScope scope = new TensorScope()) {
                TensorBytes.forEach(TensorBytes.onHost(rows), (bytes, offset) -> out.write(bytes));
            }
        }
    }

    /** Makes the rows of an array. */
    @FunctionalInterface
    public interface RowSource {
        /** Writes all rows to {@code sink}. */
        void writeTo(RowSink sink) throws IOException;
    }

    static List<Long> shape(Tensor tensor) {
        return Arrays.stream(tensor.shape()).boxed().toList();
    }
}
