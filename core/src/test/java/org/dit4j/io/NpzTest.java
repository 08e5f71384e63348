package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
import org.bytedeco.javacpp.Pointer;
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

class NpzTest {
    @TempDir
    Path folder;

    private Path npy(String dict, byte... data) throws IOException {
        byte[] text = (dict + "\n").getBytes(StandardCharsets.ISO_8859_1);
        ByteBuffer file = ByteBuffer.allocate(10 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0}).putShort((short) text.length);
        return Files.write(folder.resolve("a.npy"), file.put(text).put(data).array());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void everyDtypeComesBack(boolean packed) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> arrays = new LinkedHashMap<>();
            Tensor bytes = Tensors.of(new byte[] {1, -2, 3, 4, -5, 6, 7, 8, 0, 0, 0, 0, 0, 0, -16, 63}, 16);
            for (ScalarType dtype : List.of(
                    ScalarType.Byte,
                    ScalarType.Char,
                    ScalarType.Short,
                    ScalarType.UInt16,
                    ScalarType.Half,
                    ScalarType.Int,
                    ScalarType.UInt32,
                    ScalarType.Float,
                    ScalarType.ComplexFloat,
                    ScalarType.ComplexDouble,
                    ScalarType.Double,
                    ScalarType.Long,
                    ScalarType.UInt64)) arrays.put(dtype.name(), bytes.view(dtype));
            arrays.put("scalar", Tensors.of(new float[] {2.5f}));
            arrays.put("empty", Tensors.empty(ScalarType.Float, 3, 0));
            arrays.put(
                    "transposed",
                    Tensors.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3).t());
            Path path = folder.resolve("a.npz");
            Npz.write(path, arrays, packed);
            Map<String, Tensor> read = Npz.read(path);
            assertEquals(new ArrayList<>(arrays.keySet()), new ArrayList<>(read.keySet()));
            arrays.forEach((key, array) -> {
                assertEquals(Dtypes.of(array), Dtypes.of(read.get(key)), key);
                assertArrayEquals(array.shape(), read.get(key).shape(), key);
                if (array.numel() > 0) assertArrayEquals(bytes(array), bytes(read.get(key)), key);
                assertEquals(Npy.shape(array), headers(path).get(key).shape());
            });
            assertEquals(
                    List.of("Float"),
                    new ArrayList<>(Npz.read(path, List.of("Float")).keySet()));
            assertThrows(FormatException.class, () -> Npz.read(path, List.of("absent")));
        }
    }

    private static Map<String, NpyHeader> headers(Path path) {
        try {
            return Npz.headers(path);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] bytes(Tensor tensor) {
        return Tensors.toBytes(tensor.contiguous().view(-1).view(ScalarType.Byte));
    }

    @Test
    void aFileOfOneArrayComesBack() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("a.npy");
            Npy.write(path, Tensors.of(new double[] {1, 2, 3}, 3));
            assertArrayEquals(new double[] {1, 2, 3}, Tensors.toDoubles(Npy.read(path)));
            assertEquals(new NpyHeader(ScalarType.Double, List.of(3L), false, false), Npy.header(path));
            assertEquals(128 + 24, Files.size(path)); // NumPy's own size for this array
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Npy.write(path, Tensors.of(new float[1], 1).to(ScalarType.BFloat16)));
        }
    }

    @Test
    void bigEndianNumbersAreTurnedAround() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path shorts = npy(
                    "{'descr': '>i2', 'fortran_order': False, 'shape': (2L,), }", (byte) 1, (byte) 2, (byte) 0, (byte)
                            5);
            assertArrayEquals(new long[] {258, 5}, Tensors.toLongs(Npy.read(shorts)));
            byte[] complex = ByteBuffer.allocate(8).putFloat(1).putFloat(-2).array();
            Path path = npy("{'descr': '>c8', 'fortran_order': False, 'shape': (), }", complex);
            assertArrayEquals(new byte[] {0, 0, (byte) 0x80, 0x3f, 0, 0, 0, (byte) 0xc0}, bytes(Npy.read(path)));
        }
    }

    @Test
    void rowsGoInAndOutWithoutEverBeingWhole() throws IOException {
        Path path = folder.resolve("rows.npz");
        Npz.writeRows(path, "arr_0", ScalarType.Byte, new long[] {7, 2, 1}, false, sink -> {
            for (byte i = 0; i < 5; i++) sink.write(new byte[] {i, i});
            try (TensorScope scope = new TensorScope()) {
                sink.write(Tensors.of(new byte[] {5, 5, 6, 6}, 2, 2, 1));
            }
        });
        try (NpyRows rows = Npz.rows(path, "arr_0");
                TensorScope scope = new TensorScope()) {
            assertEquals(List.of(7L, 2L, 1L), rows.header().shape());
            assertArrayEquals(new byte[] {0, 0, 1, 1, 2, 2}, Tensors.toBytes(rows.next(3)));
            assertArrayEquals(new long[] {3, 2, 1}, rows.next(3).shape());
            assertArrayEquals(new byte[] {6, 6}, Tensors.toBytes(rows.next(3)));
            assertNull(rows.next(3));
        }
    }

    @Test
    void tooFewRowsOrAFailureLeaveNoFile() {
        Path path = folder.resolve("rows.npz");
        long[] shape = {2, 2};
        assertThrows(
                IllegalStateException.class,
                () -> Npz.writeRows(path, "a", ScalarType.Byte, shape, false, sink -> sink.write(new byte[2])));
        assertThrows(
                IllegalArgumentException.class,
                () -> Npz.writeRows(path, "a", ScalarType.Byte, shape, false, sink -> {
                    try (TensorScope scope = new TensorScope()) {
                        sink.write(Tensors.of(new float[4], 2, 2));
                    }
                }));
        assertThrows(
                IOException.class,
                () -> Npz.writeRows(path, "a", ScalarType.Byte, shape, false, sink -> {
                    throw new IOException("the sampler stopped");
                }));
        assertEquals(0, folder.toFile().list().length);
    }

    @Test
    void aFortranArrayHasNoRows() throws IOException {
        Path path = npy(
                "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }", (byte) 1, (byte) 2, (byte) 3, (byte) 4);
        try (NpyRows rows = Npy.rows(path);
                TensorScope scope = new TensorScope()) {
            assertThrows(IllegalStateException.class, () -> rows.next(1));
            assertArrayEquals(new byte[] {1, 3, 2, 4}, Tensors.toBytes(Npy.read(path)));
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '~',
            quoteCharacter = '`',
            value = {
                "{'descr': '|O', 'fortran_order': False, 'shape': (1,), } ~ Python objects",
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), } ~ structured",
                "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), } ~ dtype <U1",
                "{'descr': '<f16', 'fortran_order': False, 'shape': (1,), } ~ dtype <f16",
                "{'descr': '|f4', 'fortran_order': False, 'shape': (1,), } ~ byte order",
                "{'descr': 'f4', 'fortran_order': False, 'shape': (1,), } ~ unknown dtype",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } ~ needs 8",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), } ~ no size",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), } ~ above every file",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1, } ~ no size",
                "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), } ~ True or False",
                "{'descr': '<f4', 'fortran_order': False, } ~ not all of",
                "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), } ~ two dtypes",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1} ~ unknown key",
                "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x ~ something after",
                "__import__('os') ~ no '{'",
                "{ ~ no end",
            })
    void anIncorrectHeaderIsRefused(String dict, String problem) throws IOException {
        Path path = npy(dict, new byte[4]);
        String message =
                assertThrows(FormatException.class, () -> Npy.read(path)).getMessage();
        assertTrue(message.contains(problem), message);
    }

    @Test
    void damageIsFoundByTheChecksumWithTheLastRow() throws IOException {
        Path path = folder.resolve("a.npz");
        try (TensorScope scope = new TensorScope()) {
            Npz.write(path, Map.of("a", Tensors.of(new byte[1000], 1000)), false);
            byte[] file = Files.readAllBytes(path);
            file[600] ^= 1;
            Files.write(path, file);
            assertTrue(assertThrows(FormatException.class, () -> Npz.read(path))
                    .getMessage()
                    .contains("checksum"));
            try (NpyRows rows = Npz.rows(path, "a")) {
                rows.next(999);
                assertThrows(FormatException.class, () -> rows.next(1));
            }
        }
    }

    @Test
    void readingAndRefusingLeaveNothingBehind() throws IOException {
        Path good = folder.resolve("a.npz");
        try (TensorScope scope = new TensorScope()) {
            Npz.write(good, Map.of("a", Tensors.of(new byte[1000], 1000)), true);
        }
        byte[] file = Files.readAllBytes(good);
        file[file.length / 2] ^= 1;
        Path bad = Files.write(folder.resolve("bad.npz"), file);
        Path fortran = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }", new byte[4]);
        read(good, bad, fortran);
        long before = NativeObjects.settled();
        read(good, bad, fortran);
        assertEquals(before, Pointer.totalCount());
    }

    private static void read(Path good, Path bad, Path fortran) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Npz.read(good);
        }
        assertThrows(FormatException.class, () -> Npz.read(bad));
        Npy.read(fortran).close();
    }

    private List<byte[]> seeds() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> arrays = new LinkedHashMap<>();
            arrays.put("mu", Tensors.of(new double[3], 3));
            arrays.put("arr_0", Tensors.of(new byte[12], 2, 2, 3));
            Npz.write(folder.resolve("plain.npz"), arrays, false);
            Npz.write(folder.resolve("packed.npz"), arrays, true);
            return List.of(
                    Files.readAllBytes(folder.resolve("plain.npz")), Files.readAllBytes(folder.resolve("packed.npz")));
        }
    }

    private static void readNpz(Path path) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Npz.read(path);
        }
    }

    private static void readNpy(Path path) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Npy.read(path);
        }
    }

    private List<byte[]> npySeeds() throws IOException {
        return List.of(
                Files.readAllBytes(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", new byte[16])),
                Files.readAllBytes(npy("{'descr': '>f8', 'fortran_order': True, 'shape': (2,), }", new byte[16])));
    }

    @Test
    void damagedArchivesAreReadOrRefused() throws IOException {
        Mutations.run(5_000, 8, seeds(), folder, NpzTest::readNpz);
    }

    @Test
    void damagedArraysAreReadOrRefused() throws IOException {
        Mutations.run(5_000, 9, npySeeds(), folder, NpzTest::readNpy);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedArchivesAreReadOrRefused() throws IOException {
        Mutations.run(200_000, 10, seeds(), folder, NpzTest::readNpz);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedArraysAreReadOrRefused() throws IOException {
        Mutations.run(200_000, 11, npySeeds(), folder, NpzTest::readNpy);
    }
}
