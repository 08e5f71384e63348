package org.dit4j.io;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * One message of <a href="https://protobuf.dev/programming-guides/encoding/">Protocol Buffers</a> as it is written, field by field under the
 * numbers of its definition.
 */
final class Protobuf {
    private static final int VARINT = 0, FIXED_64 = 1, LENGTH = 2, FIXED_32 = 5;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Protobuf number(int field, long value) {
        key(field, VARINT);
        varint(value);
        return this;
    }

    Protobuf real(int field, double value) {
        key(field, FIXED_64);
        bytes.writeBytes(little(8).putDouble(value).array());
        return this;
    }

    Protobuf real(int field, float value) {
        key(field, FIXED_32);
        bytes.writeBytes(little(4).putFloat(value).array());
        return this;
    }

    /** A repeated field, packed. */
    Protobuf reals(int field, double[] values) {
        ByteBuffer packed = little(8 * values.length);
        for (double value : values) packed.putDouble(value);
        return bytes(field, packed.array());
    }

    Protobuf bytes(int field, byte[] value) {
        key(field, LENGTH);
        varint(value.length);
        bytes.writeBytes(value);
        return this;
    }

    Protobuf text(int field, String value) {
        return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Protobuf message(int field, Protobuf value) {
        return bytes(field, value.toBytes());
    }

    byte[] toBytes() {
        return bytes.toByteArray();
    }

    private static ByteBuffer little(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private void key(int field, int wireType) {
        varint((long) field << 3 | wireType);
    }

    private void varint(long value) {
        long left = value;
        for (; (left & ~0x7fL) != 0; left >>>= 7) bytes.write((int) (left & 0x7f | 0x80));
        bytes.write((int) left);
    }
}
