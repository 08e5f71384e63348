package org.dit4j.io;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What every format must know of LibTorch's dtypes, without loading it. */
final class Dtypes {
    private Dtypes() {}

    /** The dtype as the one object of the enum that can be compared; JavaCPP makes a new one at each call. */
    static ScalarType of(Tensor tensor) {
        return tensor.scalar_type().intern();
    }

    /** Bytes of one element. */
    static int bytes(ScalarType dtype) {
        return switch (dtype) {
            case Bool, Byte, Char, Float8_e5m2, Float8_e4m3fn, Float8_e5m2fnuz, Float8_e4m3fnuz, Float8_e8m0fnu -> 1;
            case Short, UInt16, Half, BFloat16 -> 2;
            case Int, UInt32, Float -> 4;
            case Long, UInt64, Double, ComplexFloat -> 8;
            case ComplexDouble -> 16;
            default -> throw new IllegalArgumentException("no file format here holds " + dtype);
        };
    }
}
