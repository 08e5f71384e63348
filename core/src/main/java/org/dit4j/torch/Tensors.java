package org.dit4j.torch;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Java arrays to tensors and back; and the few calls of LibTorch that take more than one line from Java. */
public final class Tensors {
    static {
        Backend.configure();
    }

    private Tensors() {}

    /** Uninitialised memory on the CPU. */
    public static Tensor empty(ScalarType dtype, long... shape) {
        return TensorScope.local(() -> torch.empty(shape, new TensorOptions(dtype), null));
    }

    /** float32 on the CPU, filled from {@code values} in row-major order. */
    public static Tensor of(float[] values, long... shape) {
        return TensorScope.local(() -> {
            Tensor tensor = filled(ScalarType.Float, values.length, shape);
            if (values.length > 0) new FloatPointer(tensor.data_ptr()).put(values);
            return tensor;
        });
    }

    /** float64 on the CPU. */
    public static Tensor of(double[] values, long... shape) {
        return TensorScope.local(() -> {
            Tensor tensor = filled(ScalarType.Double, values.length, shape);
            if (values.length > 0) new DoublePointer(tensor.data_ptr()).put(values);
            return tensor;
        });
    }

    /** int64 on the CPU. */
    public static Tensor of(long[] values, long... shape) {
        return TensorScope.local(() -> {
            Tensor tensor = filled(ScalarType.Long, values.length, shape);
            if (values.length > 0) new LongPointer(tensor.data_ptr()).put(values);
            return tensor;
        });
    }

    /** uint8 on the CPU. */
    public static Tensor of(byte[] values, long... shape) {
        return TensorScope.local(() -> {
            Tensor tensor = filled(ScalarType.Byte, values.length, shape);
            if (values.length > 0) new BytePointer(tensor.data_ptr()).put(values);
            return tensor;
        });
    }

    private static Tensor filled(ScalarType dtype, long length, long... shape) {
        Tensor tensor = empty(dtype, shape);
        if (tensor.numel() != length)
            throw new IllegalArgumentException(
                    length + " values do not fill a tensor of " + tensor.numel() + " elements");
        return tensor;
    }

    /** The elements in row-major order, converted to float32, from any device. */
    public static float[] toFloats(Tensor tensor) {
        try (TensorScope scope = new TensorScope()) {
            Tensor host = onHost(tensor, ScalarType.Float);
            float[] values = new float[Math.toIntExact(host.numel())];
            new FloatPointer(host.data_ptr()).get(values);
            return values;
        }
    }

    /** The elements in row-major order, converted to float64, from any device. */
    public static double[] toDoubles(Tensor tensor) {
        try (TensorScope scope = new TensorScope()) {
            Tensor host = onHost(tensor, ScalarType.Double);
            double[] values = new double[Math.toIntExact(host.numel())];
            new DoublePointer(host.data_ptr()).get(values);
            return values;
        }
    }

    /** The elements in row-major order, converted to int64, from any device. */
    public static long[] toLongs(Tensor tensor) {
        try (TensorScope scope = new TensorScope()) {
            Tensor host = onHost(tensor, ScalarType.Long);
            long[] values = new long[Math.toIntExact(host.numel())];
            new LongPointer(host.data_ptr()).get(values);
            return values;
        }
    }

    /** The elements in row-major order, converted to uint8 (which must hold them), from any device. */
    public static byte[] toBytes(Tensor tensor) {
        try (TensorScope scope = new TensorScope()) {
            Tensor host = onHost(tensor, ScalarType.Byte);
            byte[] values = new byte[Math.toIntExact(host.numel())];
            new BytePointer(host.data_ptr()).get(values);
            return values;
        }
    }

    private static Tensor onHost(Tensor tensor, ScalarType dtype) {
        return tensor.detach()
                .to(Backend.device("cpu"), dtype, false, false, null)
                .contiguous();
    }

    /** The dtype as the enum constant that it equals: what LibTorch returns is another object, unfit for {@code ==} and {@code switch}. */
    public static ScalarType dtype(Tensor tensor) {
        return tensor.scalar_type().intern();
    }

    /** The tensor on {@code device}, itself if it is there. */
    public static Tensor to(Tensor tensor, Device device) {
        return TensorScope.local(() -> tensor.to(device, tensor.scalar_type(), false, false, null));
    }

    /** Concatenation along {@code dim}. */
    public static Tensor cat(long dim, Tensor... tensors) {
        return TensorScope.local(() -> torch.cat(new TensorVector(tensors), dim));
    }

    /** Stacks along a new dimension {@code dim}. */
    public static Tensor stack(long dim, Tensor... tensors) {
        return TensorScope.local(() -> torch.stack(new TensorVector(tensors), dim));
    }

    /** The shape as text, for messages: {@code [3456, 1152]}. */
    public static String shape(Tensor tensor) {
        return java.util.Arrays.toString(tensor.shape());
    }
}
