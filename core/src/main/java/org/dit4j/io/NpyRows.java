package org.dit4j.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;

/** An array that is read piece by piece along its first dimension, so that it need not fit into memory. */
public final class NpyRows implements AutoCloseable {
    private final String name;
    private final InputStream in;
    private final NpyHeader header;
    private long next;

    private NpyRows(String name, InputStream in, NpyHeader header) {
        this.name = name;
        this.in = in;
        this.header = header;
    }

    /** Closes {@code in} if it is no array. */
    static NpyRows open(String name, InputStream in, long size) throws IOException {
        try {
            return new NpyRows(name, in, NpyDict.read(name, in, size));
        } catch (IOException | RuntimeException e) {
            in.close();
            throw e;
        }
    }

    /** Dtype, whole shape and order. */
    public NpyHeader header() {
        return header;
    }

    /**
     * The next rows, (n, …) on the CPU, n at most {@code count}; null after the last.
     *
     * @throws FormatException if the file is damaged, found at the latest with the last row
     * @throws IllegalStateException if the array is in Fortran order, where rows are scattered, or has no dimension
     */
    public Tensor next(int count) throws IOException {
        if (header.fortran() && header.shape().size() > 1)
            throw new IllegalStateException(name + " is in Fortran order, which has no rows to read; read it whole");
        if (header.shape().isEmpty()) throw new IllegalStateException(name + " is a single number, without rows");
        if (count < 1) throw new IllegalArgumentException("count is " + count + "; at least 1");
        long rows = Math.min(count, header.shape().get(0) - next);
        if (rows == 0) return null;
        long[] shape = longs(header.shape());
        shape[0] = rows;
        Tensor tensor = fill(shape);
        next += rows;
        if (next == header.shape().get(0)) requireEnd(tensor);
        return tensor;
    }

    /** The whole array. */
    Tensor all() throws IOException {
        long[] shape = longs(header.shape());
        if (!header.fortran()) return requireEnd(fill(shape));
        long[] reversed = new long[shape.length], order = new long[shape.length];
        for (int i = 0; i < shape.length; i++) {
            reversed[i] = shape[shape.length - 1 - i];
            order[i] = shape.length - 1 - i;
        }
        Tensor transposed = requireEnd(fill(reversed));
        Tensor tensor = TensorScope.local(() -> transposed.permute(order));
        transposed.close();
        return tensor;
    }

    private Tensor fill(long[] shape) throws IOException {
        Tensor tensor = TensorBytes.empty(name, "the array", header.dtype(), shape);
        try {
            byte[] piece = new byte[1 << 16];
            TensorBytes.forEach(tensor, (bytes, offset) -> {
                while (bytes.hasRemaining()) {
                    int length = in.readNBytes(piece, 0, Math.min(piece.length, bytes.remaining()));
                    if (length == 0) throw new FormatException(name, "cut short");
                    if (header.bigEndian()) swap(piece, length);
                    bytes.put(piece, 0, length);
                }
            });
            TensorBytes.requireTruth(name, "the array", tensor);
            return tensor;
        } catch (IOException | RuntimeException e) {
            tensor.close();
            throw e;
        }
    }

    private void swap(byte[] piece, int length) {
        int bytes = Dtypes.bytes(header.dtype());
        // a complex number is two numbers
        int number = tensorIsComplex() ? bytes / 2 : bytes;
        ByteBuffer big = ByteBuffer.wrap(piece, 0, length);
        ByteBuffer little = ByteBuffer.wrap(piece, 0, length).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < length; at += number)
            switch (number) {
                case 2 -> little.putShort(at, big.getShort(at));
                case 4 -> little.putInt(at, big.getInt(at));
                default -> little.putLong(at, big.getLong(at));
            }
    }

    private boolean tensorIsComplex() {
        return switch (header.dtype()) {
            case ComplexFloat, ComplexDouble -> true;
            default -> false;
        };
    }

    /** Reading the end makes an archive compare its checksum. */
    private Tensor requireEnd(Tensor tensor) throws IOException {
        try {
            if (in.read() >= 0) throw new FormatException(name, "goes on after its data");
            return tensor;
        } catch (IOException e) {
            tensor.close();
            throw e;
        }
    }

    private static long[] longs(List<Long> values) {
        return values.stream().mapToLong(Long::longValue).toArray();
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
