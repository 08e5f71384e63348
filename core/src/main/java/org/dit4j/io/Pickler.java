package org.dit4j.io;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Writes the pickle (protocol 2) of plain data and tensors as torch.save does; the tensors' bytes go elsewhere. */
final class Pickler {
    private final int maxDepth;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final List<Tensor> tensors = new ArrayList<>();

    Pickler(int maxDepth) {
        this.maxDepth = maxDepth;
    }

    /** The tensors in the order of their keys "0", "1", and so on. */
    List<Tensor> tensors() {
        return tensors;
    }

    byte[] pickle(Object root) {
        out.write(0x80);
        out.write(2);
        write(root, 0);
        out.write('.');
        return out.toByteArray();
    }

    /** An OrderedDict with attributes, as a state dict is one. */
    byte[] pickle(Map<?, ?> dict, Map<?, ?> attributes) {
        out.write(0x80);
        out.write(2);
        writeGlobal("collections", "OrderedDict");
        out.write(')');
        out.write('R');
        writeItems(dict, 0);
        write(attributes, 0);
        out.write('b');
        out.write('.');
        return out.toByteArray();
    }

    private void write(Object value, int depth) {
        if (depth > maxDepth)
            throw new IllegalArgumentException("containers nest deeper than " + maxDepth + " levels, or in themselves");
        if (value == null) out.write('N');
        else if (value instanceof Boolean truth) out.write(truth ? 0x88 : 0x89);
        else if (value instanceof Long || value instanceof Integer) writeInteger(((Number) value).longValue());
        else if (value instanceof Double || value instanceof Float) {
            out.write('G');
            out.writeBytes(ByteBuffer.allocate(8)
                    .putDouble(((Number) value).doubleValue())
                    .array());
        } else if (value instanceof String text) writeText(text);
        else if (value instanceof Tensor tensor) writeTensor(tensor);
        else if (value instanceof Map<?, ?> map) writeMap(map, depth);
        else if (value instanceof List<?> list) {
            out.write(']');
            out.write('(');
            for (Object item : list) write(item, depth + 1);
            out.write('e');
        } else if (value instanceof TorchValues.Tuple tuple) {
            out.write('(');
            for (Object item : tuple.items()) write(item, depth + 1);
            out.write('t');
        } else
            throw new IllegalArgumentException("a " + value.getClass().getSimpleName()
                    + " cannot be written for PyTorch; use maps, lists, tuples, tensors, text, numbers and booleans");
    }

    private void writeMap(Map<?, ?> map, int depth) {
        out.write('}');
        writeItems(map, depth);
    }

    private void writeItems(Map<?, ?> map, int depth) {
        out.write('(');
        map.forEach((key, item) -> {
            if (!(key instanceof String || key instanceof Long || key instanceof Integer))
                throw new IllegalArgumentException("the key " + key + " is no text or integer");
            write(key, depth + 1);
            write(item, depth + 1);
        });
        out.write('u');
    }

    private void writeInteger(long value) {
        if (value == (int) value) {
            out.write('J');
            out.writeBytes(littleEndian((int) value));
            return;
        }
        byte[] big = BigInteger.valueOf(value).toByteArray();
        out.write(0x8a);
        out.write(big.length);
        for (int i = big.length - 1; i >= 0; i--) out.write(big[i]);
    }

    private void writeText(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        out.write('X');
        out.writeBytes(littleEndian(utf8.length));
        out.writeBytes(utf8);
    }

    private static byte[] littleEndian(int value) {
        return ByteBuffer.allocate(4)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(value)
                .array();
    }

    private void writeGlobal(String module, String name) {
        out.writeBytes(("c" + module + "\n" + name + "\n").getBytes(StandardCharsets.US_ASCII));
    }

    private void writeTensor(Tensor tensor) {
        ScalarType dtype = Dtypes.of(tensor);
        String name = TorchDtypes.name(dtype), storage = TorchDtypes.storage(dtype);
        if (name == null) throw new IllegalArgumentException("a tensor of " + dtype + " cannot be written");
        writeGlobal("torch._utils", storage == null ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
        out.write('(');
        out.write('(');
        writeText("storage");
        if (storage == null) writeGlobal("torch.storage", "UntypedStorage");
        else writeGlobal("torch", storage);
        writeText(Integer.toString(tensors.size()));
        writeText("cpu");
        writeInteger(storage == null ? tensor.nbytes() : tensor.numel());
        out.write('t');
        out.write('Q');
        writeInteger(0);
        long[] shape = tensor.shape();
        writeSizes(shape);
        writeSizes(strides(shape));
        out.write(0x89);
        writeGlobal("collections", "OrderedDict");
        out.write(')');
        out.write('R');
        if (storage == null) writeGlobal("torch", name);
        out.write('t');
        out.write('R');
        tensors.add(tensor);
    }

    private void writeSizes(long[] sizes) {
        out.write('(');
        for (long size : sizes) writeInteger(size);
        out.write('t');
    }

    private static long[] strides(long[] shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= Math.max(1, shape[i]);
        }
        return strides;
    }
}
