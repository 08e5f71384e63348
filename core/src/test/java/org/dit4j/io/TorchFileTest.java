package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
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
import org.dit4j.NativeObjects;
import org.dit4j.io.TorchFile.TensorInfo;
import org.dit4j.io.TorchValues.Namespace;
import org.dit4j.io.TorchValues.TorchDevice;
import org.dit4j.io.TorchValues.Tuple;
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
                List.of("nothing was memoized", "h\u0007"),
                List.of("without its operand", "("),
                List.of("without its operand", ""),
                List.of("without its mark", "t"),
                List.of("more than one object", "NN"),
                List.of("not UTF-8", "X\u0001\u0000\u0000\u0000\u00ff"),
                List.of("2000000 objects", "N".repeat(2_000_001)));
    }

    @ParameterizedTest
    @MethodSource("hostilePickles")
    void aHostilePickleIsRefused(List<String> problemAndProgram) throws IOException {
        String message = refused(file(problemAndProgram.get(1)));
        assertTrue(message.contains(problemAndProgram.get(0)), message);
    }

    /** What lies beside weights in people's files, as Python 3 pickles it: its name, and the program. */
    static List<List<String>> foreignObjects() {
        String path = "cpathlib\nPosixPath\n" + text("a") + text("b") + "\u0086R";
        String itself =
                "cconf\nNode\nq\u0001)\u0081q\u0002}(" + text("parent") + "h\u0002" + text("tensors") + "]h\u0002aub";
        return List.of(
                List.of(
                        "numpy._core.multiarray.scalar",
                        "cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n" + text("f8") + "\u0089\u0088\u0087R(K\u0003"
                                + text("<") + "NNNtbC\u0008\0\0\0\0\0\0\0\0tR"),
                List.of("pathlib.PosixPath(a, b)", path),
                List.of("lib.Color(1)", "clib\nColor\nK\u0001\u0085R"),
                List.of("lib.Color(RED)", "cbuiltins\ngetattr\nclib\nColor\n" + text("RED") + "\u0086R"),
                List.of("conf.Node", itself),
                List.of("lib.AttributeDict", "clib\nAttributeDict\n)\u0081" + text("lr") + "K\u0003s"),
                List.of("lib.MyList", "clib\nMyList\n)\u0081](K\u0001e0(K\u0001K\u0002e"),
                List.of("lib.MySet", "clib\nMySet\n)\u0081(K\u0001K\u0002\u0090"),
                List.of("lib.Config", "clib\nConfig\n)}" + text("lr") + "K\u0003s\u0092"),
                List.of("lib.Config", "ccopy_reg\n_reconstructor\nclib\nConfig\ncbuiltins\nobject\nN\u0087R"),
                List.of("lib.Slots", "clib\nSlots\n)\u0081N}" + text("a") + "K\u0001s\u0086b"),
                List.of("functools.partial", "cfunctools\npartial\nclib\nf\n\u0085R(clib\nf\n)}Ntb"),
                List.of("lib.a_function", "clib\na_function\n"),
                List.of("torch.Size", "ctorch\nSize\n"),
                List.of("torch._utils._rebuild_device_tensor", "ctorch._utils\n_rebuild_device_tensor\n)R"),
                List.of("torch.QInt8Storage(9, cpu, 4)", storage("torch\nQInt8Storage", "9", 4)),
                List.of("torch.Tensor(0, false)", tensor(storage("torch\nQInt8Storage", "9", 4), 0, 4, 1)));
    }

    @ParameterizedTest
    @MethodSource("foreignObjects")
    void anUnknownObjectBesideTheWeightsIsNamedAndNothingIsMadeOfIt(List<String> nameAndProgram) throws IOException {
        String weights = tensor(storage("torch\nFloatStorage", "0", 4), 0, 4, 1);
        String program = "}(" + text("x") + nameAndProgram.get(1) + text("w") + weights + "u";
        try (TensorScope scope = new TensorScope()) {
            Map<?, ?> read = (Map<?, ?>) TorchFile.read(file(program));
            assertEquals(nameAndProgram.get(0), read.get("x").toString());
            assertArrayEquals(new float[4], Tensors.toFloats((Tensor) read.get("w")));
        }
    }

    @Test
    void whatAnUnknownObjectWasGivenCanBeLookedAt() throws IOException {
        String program = "clib\nConfig\nq\u0001K\u0007\u0085R" + text("item") + "K\u0002s}(" + text("self") + "h\u0001"
                + text("w") + tensor(storage("torch\nFloatStorage", "0", 4), 0, 4, 1) + "ub";
        TorchFile.Foreign foreign = (TorchFile.Foreign) TorchFile.inspect(file(program));
        assertEquals("lib.Config", foreign.type());
        assertEquals(
                List.of(0L, "item", "self", "w"), List.copyOf(foreign.parts().keySet()));
        assertEquals(
                new TensorInfo(ScalarType.Float, List.of(4L)), foreign.parts().get("w"));
    }

    @Test
    void dictsOfKnownKindsAndKeysOfAnyAreRead() throws IOException {
        String program =
                "}(" + text("d") + "ccollections\ndefaultdict\nc__builtin__\nlist\n\u0085R" + text("a") + "K\u0001s"
                        + text("n") + "ctypes\nSimpleNamespace\n)R}" + text("lr") + "K\u0003sb"
                        + text("k") + "}(K\u0001K\u0002\u0086K\u0005clib\nColor\nK\u0001\u0085RK\u0006u" + "u";
        Map<?, ?> read = (Map<?, ?>) readAndFree(file(program));
        assertEquals(Map.of("a", 1L), read.get("d"));
        assertEquals(new Namespace(Map.of("lr", 3L)), read.get("n"));
        assertEquals(List.of(5L, 6L), List.copyOf(((Map<?, ?>) read.get("k")).values()));
    }

    @Test
    void whatWouldRunAProgramInPythonIsShownButNotRead() throws IOException {
        Path path = file("}" + text("x") + "cposix\nsystem\n" + text("touch x") + "\u0085Rs");
        assertEquals(
                "posix.system(touch x)",
                ((Map<?, ?>) TorchFile.inspect(path)).get("x").toString());
        assertTrue(refused(path).contains("posix.system"));
        assertTrue(assertThrows(FormatException.class, () -> TorchFile.requireHarmless(path))
                .getMessage()
                .contains("posix.system"));
    }

    /** Small programs that would take minutes, or all memory, if what they repeat were not counted. */
    static List<String> endlessWork() {
        String longText = text("x".repeat(1 << 20)) + "q\u00010", longKey = text("k".repeat(9_000)) + "q\u00010";
        String list = "](" + "K\u0001".repeat(100_000) + "eq\u00010";
        String encode = "c_codecs\nencode\nq\u00020" + text("latin1") + "q\u00030";
        String places = "}" + text("a") + "K\u0001sq\u0004";
        for (int depth = 0; depth < 90; depth++) places = "}h\u0001" + places + "s";
        StringBuilder collisions = new StringBuilder("}(");
        for (int i = 0; i < 40_000; i++) collisions.append("J").append(int32(i)).append(i % 2 == 0 ? "N" : "K\u0001");
        return List.of(
                longText + encode + "](" + "h\u0002h\u0001h\u0003\u0086R".repeat(20_000) + "e",
                list + "cbuiltins\nset\nq\u00050](" + "h\u0005h\u0001\u0085R".repeat(20_000) + "e",
                list + "ccollections\nOrderedDict\nq\u00050](" + "h\u0005h\u0001\u0085R".repeat(20_000) + "e",
                longKey + "](" + (places + "0").substring(0, places.length()) + "h\u0004".repeat(20_000)
                        + ("}h\u0001" + "h\u0004s").repeat(20_000) + "e",
                text("k".repeat(20_000)) + "q\u00010}h\u0001Ns",
                collisions + text("a") + "Nu",
                "N0".repeat(3_000_000));
    }

    @ParameterizedTest
    @MethodSource("endlessWork")
    void aPickleTakesBoundedWork(String program) throws IOException {
        Path path = file(program);
        long start = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
        refused(path);
        long millis = (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - start) / 1_000_000;
        assertTrue(millis < 3_000, millis + " ms");
    }

    @Test
    void whereChecksumsAreSwitchedOffNoneIsCompared() throws IOException {
        String program = tensor(storage("torch\nFloatStorage", "0", 4), 0, 4, 1);
        byte[] whole = Files.readAllBytes(file(program)), without = whole.clone();
        for (int at = 0; at + 30 < whole.length; at++) { // of each header, of the data and in the directory
            int field = matches(whole, at, 0x04034b50) ? 14 : matches(whole, at, 0x02014b50) ? 16 : -1;
            if (field >= 0) Arrays.fill(without, at + field, at + field + 4, (byte) 0);
        }
        Path path = Files.write(folder.resolve("a.pt"), without);
        try (TensorScope scope = new TensorScope()) {
            assertArrayEquals(new float[4], Tensors.toFloats((Tensor) TorchFile.read(path)));
        }
        byte[] one = whole.clone(); // a single 0 is a wrong checksum like any other
        int directory = lastIndexOf(one, "a/data.pkl") - 46;
        Arrays.fill(one, directory + 16, directory + 20, (byte) 0);
        assertTrue(refused(Files.write(path, one)).contains("checksum"));
    }

    private static boolean matches(byte[] file, int at, int signature) {
        return ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(at) == signature;
    }

    @Test
    void bytesAfterTheArchiveAreNotLookedAt() throws IOException {
        byte[] whole = Files.readAllBytes(file(tensor(storage("torch\nFloatStorage", "0", 4), 0, 4, 1)));
        for (String after : List.of("\n", "x".repeat(5000), "PK\5\6" + "x".repeat(30))) {
            ByteArrayOutputStream longer = new ByteArrayOutputStream();
            longer.writeBytes(whole);
            longer.writeBytes(after.getBytes(StandardCharsets.ISO_8859_1));
            try (TensorScope scope = new TensorScope()) {
                Object read = TorchFile.read(Files.write(folder.resolve("a.pt"), longer.toByteArray()));
                assertArrayEquals(new float[4], Tensors.toFloats((Tensor) read));
            }
        }
    }

    @Test
    void whatAStateDictSaysOfItselfComesBack() throws IOException {
        Path path = folder.resolve("said.pt");
        try (TensorScope scope = new TensorScope()) {
            Map<String, String> said = Map.of("dit4j.model", "{}", "format", "pt");
            TorchFile.write(path, Map.of("w", Tensors.of(new float[] {1, 2}, 2)), said);
            assertEquals(said, TorchFile.metadata(path));
            assertArrayEquals(
                    new float[] {1, 2}, Tensors.toFloats((Tensor) ((Map<?, ?>) TorchFile.read(path)).get("w")));
        }
        assertEquals(Map.of(), TorchFile.metadata(file("ccollections\nOrderedDict\n)R}" + text("_metadata") + "]sb")));
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
        assertTrue(refused(Files.write(path, tar)).contains("tar archive"));
        assertTrue(refused(Files.write(path, pickle("N"))).contains("not one of torch.save"));
        assertTrue(refused(Files.write(path, new byte[] {1, 2, 3})).contains("not a file of torch.save"));
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
        String truth = storage("torch\nBoolStorage", "1", 4);
        Map<String, byte[]> storages = Map.of("a/data/0", new byte[16], "a/data/1", new byte[] {0, 1, 2, 3});
        Path path = file(pickle("](" + tensor(storage, 0, 4, 1) + tensor(truth, 0, 4, 1) + "e"), storages);
        assertTrue(refused(path).contains("truth values"));
        long before = NativeObjects.settled();
        assertThrows(FormatException.class, () -> TorchFile.read(path));
        assertEquals(before, Pointer.totalCount());
    }

    @Test
    void aReadFileLeavesOnlyItsTensors() throws IOException {
        String storage = storage("torch\nFloatStorage", "0", 4);
        Path path = file("](" + tensor(storage, 0, 4, 1) + tensor(storage, 1, 2, 2) + "e");
        readAndFree(path);
        long before = NativeObjects.settled();
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
        try (TensorScope scope = new TensorScope()) { // PyTorch does not look at what follows either
            Object read = TorchFile.read(Files.write(path, Arrays.copyOf(whole, whole.length + 100)));
            assertArrayEquals(new float[] {1, 2, 3, 4}, Tensors.toFloats((Tensor) read));
        }
        assertTrue(refused(Files.write(path, legacy("](" + program + "cposix\nsystem\ne", "\u0088", 4)))
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
