package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.NativeObjects;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
    private static final String ONE_BYTE = "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}";

    @TempDir
    Path folder;

    private Path file(String header, int dataBytes) throws IOException {
        return file(header.replace('\'', '"').getBytes(StandardCharsets.UTF_8), dataBytes);
    }

    private Path file(byte[] header, int dataBytes) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
        return Files.write(
                folder.resolve("a.safetensors"),
                bytes.putLong(header.length).put(header).array());
    }

    private String refused(Path path) {
        return assertThrows(FormatException.class, () -> Safetensors.read(path)).getMessage();
    }

    @Test
    void everyDtypeComesBackWithEqualBytes() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            Tensor bytes = Tensors.of(new byte[] {1, -2, 3, 4, -5, 6, 7, 8, 0, 0, 0, 0, 0, 0, -16, 63}, 16);
            for (ScalarType dtype : List.of(
                    ScalarType.Byte,
                    ScalarType.Char,
                    ScalarType.Float8_e5m2,
                    ScalarType.Float8_e4m3fn,
                    ScalarType.Float8_e5m2fnuz,
                    ScalarType.Float8_e4m3fnuz,
                    ScalarType.Float8_e8m0fnu,
                    ScalarType.Short,
                    ScalarType.UInt16,
                    ScalarType.Half,
                    ScalarType.BFloat16,
                    ScalarType.Int,
                    ScalarType.UInt32,
                    ScalarType.Float,
                    ScalarType.ComplexFloat,
                    ScalarType.Double,
                    ScalarType.Long,
                    ScalarType.UInt64)) tensors.put(dtype.name(), bytes.view(dtype));
            tensors.put("bool", Tensors.of(new byte[] {1, 0}, 2).view(ScalarType.Bool));
            tensors.put("scalar", Tensors.of(new float[] {2.5f}));
            tensors.put("empty", Tensors.empty(ScalarType.Float, 3, 0));
            Path path = folder.resolve("all.safetensors");
            Safetensors.write(path, tensors, Map.of("format", "pt", "ключ", "значение"));
            Map<String, Tensor> read = Safetensors.read(path);
            assertEquals(new ArrayList<>(tensors.keySet()), new ArrayList<>(read.keySet()));
            tensors.forEach((key, tensor) -> {
                assertEquals(Dtypes.of(tensor), Dtypes.of(read.get(key)), key);
                assertArrayEquals(tensor.shape(), read.get(key).shape(), key);
                if (tensor.numel() > 0)
                    assertArrayEquals(
                            Tensors.toBytes(tensor.contiguous().view(-1).view(ScalarType.Byte)),
                            Tensors.toBytes(read.get(key).view(-1).view(ScalarType.Byte)),
                            key);
            });
            assertEquals(
                    Map.of("format", "pt", "ключ", "значение"),
                    Safetensors.header(path).metadata());
            assertEquals(0, Safetensors.header(path).dataOffset() % 8);
        }
    }

    /** Beyond what a ByteBuffer holds; some 5 GB of memory and disk. */
    @Test
    @Tag("slow")
    void aTensorAboveTwoGibibytesComesBack() throws IOException {
        long size = (2L << 30) + 5;
        try (TensorScope scope = new TensorScope()) {
            Tensor large = Tensors.empty(ScalarType.Byte, size);
            large.zero_();
            long[] marks = {0, 1L << 30, (2L << 30) - 1, 2L << 30, size - 1};
            for (long at : marks) large.narrow(0, at, 1).fill_(new Scalar(7));
            Path safetensors = folder.resolve("large.safetensors"), torch = folder.resolve("large.pt");
            Safetensors.write(safetensors, Map.of("a", large), Map.of());
            assertTrue(large.equal(Safetensors.read(safetensors).get("a")));
            Files.delete(safetensors);
            TorchFile.write(torch, large);
            assertTrue(large.equal((Tensor) TorchFile.read(torch)));
        }
    }

    @Test
    void aViewIsWrittenInItsOwnOrder() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("view.safetensors");
            Tensor transposed = Tensors.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3).t();
            Safetensors.write(path, Map.of("t", transposed), Map.of());
            assertArrayEquals(
                    new float[] {1, 4, 2, 5, 3, 6},
                    Tensors.toFloats(Safetensors.read(path).get("t")));
        }
    }

    @Test
    void someTensorsAreReadInTheOrderAsked() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("some.safetensors");
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            for (String key : List.of("a", "b", "c")) tensors.put(key, Tensors.of(new long[] {key.charAt(0)}, 1));
            Safetensors.write(path, tensors, Map.of());
            Map<String, Tensor> read = Safetensors.read(path, List.of("c", "a"));
            assertEquals(List.of("c", "a"), new ArrayList<>(read.keySet()));
            assertArrayEquals(new long[] {'c'}, Tensors.toLongs(read.get("c")));
            String message = assertThrows(FormatException.class, () -> Safetensors.read(path, List.of("d")))
                    .getMessage();
            assertTrue(message.contains("no tensor \"d\""), message);
        }
    }

    @Test
    void aShardedSetIsReadThroughItsIndexInItsOrder() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(folder.resolve("m-1.safetensors"), Map.of("a", Tensors.of(new long[] {1}, 1)), Map.of());
            Safetensors.write(
                    folder.resolve("m-2.safetensors"),
                    Map.of("b", Tensors.of(new long[] {2}, 1), "unused", Tensors.of(new long[] {3}, 1)),
                    Map.of());
            Path index = Files.writeString(
                    folder.resolve("m.safetensors.index.json"),
                    "{\"metadata\":{\"total_size\":16},\"weight_map\":{\"b\":\"m-2.safetensors\",\"a\":\"m-1.safetensors\"}}");
            Map<String, Tensor> read = Safetensors.read(index);
            assertEquals(List.of("b", "a"), new ArrayList<>(read.keySet()));
            assertArrayEquals(new long[] {2}, Tensors.toLongs(read.get("b")));
            assertEquals(
                    List.of("a"),
                    new ArrayList<>(Safetensors.read(index, List.of("a")).keySet()));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"../m.safetensors", "/etc/m.safetensors", "C:m.safetensors", "..", "m.pt", ".bin", ""})
    void anIndexCannotNameFilesElsewhere(String shard) throws IOException {
        Path index = Files.writeString(
                folder.resolve("m.safetensors.index.json"), "{\"weight_map\":{\"a\":\"" + shard + "\"}}");
        assertTrue(refused(index).contains("not the name of a .safetensors or .bin file"));
    }

    @Test
    void anIndexThatIsNoJsonIsRefused() throws IOException {
        Path index = folder.resolve("m.safetensors.index.json");
        for (byte[] text :
                new byte[][] {{}, {'{'}, {'1'}, {0, 0, '{', 0}, {(byte) 0xff, 1, 2, 3}, {0, 0, 0, '{', 9, 9, 9, 9}})
            refused(Files.write(index, text));
    }

    @Test
    void anIndexOfMoreThanAnyModelNeedsIsRefusedUnread() throws IOException {
        Path index = folder.resolve("m.safetensors.index.json");
        try (RandomAccessFile file = new RandomAccessFile(index.toFile(), "rw")) {
            file.setLength(17 << 20); // sparse
        }
        assertTrue(refused(index).contains("an index above"));
    }

    @Test
    void shardsAreWrittenAsHuggingFacesLibrariesDo() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            tensors.put("b", Tensors.of(new long[] {1, 2}, 2)); // 16 bytes
            tensors.put("a", Tensors.of(new long[] {3}, 1));
            tensors.put("large", Tensors.of(new long[5], 5));
            tensors.put("c", Tensors.of(new long[] {4}, 1));
            Path index = Safetensors.writeShards(folder.resolve("m.safetensors"), tensors, Map.of("k", "v"), 24);
            assertEquals(folder.resolve("m.safetensors.index.json"), index);
            JsonNode json = new ObjectMapper().readTree(index.toFile());
            assertTrue(Files.readString(index).startsWith("{\n  \"metadata\": {\n    \"total_size\": 72\n  },\n"));
            assertEquals(72, json.at("/metadata/total_size").asLong());
            assertEquals(
                    "{\"a\":\"m-00001-of-00003.safetensors\",\"b\":\"m-00001-of-00003.safetensors\","
                            + "\"c\":\"m-00003-of-00003.safetensors\",\"large\":\"m-00002-of-00003.safetensors\"}",
                    json.get("weight_map").toString());
            Map<String, Tensor> read = Safetensors.read(index);
            tensors.forEach((name, tensor) -> assertTrue(tensor.equal(read.get(name)), name));
            SafetensorsHeader first = Safetensors.header(folder.resolve("m-00001-of-00003.safetensors"));
            assertEquals(Map.of("k", "v"), first.metadata());
            Path one = folder.resolve("one.safetensors");
            assertEquals(one, Safetensors.writeShards(one, tensors, Map.of(), 72));
            assertEquals(4, Safetensors.read(one).size());
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Safetensors.writeShards(folder.resolve("m.pt"), tensors, Map.of(), 24));
        }
    }

    @Test
    void theSmallestFilesAreRead() throws IOException {
        assertTrue(Safetensors.read(file("{}", 0)).isEmpty());
        assertTrue(Safetensors.read(file("{'__metadata__':null}", 0)).isEmpty());
        try (TensorScope scope = new TensorScope()) {
            assertEquals(1, Safetensors.read(file(ONE_BYTE + "  \n", 1)).size());
        }
    }

    /** Each is refused by the Rust reader too, but for those that the class names. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "1 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}x | not correct JSON",
                "1 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}{} | goes on",
                "2 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}} | the file has 2",
                "0 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}} | the file has 0",
                "2 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[1,2]}} | gap",
                "3 | {'a':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'b':{'dtype':'U8','shape':[2],'data_offsets':[1,3]}} | overlap",
                "2 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,2]}} | its shape [1] needs 1",
                "1 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[1,0]}} | gap or an overlap",
                "1 | {'a':{'dtype':'U8','shape':[-1],'data_offsets':[0,1]}} | negative",
                "1 | {'a':{'dtype':'U8','shape':[1.0],'data_offsets':[0,1]}} | not of integers",
                "1 | {'a':{'dtype':'U8','shape':['1'],'data_offsets':[0,1]}} | not of integers",
                "1 | {'a':{'dtype':'U8','shape':1,'data_offsets':[0,1]}} | not an array",
                "1 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1,1]}} | more than 2",
                "1 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[1]}} | two are needed",
                "1 | {'a':{'dtype':'u9','shape':[1],'data_offsets':[0,1]}} | unknown dtype \"u9\"",
                "1 | {'a':{'dtype':'F4','shape':[3],'data_offsets':[0,1]}} | no whole number of bytes",
                "1 | {'a':{'dtype':'F4','shape':[4],'data_offsets':[0,1]}} | needs 2",
                "1 | {'a':{'dtype':{'dtype':'U8'},'shape':[1],'data_offsets':[0,1]}} | not a string",
                "1 | {'a':{'shape':[1],'data_offsets':[0,1]}} | lacks",
                "0 | {'a':{'dtype':'F64','shape':[4611686018427387904,4],'data_offsets':[0,0]}} | above every file's size",
                "0 | {'a':{'dtype':'F64','shape':[2305843009213693952],'data_offsets':[0,0]}} | above every file's size",
                "0 | {'a':{'dtype':'F64','shape':[18446744073709551616],'data_offsets':[0,0]}} | not correct JSON",
                "1 | {'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]},'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}} | Duplicate",
                "0 | {'__metadata__':{'a':1}} | not a string",
                "0 | {'__metadata__':{},'__metadata__':{}} | Duplicate",
                "0 | {'a':null} | not an object",
                "0 | {'a':['U8',[0],[0,0]]} | not an object",
                "0 | [] | does not begin",
                "0 | {'a' | not correct JSON",
                "0 | {'\\ud800':{'dtype':'U8','shape':[0],'data_offsets':[0,0]}} | not Unicode",
            })
    void anIncorrectHeaderIsRefused(int dataBytes, String header, String problem) throws IOException {
        String message = refused(file(header, dataBytes));
        assertTrue(message.contains(problem), message);
    }

    @Test
    void truthValuesOtherThanZeroAndOneAreRefused() throws IOException {
        Path path = file("{'a':{'dtype':'BOOL','shape':[3],'data_offsets':[0,3]}}", 3);
        try (TensorScope scope = new TensorScope()) {
            assertEquals(1, Safetensors.read(path).size());
        }
        byte[] bytes = Files.readAllBytes(path);
        bytes[bytes.length - 2] = 2;
        assertTrue(refused(Files.write(path, bytes)).contains("truth values"));
    }

    @Test
    void aTensorOfAnotherDtypeIsListedAndHidesNoOther() throws IOException {
        for (String dtype : List.of("F4", "F6_E2M3", "F6_E3M2", "F3_OF_TOMORROW")) {
            int bytes = dtype.startsWith("F6") ? 3 : 2;
            Path path = file(
                    "{'a':{'dtype':'" + dtype + "','shape':[4],'data_offsets':[0," + bytes + "]},"
                            + "'b':{'dtype':'U8','shape':[1],'data_offsets':[" + bytes + "," + (bytes + 1) + "]}}",
                    bytes + 1);
            SafetensorsHeader header = Safetensors.header(path);
            assertEquals(Map.of("a", dtype + " [4]"), header.unread());
            assertEquals(List.of("b"), List.copyOf(header.entries().keySet()));
            try (TensorScope scope = new TensorScope()) {
                assertEquals(0, Safetensors.read(path, List.of("b")).get("b").item_int());
            }
            assertTrue(assertThrows(FormatException.class, () -> Safetensors.read(path, List.of("a")))
                    .getMessage()
                    .contains("a is of " + dtype + " [4]"));
            assertTrue(refused(path).contains("a is of " + dtype));
        }
    }

    @Test
    void blanksBeforeTheHeadersBraceAreTolerated() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            for (String blanks : List.of(" ", "   \n", "\t\r\n "))
                assertEquals(
                        0,
                        Safetensors.read(file(blanks + ONE_BYTE + blanks, 1))
                                .get("a")
                                .item_int());
        }
        assertTrue(refused(file(" ".repeat(8), 0)).contains("does not begin with {"));
    }

    @Test
    void namesInMessagesAreShortAndPrintable() throws IOException {
        String message = refused(file("{'\\u001b[31m" + "x".repeat(10_000) + "':1}", 0));
        assertTrue(message.contains("?[31mxxx") && message.length() < 2_100, message);
    }

    @Test
    void whatIsNotUtf8IsRefused() throws IOException {
        Charset latin = StandardCharsets.ISO_8859_1;
        assertTrue(refused(file("{\"__metadata__\":{\"a\":\"\u00e4\"}}".getBytes(latin), 0))
                .contains("UTF-8"));
        refused(file("{}".getBytes(StandardCharsets.UTF_16LE), 0));
        refused(file("{\"__metadata__\":{\"a\":\"\u00c0\u0080\"}}".getBytes(latin), 0));
    }

    @Test
    void aHeaderLengthThatDoesNotFitIsRefused() throws IOException {
        for (long length : new long[] {-1, Long.MAX_VALUE, Long.MIN_VALUE, 100_000_001, 3, 0, 1}) {
            ByteBuffer bytes = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN);
            Path path = Files.write(
                    folder.resolve("a"),
                    bytes.putLong(length).put("{}".getBytes()).array());
            assertTrue(refused(path).contains("header length"));
        }
        assertTrue(
                refused(Files.write(folder.resolve("a"), new byte[] {1, 2, 3})).contains("too short"));
    }

    @Test
    void deeplyNestedJsonIsRefused() throws IOException {
        refused(file("{'x':{'y':" + "[".repeat(100_000) + "]".repeat(100_000) + "}}", 0));
    }

    @Test
    void shapesThatLibTorchDoesNotTakeAreRefused() throws IOException {
        refused(file("{'a':{'dtype':'U8','shape':[0,9223372036854775807,4],'data_offsets':[0,0]}}", 0));
    }

    @Test
    void aDtypeWithoutANameIsRefusedWhenWriting() {
        try (TensorScope scope = new TensorScope()) {
            Tensor complex = Tensors.of(new double[2], 2).view(ScalarType.ComplexDouble);
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Safetensors.write(folder.resolve("a"), Map.of("a", complex), Map.of()));
        }
    }

    @Test
    void aFailedWriteKeepsTheOldFile() throws IOException {
        Path path = Files.writeString(folder.resolve("a"), "old");
        assertThrows(
                IOException.class,
                () -> AtomicFile.write(path, channel -> {
                    channel.write(ByteBuffer.allocate(10));
                    throw new IOException("disk full");
                }));
        assertEquals("old", Files.readString(path));
        try (var files = Files.list(folder)) {
            assertEquals(1, files.count());
        }
    }

    private List<byte[]> seeds() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("seed");
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            tensors.put("blocks.0.weight", Tensors.of(new float[6], 2, 3));
            tensors.put("ids", Tensors.of(new long[2], 2));
            tensors.put("empty", Tensors.empty(ScalarType.Byte, 0));
            Safetensors.write(path, tensors, Map.of("format", "pt"));
            return List.of(Files.readAllBytes(path), Files.readAllBytes(file(ONE_BYTE, 1)));
        }
    }

    @Test
    void aFileRefusedAfterItsFirstTensorLeavesNothingBehind() throws IOException {
        Path path = file(
                "{'a':{'dtype':'U8','shape':[1],'data_offsets':[0,1]},"
                        + "'b':{'dtype':'U8','shape':[0,9223372036854775807,4],'data_offsets':[1,1]}}",
                1);
        refused(path);
        long before = NativeObjects.settled();
        refused(path);
        assertEquals(before, Pointer.totalCount());
    }

    private static void readAndFree(Path path) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Safetensors.read(path);
        }
    }

    @Test
    void damagedFilesAreReadOrRefused() throws IOException {
        Mutations.run(5_000, 2, seeds(), folder, SafetensorsTest::readAndFree);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedFilesAreReadOrRefused() throws IOException {
        Mutations.run(200_000, 3, seeds(), folder, SafetensorsTest::readAndFree);
    }
}
