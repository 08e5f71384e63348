package org.dit4j.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** The header of an .npy array: a Python dict literal of three fixed keys, which is all that is understood. */
final class NpyDict {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int MAX_BYTES = 1 << 16, MAX_DIMENSIONS = 64;

    private static final Map<String, ScalarType> DTYPES = Map.ofEntries(
            Map.entry("b1", ScalarType.Bool),
            Map.entry("i1", ScalarType.Char),
            Map.entry("u1", ScalarType.Byte),
            Map.entry("i2", ScalarType.Short),
            Map.entry("u2", ScalarType.UInt16),
            Map.entry("i4", ScalarType.Int),
            Map.entry("u4", ScalarType.UInt32),
            Map.entry("i8", ScalarType.Long),
            Map.entry("u8", ScalarType.UInt64),
            Map.entry("f2", ScalarType.Half),
            Map.entry("f4", ScalarType.Float),
            Map.entry("f8", ScalarType.Double),
            Map.entry("c8", ScalarType.ComplexFloat),
            Map.entry("c16", ScalarType.ComplexDouble));

    private final String name;
    private final String text;
    private int at;

    private NpyDict(String name, String text) {
        this.name = name;
        this.text = text;
    }

    /**
     * Reads up to the data.
     *
     * @param size bytes of the whole array file, which the header must account for
     */
    static NpyHeader read(String name, InputStream in, long size) throws IOException {
        byte[] begin = in.readNBytes(8);
        for (int i = 0; i < MAGIC.length; i++)
            if (begin.length < 8 || begin[i] != MAGIC[i]) throw new FormatException(name, "not an .npy array");
        int version = begin[6];
        if (version < 1 || version > 3 || begin[7] != 0)
            throw new FormatException(name, "an .npy array of the unknown version " + version + "." + begin[7]);
        int lengthBytes = version == 1 ? 2 : 4;
        byte[] length = java.util.Arrays.copyOf(in.readNBytes(lengthBytes), 8);
        long headerBytes =
                ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong();
        if (headerBytes > MAX_BYTES)
            throw new FormatException(name, "an .npy header of " + headerBytes + " bytes; at most " + MAX_BYTES);
        byte[] text = in.readNBytes((int) headerBytes);
        if (text.length < headerBytes) throw new FormatException(name, "cut short in the .npy header");
        NpyHeader header = new NpyDict(name, new String(text, StandardCharsets.UTF_8)).parse();
        long data = size - 8 - lengthBytes - headerBytes;
        if (data != bytes(name, header))
            throw new FormatException(
                    name,
                    "has " + data + " bytes of data, its shape " + header.shape() + " needs " + bytes(name, header));
        return header;
    }

    /** Bytes of the data. */
    static long bytes(String name, NpyHeader header) throws FormatException {
        try {
            long bytes = Dtypes.bytes(header.dtype());
            for (long dimension : header.shape()) bytes = Math.multiplyExact(bytes, dimension);
            return bytes;
        } catch (ArithmeticException e) {
            throw new FormatException(name, "has the shape " + header.shape() + ", above every file's size");
        }
    }

    private NpyHeader parse() throws FormatException {
        String descr = null;
        Boolean fortran = null;
        List<Long> shape = null;
        expect('{');
        while (peek() != '}') {
            String key = string();
            expect(':');
            switch (key) {
                case "descr" -> {
                    require(descr == null && peek() != '[', "a structured array, or two dtypes");
                    descr = string();
                }
                case "fortran_order" -> {
                    require(fortran == null, "two orders");
                    fortran = truth();
                }
                case "shape" -> {
                    require(shape == null, "two shapes");
                    shape = shape();
                }
                default -> throw problem("the unknown key \"" + key + "\"");
            }
            if (peek() != '}') expect(',');
        }
        expect('}');
        require(text.substring(at).isBlank(), "something after its dict");
        require(descr != null && fortran != null && shape != null, "not all of descr, fortran_order and shape");
        require(!descr.contains("O"), "Python objects, which are not read");
        require(descr.length() >= 2 && "<>|=".indexOf(descr.charAt(0)) >= 0, "the unknown dtype " + descr);
        ScalarType dtype = DTYPES.get(descr.substring(1));
        require(dtype != null, "the dtype " + descr + ", which tensors do not have");
        require(descr.charAt(0) != '|' || Dtypes.bytes(dtype) == 1, "a dtype without a byte order: " + descr);
        return new NpyHeader(dtype, shape, fortran, descr.charAt(0) == '>' && Dtypes.bytes(dtype) > 1);
    }

    private char peek() throws FormatException {
        while (at < text.length() && text.charAt(at) <= ' ') at++;
        require(at < text.length(), "no end");
        return text.charAt(at);
    }

    private void expect(char c) throws FormatException {
        require(peek() == c, "no '" + c + "' at its character " + at);
        at++;
    }

    private String string() throws FormatException {
        char quote = peek();
        require(quote == '\'' || quote == '"', "no text at its character " + at);
        int end = text.indexOf(quote, at + 1);
        require(end > 0, "no end");
        String string = text.substring(at + 1, end);
        require(string.length() < 100 && string.matches("[\\x20-\\x7e&&[^\\\\]]*"), "strange text");
        at = end + 1;
        return string;
    }

    private boolean truth() throws FormatException {
        peek();
        for (String word : List.of("True", "False"))
            if (text.startsWith(word, at)) {
                at += word.length();
                return word.equals("True");
            }
        throw problem("no True or False at its character " + at);
    }

    private List<Long> shape() throws FormatException {
        List<Long> shape = new ArrayList<>();
        expect('(');
        while (peek() != ')') {
            int begin = at;
            while (at < text.length() && Character.digit(text.charAt(at), 10) >= 0 && text.charAt(at) < 128) at++;
            require(at > begin && at - begin <= 18, "no size at its character " + begin);
            shape.add(Long.parseLong(text.substring(begin, at)));
            if (text.startsWith("L", at)) at++; // Python 2
            require(shape.size() <= MAX_DIMENSIONS, "more than " + MAX_DIMENSIONS + " dimensions");
            if (peek() != ')') expect(',');
        }
        expect(')');
        return List.copyOf(shape);
    }

    private void require(boolean condition, String problem) throws FormatException {
        if (!condition) throw problem(problem);
    }

    private FormatException problem(String problem) {
        return new FormatException(name, "the .npy header has " + problem);
    }

    /** The bytes before the data, a multiple of 64, as NumPy writes them. */
    static byte[] encode(ScalarType dtype, List<Long> shape) {
        String sizes = shape.stream().map(String::valueOf).collect(Collectors.joining(", "));
        if (shape.size() == 1) sizes += ",";
        String dict = "{'descr': '" + descr(dtype) + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
        int length = (10 + dict.length() + 1 + 63) / 64 * 64;
        ByteBuffer header = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        header.put(MAGIC).put((byte) 1).put((byte) 0).putShort((short) (length - 10));
        header.put(dict.getBytes(StandardCharsets.US_ASCII));
        while (header.remaining() > 1) header.put((byte) ' ');
        return header.put((byte) '\n').array();
    }

    /** A whole .npy file of data that come with NumPy's own words for dtype and order. */
    static byte[] encode(String descr, boolean fortran, List<Long> shape, byte[] data) {
        String sizes = shape.stream().map(size -> size + ",").collect(Collectors.joining(" "));
        String dict = "{'descr': '" + descr.replaceAll("[^<>|=\\w]", "?") + "', 'fortran_order': "
                + (fortran ? "True" : "False") + ", 'shape': (" + sizes + ")}\n";
        ByteBuffer file = ByteBuffer.allocate(12 + dict.length() + data.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put(MAGIC).put((byte) 2).put((byte) 0).putInt(dict.length());
        return file.put(dict.getBytes(StandardCharsets.US_ASCII)).put(data).array();
    }

    private static String descr(ScalarType dtype) {
        for (Map.Entry<String, ScalarType> entry : DTYPES.entrySet())
            if (entry.getValue() == dtype) return (Dtypes.bytes(dtype) == 1 ? "|" : "<") + entry.getKey();
        throw new IllegalArgumentException("NumPy has no dtype for " + dtype + "; convert it to Float first");
    }
}
