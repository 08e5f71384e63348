package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/** Reads event files, to see what was written: checked records, and messages as field number → values. */
public final class EventRecords {
    private EventRecords() {}

    /** A message: numbers as {@code Long}, {@code Double} or {@code Float}, all else as bytes. */
    public record Message(Map<Integer, List<Object>> fields) {
        public Object one(int field) {
            assertEquals(1, fields.getOrDefault(field, List.of()).size(), "values of field " + field);
            return fields.get(field).get(0);
        }

        public Message message(int field) {
            return Message.of((byte[]) one(field));
        }

        public String text(int field) {
            return new String((byte[]) one(field), StandardCharsets.UTF_8);
        }

        public List<Double> packed(int field) {
            ByteBuffer buffer = ByteBuffer.wrap((byte[]) one(field)).order(ByteOrder.LITTLE_ENDIAN);
            List<Double> values = new ArrayList<>();
            while (buffer.hasRemaining()) values.add(buffer.getDouble());
            return values;
        }

        public static Message of(byte[] bytes) {
            Map<Integer, List<Object>> fields = new LinkedHashMap<>();
            ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
            while (buffer.hasRemaining()) {
                long key = varint(buffer);
                Object value = switch ((int) (key & 7)) {
                    case 0 -> varint(buffer);
                    case 1 -> buffer.getDouble();
                    case 2 -> taken(buffer, (int) varint(buffer));
                    case 5 -> buffer.getFloat();
                    default -> throw new AssertionError("wire type " + (key & 7));
                };
                fields.computeIfAbsent((int) (key >>> 3), field -> new ArrayList<>())
                        .add(value);
            }
            return new Message(fields);
        }

        private static long varint(ByteBuffer buffer) {
            long value = 0;
            for (int shift = 0; ; shift += 7) {
                byte next = buffer.get();
                value |= (long) (next & 0x7f) << shift;
                if (next >= 0) return value;
            }
        }
    }

    private static byte[] taken(ByteBuffer buffer, int count) {
        byte[] bytes = new byte[count];
        buffer.get(bytes);
        return bytes;
    }

    /** The events of a file. */
    public static List<Message> read(Path file) throws IOException {
        ByteBuffer buffer = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        List<Message> events = new ArrayList<>();
        while (buffer.hasRemaining()) {
            byte[] length = taken(buffer, 8);
            assertEquals(checksum(length), buffer.getInt(), "checksum of a length");
            byte[] event = taken(buffer, (int)
                    ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong());
            assertEquals(checksum(event), buffer.getInt(), "checksum of an event");
            events.add(Message.of(event));
        }
        return events;
    }

    private static int checksum(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes);
        long value = crc.getValue();
        return (int) (((value >>> 15) | (value << 17)) + 0xa282ead8L);
    }
}
