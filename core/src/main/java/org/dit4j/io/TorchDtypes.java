package org.dit4j.io;

import java.util.Map;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Python's names of the dtypes that a file can hold. */
final class TorchDtypes {
    private static final Map<String, ScalarType> NAMED = Map.ofEntries(
            Map.entry("bool", ScalarType.Bool),
            Map.entry("uint8", ScalarType.Byte),
            Map.entry("int8", ScalarType.Char),
            Map.entry("int16", ScalarType.Short),
            Map.entry("int32", ScalarType.Int),
            Map.entry("int64", ScalarType.Long),
            Map.entry("uint16", ScalarType.UInt16),
            Map.entry("uint32", ScalarType.UInt32),
            Map.entry("uint64", ScalarType.UInt64),
            Map.entry("float16", ScalarType.Half),
            Map.entry("bfloat16", ScalarType.BFloat16),
            Map.entry("float32", ScalarType.Float),
            Map.entry("float64", ScalarType.Double),
            Map.entry("complex64", ScalarType.ComplexFloat),
            Map.entry("complex128", ScalarType.ComplexDouble),
            Map.entry("float8_e5m2", ScalarType.Float8_e5m2),
            Map.entry("float8_e4m3fn", ScalarType.Float8_e4m3fn),
            Map.entry("float8_e5m2fnuz", ScalarType.Float8_e5m2fnuz),
            Map.entry("float8_e4m3fnuz", ScalarType.Float8_e4m3fnuz),
            Map.entry("float8_e8m0fnu", ScalarType.Float8_e8m0fnu));

    private static final Map<String, ScalarType> STORAGES = Map.ofEntries(
            Map.entry("BoolStorage", ScalarType.Bool),
            Map.entry("ByteStorage", ScalarType.Byte),
            Map.entry("CharStorage", ScalarType.Char),
            Map.entry("ShortStorage", ScalarType.Short),
            Map.entry("IntStorage", ScalarType.Int),
            Map.entry("LongStorage", ScalarType.Long),
            Map.entry("HalfStorage", ScalarType.Half),
            Map.entry("BFloat16Storage", ScalarType.BFloat16),
            Map.entry("FloatStorage", ScalarType.Float),
            Map.entry("DoubleStorage", ScalarType.Double),
            Map.entry("ComplexFloatStorage", ScalarType.ComplexFloat),
            Map.entry("ComplexDoubleStorage", ScalarType.ComplexDouble));

    private TorchDtypes() {}

    /** The dtype {@code torch.float32} and so on, or null. */
    static ScalarType named(String name) {
        return NAMED.get(name);
    }

    /** The dtype of {@code torch.FloatStorage} and so on, or null; the newer dtypes have none. */
    static ScalarType ofStorage(String name) {
        return STORAGES.get(name);
    }

    /** The inverse of {@link #named}. */
    static String name(ScalarType dtype) {
        return key(NAMED, dtype);
    }

    /** The inverse of {@link #ofStorage}; null for the newer dtypes. */
    static String storage(ScalarType dtype) {
        return key(STORAGES, dtype);
    }

    private static String key(Map<String, ScalarType> names, ScalarType dtype) {
        for (Map.Entry<String, ScalarType> entry : names.entrySet())
            if (entry.getValue() == dtype) return entry.getKey();
        return null;
    }
}
