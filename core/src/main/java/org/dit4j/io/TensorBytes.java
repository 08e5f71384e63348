package org.dit4j.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** The memory of CPU tensors as bytes, straight from and to channels. */
final class TensorBytes {
    /** Small enough to be still in the processor's cache when its checksum is taken. */
    private static final int PIECE = 1 << 20;

    private TensorBytes() {}

    /** Takes a piece of a tensor's memory. */
    interface Piece {
        void accept(ByteBuffer bytes, long offset) throws IOException;
    }

    /** A new tensor whose shape is from a file; its size has been compared with the file's. */
    static Tensor empty(String name, String key, ScalarType dtype, long... shape) throws FormatException {
        try {
            return Tensors.empty(dtype, shape);
        } catch (RuntimeException e) {
            throw new FormatException(
                    name,
                    key + " has the shape " + Arrays.toString(shape) + ", which LibTorch does not take: "
                            + e.getMessage().lines().findFirst().orElse(""),
                    e);
        }
    }

    /** Visits the memory of a contiguous CPU tensor, a mebibyte at a time. */
    static void forEach(Tensor contiguous, Piece piece) throws IOException {
        if (contiguous.nbytes() == 0) return; // there is no memory to point to
        try (TensorScope scope = new TensorScope()) {
            BytePointer bytes = new BytePointer(contiguous.data_ptr());
            long size = contiguous.nbytes();
            for (long done = 0; done < size; done += PIECE)
                // not position(done): a ByteBuffer of a Pointer begins at its address, and ends 2 GiB after it
                piece.accept(
                        bytes.getPointer(done)
                                .capacity(Math.min(PIECE, size - done))
                                .asBuffer(),
                        done);
        }
    }

    /** Fills a contiguous CPU tensor. */
    static void read(String name, FileChannel channel, long position, Tensor into) throws IOException {
        forEach(into, (bytes, offset) -> readFully(name, channel, bytes, position + offset));
    }

    /** LibTorch counts on truth values being 0 or 1: with others in a mask it writes beyond its memory. */
    static void requireTruth(String name, String key, Tensor tensor) throws FormatException {
        if (Dtypes.of(tensor) != ScalarType.Bool) return;
        try (TensorScope scope = new TensorScope()) {
            if (tensor.view(ScalarType.Byte).gt(new Scalar(1)).any().item_bool())
                throw new FormatException(name, key + " has truth values other than 0 and 1");
        }
    }

    /** Writes the elements in row-major order. */
    static void write(WritableByteChannel channel, Tensor tensor) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            forEach(onHost(tensor), (bytes, offset) -> writeFully(channel, bytes));
        }
    }

    /** The tensor as contiguous memory of the CPU; itself if it is that. */
    static Tensor onHost(Tensor tensor) {
        return tensor.detach()
                .to(Backend.device("cpu"), tensor.scalar_type(), false, false, null)
                .contiguous()
                .resolve_conj()
                .resolve_neg();
    }

    static void readFully(String name, FileChannel channel, ByteBuffer buffer, long position) throws IOException {
        long at = position;
        while (buffer.hasRemaining()) {
            int count = channel.read(buffer, at);
            if (count < 0) throw new FormatException(name, "cut short at byte " + at);
            at += count;
        }
    }

    static void writeFully(WritableByteChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) channel.write(buffer);
    }

    /** After a failure: frees what was read before it. */
    static void close(Map<String, Tensor> tensors) {
        close(tensors.values());
    }

    /** After a failure: frees what was read before it. */
    static void close(Collection<Tensor> tensors) {
        tensors.forEach(Tensor::close);
    }
}
