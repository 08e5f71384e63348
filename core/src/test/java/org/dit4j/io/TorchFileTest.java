package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.TorchFile.Namespace;
import org.dit4j.io.TorchFile.TensorInfo;
import org.dit4j.io.TorchFile.TorchDevice;
import org.dit4j.io.TorchFile.Tuple;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TorchFileTest {
    private static final String REBUILD = "ctorch._utils\n_rebuild_tensor_v2\n";
    private static final String HOOKS = "ccollections\nOrderedDict\n)R";

    @TempDir
    Path folder;

    /** Pickle by hand: Latin-1 text is the program, without the first two bytes and the last. */
    private static byte[] pickle(String program) {
        return ("\u0080\u0002" + program + ".").getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String text(String text) {
        return "X" + int32(text.length()) + text;
    }

    private static String int32(int value) {
        return new String(
                ByteBuffer.allocate(4)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(value)
                        .array(),
                StandardCharsets.ISO_8859_1);
    }

    private static String number(int value) {
        return "J" + int32(value);
    }

    private static String storage(String type, String key, int elements) {
        return "(" + text("storage") + "c" + type + "\n" + text(key) + text("cpu") + number(elements) + "tQ";
    }

    private static String tensor(String storage, int offset, int size, int stride) {
        return REBUILD + "(" + storage + number(offset) + number(size) + "\u0085" + number(stride) + "\u0085\u0089"
                + HOOKS + "tR";
    }

    private Path file(String program) throws IOException {
        return file(pickle(program), Map.of("a/data/0", new byte[16], "a/byteorder", "little".getBytes()));
    }

    private Path file(byte[] pickle, Map<String, byte[]> others) throws IOException {
        Path path = folder.resolve("a.pt");
        AtomicFile.write(path, channel -> {
            ZipWriter zip = new ZipWriter(channel, 64);
            zip.add("a/data.pkl", pickle);
            for (Map.Entry<String, byte[]> other : others.entrySet()) zip.add(other.getKey(), other.getValue());
            zip.finish();
        });
        return path;
    }

    private static String refused(Path path) {
        return assertThrows(FormatException.class, () -> readAndFree(path)).getMessage();
    }

    private static Object readAndFree(Path path) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            return TorchFile.read(path);
        }
    }

    @Test
    void whatIsWrittenComesBack() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<Object, Object> root = new LinkedHashMap<>();
            root.put(
                    "model",
                    new LinkedHashMap<>(Map.of(
                            "w", Tensors.of(new float[] {1, 2, 3, 4}, 2, 2).t())));
            root.put("half", Tensors.of(new float[] {1, 2}, 2).to(ScalarType.Half));
            root.put("fp8", Tensors.of(new float[] {1, 2}, 2).to(ScalarType.Float8_e4m3fn));
            root.put("scalar", Tensors.of(new long[] {7}));
            root.put("empty", Tensors.empty(ScalarType.Float, 0, 3));
            root.put("list", Arrays.asList(1L, -5L, 1L << 40, Long.MIN_VALUE, null, true, 2.5));
            root.put("betas", new Tuple(List.of(0.9, 0.999)));
            root.put(3L, "größe 🐟");
            Path path = folder.resolve("written.pt");
            TorchFile.write(path, root);
            Map<?, ?> read = (Map<?, ?>) TorchFile.read(path);
            assertEquals(new ArrayList<>(root.keySet()), new ArrayList<Object>(read.keySet()));
            for (String same : List.of("list", "betas")) assertEquals(root.get(same), read.get(same));
            assertEquals(root.get(3L), read.get(3L));
            Tensor w = (Tensor) ((Map<?, ?>) read.get("model")).get("w");
            assertArrayEquals(new float[] {1, 3, 2, 4}, Tensors.toFloats(w));
            assertEquals(ScalarType.Half, Dtypes.of((Tensor) read.get("half")));
            assertEquals(ScalarType.Float8_e4m3fn, Dtypes.of((Tensor) read.get("fp8")));
            assertArrayEquals(new float[] {1, 2}, Tensors.toFloats((Tensor) read.get("fp8")));
            assertArrayEquals(new long[0], ((Tensor) read.get("scalar")).shape());
            assertArrayEquals(new long[] {0, 3}, ((Tensor) read.get("empty")).shape());
        }
    }

    @Test
    void onlyTheWantedTensorsAreRead() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("two.pt");
            Tensor one = Tensors.of(new float[] {1, 2}, 2);
            TorchFile.write(path, Map.of("model", Map.of("w", one), "ema", Map.of("w", one)));
            Map<?, ?> read = (Map<?, ?>) TorchFile.read(path, place -> place.startsWith("ema."));
            assertEquals(new TensorInfo(ScalarType.Float, List.of(2L)), ((Map<?, ?>) read.get("model")).get("w"));
            assertArrayEquals(new float[] {1, 2}, Tensors.toFloats((Tensor) ((Map<?, ?>) read.get("ema")).get("w")));
            Map<?, ?> info = (Map<?, ?>) TorchFile.inspect(path);
            assertEquals(((Map<?, ?>) read.get("model")).get("w"), ((Map<?, ?>) info.get("ema")).get("w"));
        }
    }

    @Test
    void whatPythonCannotHaveIsRefusedWhenWriting() {
        Path path = folder.resolve("a.pt");
        assertThrows(IllegalArgumentException.class, () -> TorchFile.write(path, Map.of("a", new Object())));
        assertThrows(IllegalArgumentException.class, () -> TorchFile.write(path, Map.of(1.5, "a")));
        List<Object> endless = new ArrayList<>();
        endless.add(endless);
        assertThrows(IllegalArgumentException.class, () -> TorchFile.write(path, endless));
        assertTrue(Files.notExists(path));
    }

    @Test
    void plainDataOfEveryKindIsRead() throws IOException {
        String program =
                "(lN\u0088\u0089K\u0005M\u0001\u0002\u008a\u0009\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0001"
                                .replace("(l", "](")
                        + "G?\u00f8\u0000\u0000\u0000\u0000\u0000\u0000"
                        + text("t")
                        + "c__builtin__\nset\n](K\u0001K\u0002e\u0085R"
                        + "ctorch\nSize\nK\u0001K\u0002\u0086\u0085R"
                        + "ctorch\ndevice\n" + text("cuda") + "K\u0001\u0086R"
                        + "ctorch\nbfloat16\n"
                        + "cargparse\nNamespace\n)\u0081}" + text("lr") + "K\u0003sb"
                        + "e";
        assertEquals(
                Arrays.asList(
                        null,
                        true,
                        false,
                        5L,
                        513L,
                        BigInteger.ONE.shiftLeft(64),
                        1.5,
                        "t",
                        Set.of(1L, 2L),
                        new Tuple(List.of(1L, 2L)),
                        new TorchDevice("cuda:1"),
                        ScalarType.BFloat16,
                        new Namespace(Map.of("lr", 3L))),
                readAndFree(file(program)));
    }

    @Test
    void tensorsOfOneStorageShareIt() throws IOException {
        String storage = storage("torch\nFloatStorage", "0", 4);
        String program = "](" + tensor(storage, 0, 4, 1) + tensor(storage, 1, 2, 2) + "e";
        try (TensorScope scope = new TensorScope()) {
            List<?> read = (List<?>) TorchFile.read(file(program));
            ((Tensor) read.get(1)).add_(new org.bytedeco.pytorch.Scalar(1));
            assertArrayEquals(new float[] {0, 1, 0, 1}, Tensors.toFloats((Tensor) read.get(0)));
        }
    }

    static List<List<String>> hostilePickles() {
        String storage = storage("torch\nFloatStorage", "0", 4);
        String call = text("touch x") + "\u0085R";
        String laughs = "](](K\u0001K\u0001e"; // ten lists of ten lists of ...
        for (int level = 0; level < 30; level++)
            laughs += "q" + (char) level + "](" + ("h" + (char) level).repeat(10) + "e";
        return List.of(
                List.of("posix.system", "cposix\nsystem\n" + call),
                List.of("os.system", text("os") + text("system") + "\u0093" + call),
                List.of("builtins.getattr", "cbuiltins\ngetattr\n" + call),
                List.of("torch.load", "ctorch\nload\n" + call),
                List.of("torch._utils._rebuild_device_tensor", "ctorch._utils\n_rebuild_device_tensor\n" + call),
                List.of("numpy.core.multiarray.scalar", "cnumpy.core.multiarray\nscalar\n"),
                List.of("0x69", "(" + text("touch x") + "ios\nsystem\n"), // INST
                List.of("0x6f", "(" + text("x") + "o"), // OBJ
                List.of("0x82", "\u0082\u0001"), // EXT1
                List.of("0x50", "Pos.system\n"), // PERSID
                List.of("no allowed function", text("f") + call),
                List.of("no allowed function", tensor(storage, 0, 4, 1) + call),
                List.of("no allowed class", "ccollections\nOrderedDict\n)\u0081"),
                List.of("what is no dict", tensor(storage, 0, 4, 1) + text("a") + text("b") + "s"),
                List.of("what is no list", storage + text("a") + "a"),
                List.of("attributes for what has none", tensor(storage, 0, 4, 1) + "}b"),
                List.of("attributes for what has none", "}}b"),
                List.of("no storage", text("storage") + "Q"),
                List.of(
                        "no storage",
                        "(" + text("module") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\u0001tQ"),
                List.of("a storage of torch.Size", storage("torch\nSize", "0", 4)),
                List.of("the pickle says 20", tensor(storage("torch\nFloatStorage", "0", 5), 0, 4, 1)),
                List.of("not in the archive", tensor(storage("torch\nFloatStorage", "1", 4), 0, 4, 1)),
                List.of("not in the archive", tensor(storage("torch\nFloatStorage", "../../data.pkl", 4), 0, 4, 1)),
                List.of("two sizes", "](" + tensor(storage, 0, 4, 1) + storage("torch\nFloatStorage", "0", 3) + "e"),
                List.of("not inside its storage", tensor(storage, 0, 5, 1)),
                List.of("not inside its storage", tensor(storage, 1, 4, 1)),
                List.of("not inside its storage", tensor(storage, 0, 2, 4)),
                List.of("not inside its storage", tensor(storage, Integer.MAX_VALUE, 1, 1)),
                List.of("the offset -1", tensor(storage, -1, 1, 1)),
                List.of("no number from 0 on", tensor(storage, 3, 4, -1)),
                List.of("no number from 0 on", tensor(storage, 0, -4, 1)),
                List.of("made of only 4 elements", tensor(storage, 0, Integer.MAX_VALUE, 0)),
                List.of("a storage of -4", tensor(storage("torch\nFloatStorage", "0", -4), 0, 4, 1)),
                List.of(
                        "without a dtype",
                        storage("torch.storage\nUntypedStorage", "0", 16)
                                .replace("tQ", "(" + text("1") + "K\u0008K\u0008ttQ")),
                List.of("beyond the end", "X\u00ff\u00ff\u00ff\u007f"),
                List.of("beyond the end", "\u008d\u0000\u0000\u0000\u0080\u0000\u0000\u0000\u0000"),
                List.of("beyond the end", "\u008e\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f"),
                List.of("an integer of", "\u008b\u00ff\u00ff\u00ff\u007f"),
                List.of("in themselves", "]q\u0000h\u0000a"),
                List.of("in themselves", "}q\u0000" + text("a") + "h\u0000s"),
                List.of("in themselves", "]".repeat(200) + "a".repeat(199)),
                List.of("values, containers counted", laughs + "e"),
                List.of("no string, number or None", "}" + "]K\u0001s"),
                List.of("nothing was memoized", "h\u0007"),
                List.of("without its operand", "("),
                List.of("without its operand", ""),
                List.of("without its mark", "t"),
                List.of("more than one object", "NN"),
                List.of("a function, not data", "ctorch\nSize\n"),
                List.of("not UTF-8", "X\u0001\u0000\u0000\u0000\u00ff"),
                List.of("2000000 objects", "N".repeat(2_000_001)));
    }

    @ParameterizedTest
    @MethodSource("hostilePickles")
    void aHostilePickleIsRefused(List<String> problemAndProgram) throws IOException {
        String message = refused(file(problemAndProgram.get(1)));
        assertTrue(message.contains(problemAndProgram.get(0)), message);
    }

    @Test
    void aBigEndianFileIsRefused() throws IOException {
        Path path = file(pickle("N"), Map.of("a/byteorder", "big".getBytes()));
        assertTrue(refused(path).contains("big-endian"));
    }

    @Test
    void otherFormatsAreNamed() throws IOException {
        assertTrue(refused(file(pickle("N"), Map.of("a/constants.pkl", new byte[1])))
                .contains("TorchScript"));
        Path path = folder.resolve("other");
        byte[] tar = new byte[1024];
        System.arraycopy("ustar".getBytes(), 0, tar, 257, 5);
        assertTrue(refused(Files.write(path, tar)).contains("tar format"));
        assertTrue(refused(Files.write(path, pickle("N"))).contains("not one of torch.save"));
        assertTrue(refused(Files.write(path, new byte[0])).contains("not a file of torch.save"));
    }

    @Test
    void anyDamageToAnEntryIsFoundByItsChecksum() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("sum.pt");
            TorchFile.write(path, Map.of("w", Tensors.of(new float[256], 256)));
            byte[] file = Files.readAllBytes(path);
            long begin;
            try (var channel = java.nio.channels.FileChannel.open(path)) {
                begin = ZipDirectory.read("sum.pt", channel)
                        .entries()
                        .get("archive/data/0")
                        .begin();
            }
            assertEquals(0, begin % 64);
            for (int i = 0; i < 1024; i += 37) {
                byte[] damaged = file.clone();
                damaged[(int) begin + i] ^= 1;
                assertTrue(refused(Files.write(path, damaged)).contains("checksum"));
            }
        }
    }

    @Test
    void aFileCutAnywhereIsRefused() throws IOException {
        byte[] file = seeds().get(0);
        for (int length = 0; length < file.length; length += 11)
            refused(Files.write(folder.resolve("cut.pt"), Arrays.copyOf(file, length)));
    }

    @Test
    void aRefusedFileLeavesNothingBehind() throws IOException {
        String storage = storage("torch\nFloatStorage", "0", 4);
        Path path = file("](" + tensor(storage, 0, 4, 1) + "ctorch\nSize\ne");
        assertThrows(FormatException.class, () -> TorchFile.read(path));
        long before = Pointer.totalCount();
        assertThrows(FormatException.class, () -> TorchFile.read(path));
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void aReadFileLeavesOnlyItsTensors() throws IOException {
        String storage = storage("torch\nFloatStorage", "0", 4);
        Path path = file("](" + tensor(storage, 0, 4, 1) + tensor(storage, 1, 2, 2) + "e");
        readAndFree(path);
        long before = Pointer.totalCount();
        try (TensorScope scope = new TensorScope()) {
            TorchFile.read(path);
            assertEquals(before + 2, Pointer.totalCount());
        }
        assertEquals(before, Pointer.totalCount());
    }

    /** The old format around a hand-written pickle with one storage "0" of four floats. */
    private static byte[] legacy(String program, String system, int elements) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(pickle("\u008a\n\u006c\u00fc\u009c\u0046\u00f9\u0020\u006a\u00a8\u0050\u0019"));
        out.writeBytes(pickle("M\u00e9\u0003"));
        out.writeBytes(pickle("}" + text("little_endian") + system + "s"));
        out.writeBytes(pickle(program));
        out.writeBytes(pickle("]" + text("0") + "a"));
        out.writeBytes(ByteBuffer.allocate(8 + 16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(elements)
                .putFloat(1)
                .putFloat(2)
                .putFloat(3)
                .putFloat(4)
                .array());
        return out.toByteArray();
    }

    @Test
    void theOldFormatIsReadIncludingPartsOfStorages() throws IOException {
        String part = storage("torch\nFloatStorage", "0", 4).replace("tQ", "(" + text("1") + "K\u0001K\u0003ttQ");
        Path path = Files.write(folder.resolve("old.pt"), legacy(tensor(part, 1, 2, 1), "\u0088", 4));
        try (TensorScope scope = new TensorScope()) {
            assertArrayEquals(new float[] {3, 4}, Tensors.toFloats((Tensor) TorchFile.read(path)));
        }
    }

    @Test
    void theOldFormatIsCheckedToo() throws IOException {
        String program = tensor(storage("torch\nFloatStorage", "0", 4), 0, 4, 1);
        Path path = folder.resolve("old.pt");
        assertTrue(refused(Files.write(path, legacy(program, "\u0089", 4))).contains("big-endian"));
        assertTrue(refused(Files.write(path, legacy(program, "\u0088", 5))).contains("has 5 elements"));
        byte[] whole = legacy(program, "\u0088", 4);
        assertTrue(refused(Files.write(path, Arrays.copyOf(whole, whole.length - 1)))
                .contains("cut short"));
        assertTrue(refused(Files.write(path, Arrays.copyOf(whole, whole.length + 1)))
                .contains("follow"));
        assertTrue(refused(Files.write(path, legacy("cposix\nsystem\n", "\u0088", 4)))
                .contains("posix.system"));
    }

    @Test
    void aPublishedLegacyCheckpointOpens() throws IOException {
        Path path = sharedData("cifar10_resnet/resnet56-4bfd9763.th");
        try (TensorScope scope = new TensorScope()) {
            Map<?, ?> root = (Map<?, ?>) TorchFile.read(path);
            assertEquals(93.62, (Double) root.get("best_prec1"), 1e-9);
            Map<?, ?> state = (Map<?, ?>) root.get("state_dict");
            assertArrayEquals(new long[] {16, 3, 3, 3}, ((Tensor) state.get("module.conv1.weight")).shape());
            float norm = ((Tensor) state.get("module.linear.weight")).norm().item_float();
            assertTrue(norm > 1 && norm < 100, "trained weights have a sane norm, this is " + norm);
        }
    }

    /** Real files that are not part of the project: the folder that DIT_DATA names, or ../shared/data beside the clone. */
    private static Path sharedData(String name) {
        String folder = System.getProperty("dit.data", System.getenv().getOrDefault("DIT_DATA", "../../shared/data"));
        Path path = Path.of(folder, name);
        Assumptions.assumeTrue(Files.exists(path), path + " is not here; set DIT_DATA to the folder of real data");
        return path;
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void duplicateOrOverlappingEntriesAreRefused(int kind) throws IOException {
        Path path = folder.resolve("twice.pt");
        AtomicFile.write(path, channel -> {
            ZipWriter zip = new ZipWriter(channel, 1);
            zip.add("a/data.pkl", pickle("N"));
            zip.add(kind == 0 ? "a/data.pkl" : "a/data.pk2", pickle("N"));
            zip.finish();
        });
        byte[] file = Files.readAllBytes(path);
        if (kind == 1) { // the second entry's header offset in the directory becomes the first's
            int second = lastIndexOf(file, "a/data.pk2") - 4;
            Arrays.fill(file, second, second + 4, (byte) 0);
        }
        String message = refused(Files.write(path, file));
        assertTrue(message.contains(kind == 0 ? "two entries" : "overlap"), message);
    }

    private static int lastIndexOf(byte[] file, String text) {
        return new String(file, StandardCharsets.ISO_8859_1).lastIndexOf(text);
    }

    @Test
    void aZipBombIsRefusedBeforeItIsUnpacked() throws IOException {
        Path path = file(pickle("N"), Map.of("a/data/0", new byte[1_200_000]));
        byte[] file = Files.readAllBytes(path);
        ByteBuffer directory = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int record = lastIndexOf(file, "a/data/0") - 46;
        directory.putShort(record + 10, (short) 8).putInt(record + 24, 1_200_000_000);
        assertTrue(refused(Files.write(path, file)).contains("zip bomb"));
        directory.putInt(record + 24, 2_000_000_000);
        assertTrue(refused(Files.write(path, file)).contains("says it unpacks to"));
    }

    private List<byte[]> seeds() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Path path = folder.resolve("seed.pt");
            TorchFile.write(
                    path,
                    Map.of(
                            "model",
                            Map.of("w", Tensors.of(new float[4], 2, 2), "ids", Tensors.of(new long[2], 2)),
                            "lr",
                            1e-4,
                            "betas",
                            new Tuple(List.of(0.9, 0.999))));
            byte[] zip = Files.readAllBytes(path);
            String storage = storage("torch\nFloatStorage", "0", 4);
            String shared = "](" + tensor(storage, 0, 4, 1) + tensor(storage, 1, 2, 2) + "e";
            byte[] old = legacy("}" + text("a") + shared + "s", "\u0088", 4);
            return List.of(zip, old);
        }
    }

    @Test
    void damagedFilesAreReadOrRefused() throws IOException {
        Mutations.run(5_000, 4, seeds(), folder, TorchFileTest::readAndFree);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedFilesAreReadOrRefused() throws IOException {
        Mutations.run(200_000, 5, seeds(), folder, TorchFileTest::readAndFree);
    }

    /** Past the checksums of the zip format: only the pickle is damaged, and wrapped again. */
    @Test
    void damagedPicklesAreReadOrRefused() throws IOException {
        damagedPickles(5_000, 6);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedPicklesAreReadOrRefused() throws IOException {
        damagedPickles(200_000, 7);
    }

    private void damagedPickles(int count, long seed) throws IOException {
        String storage = storage("torch\nFloatStorage", "0", 4);
        List<byte[]> seeds = List.of(
                pickle("}(" + text("a") + tensor(storage, 0, 4, 1) + text("b") + "](K\u0001N\u0088e" + text("c")
                        + "cargparse\nNamespace\n)\u0081}" + text("lr") + "K\u0003sbu"),
                pickle(tensor(storage, 1, 2, 2)),
                pickle("](" + "ctorch\nSize\nK\u0001K\u0002\u0086\u0085R" + "ctorch\ndevice\n" + text("cuda")
                        + "K\u0001\u0086Re"));
        Mutations.run(count, seed, seeds, folder, path -> {
            byte[] pickle = Files.readAllBytes(path);
            Map<String, Unpickler.Storage> storages = new LinkedHashMap<>();
            new Unpickler(path.toString(), new java.io.ByteArrayInputStream(pickle), pickle.length, storages).load();
        });
    }
}
