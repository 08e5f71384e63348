package org.dit4j.io;

import java.io.Closeable;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;

/** NumPy's archives of arrays (.npz), of any size: packed or not, whole or row by row. */
public final class Npz {
    private static final String ENDING = ".npy";

    static {
        Backend.configure();
    }

    private Npz() {}

    /** What an archive holds, by the arrays' names, without their data. */
    public static Map<String, NpyHeader> headers(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path)) {
            ZipDirectory directory = ZipDirectory.read(path.toString(), channel);
            Map<String, NpyHeader> headers = new LinkedHashMap<>();
            for (String key : keys(directory))
                try (NpyRows rows = rows(path, directory, key, () -> {})) {
                    headers.put(key, rows.header());
                }
            return headers;
        }
    }

    private static List<String> keys(ZipDirectory directory) {
        List<String> keys = new ArrayList<>();
        for (String entry : directory.entries().keySet())
            if (entry.endsWith(ENDING)) keys.add(entry.substring(0, entry.length() - ENDING.length()));
        return keys;
    }

    /**
     * Every array, as {@link Npy#read} gives it.
     *
     * @throws FormatException if the archive is damaged; checksums are compared
     */
    public static Map<String, Tensor> read(Path path) throws IOException {
        try (FileChannel channel = RegularFile.open(path)) {
            ZipDirectory directory = ZipDirectory.read(path.toString(), channel);
            return read(path, directory, keys(directory));
        }
    }

    /**
     * Some arrays, in the order of {@code keys}.
     *
     * @throws FormatException if the archive is damaged, or one of them is not there
     */
    public static Map<String, Tensor> read(Path path, Collection<String> keys) throws IOException {
        try (FileChannel channel = RegularFile.open(path)) {
            return read(path, ZipDirectory.read(path.toString(), channel), keys);
        }
    }

    private static Map<String, Tensor> read(Path path, ZipDirectory directory, Collection<String> keys)
            throws IOException {
        Map<String, Tensor> arrays = new LinkedHashMap<>();
        try {
            for (String key : keys)
                try (NpyRows rows = rows(path, directory, key, () -> {})) {
                    arrays.put(key, rows.all());
                }
            return arrays;
        } catch (IOException | RuntimeException e) {
            TensorBytes.close(arrays);
            throw e;
        }
    }

    /** An array of an archive piece by piece, along its first dimension. */
    public static NpyRows rows(Path path, String key) throws IOException {
        FileChannel channel = RegularFile.open(path);
        try {
            return rows(path, ZipDirectory.read(path.toString(), channel), key, channel);
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /** @param last closed with the rows */
    private static NpyRows rows(Path path, ZipDirectory directory, String key, Closeable last) throws IOException {
        ZipDirectory.Entry entry = directory.entries().get(key + ENDING);
        if (entry == null) throw new FormatException(path, "no array \"" + key + "\"");
        InputStream in = new FilterInputStream(directory.stream(entry)) {
            @Override
            public void close() throws IOException {
                super.close();
                last.close();
            }
        };
        return NpyRows.open(path + ": " + key, in, entry.size());
    }

    /**
     * Writes tensors of any device in C order, whole or not at all ({@link AtomicFile}).
     *
     * @param packed whether to deflate, as {@code numpy.savez_compressed}
     * @throws IllegalArgumentException if NumPy has no such dtype (bfloat16, float8)
     */
    public static void write(Path path, Map<String, Tensor> arrays, boolean packed) throws IOException {
        AtomicFile.write(path, channel -> {
            ZipWriter zip = new ZipWriter(channel, 64);
            for (Map.Entry<String, Tensor> array : arrays.entrySet()) {
                Tensor tensor = array.getValue();
                long[] shape = tensor.shape();
                writeEntry(zip, array.getKey(), Dtypes.of(tensor), shape, packed, sink -> sink.write(tensor));
            }
            zip.finish();
        });
    }

    /**
     * Writes one array, made row by row, whole or not at all; what {@code rows} throws, this throws, and leaves no file.
     *
     * @param shape of the whole array
     * @throws IllegalStateException if {@code rows} wrote more or fewer bytes than the shape needs
     */
    public static void writeRows(
            Path path, String key, ScalarType dtype, long[] shape, boolean packed, Npy.RowSource rows)
            throws IOException {
        AtomicFile.write(path, channel -> {
            ZipWriter zip = new ZipWriter(channel, 64);
            writeEntry(zip, key, dtype, shape, packed, rows);
            zip.finish();
        });
    }

    private static void writeEntry(
            ZipWriter zip, String key, ScalarType dtype, long[] shape, boolean packed, Npy.RowSource rows)
            throws IOException {
        List<Long> sizes = Arrays.stream(shape).boxed().toList();
        byte[] header = NpyDict.encode(dtype, sizes);
        long expected = NpyDict.bytes(key, new NpyHeader(dtype, sizes, false, false));
        try (ZipWriter.EntryStream out = zip.entry(key + ENDING, packed)) {
            out.write(header);
            rows.writeTo(new Npy.RowSink(dtype, out));
            if (out.size() - header.length != expected)
                throw new IllegalStateException(key + " of shape " + sizes + " needs " + expected + " bytes of rows, "
                        + (out.size() - header.length) + " were written");
            out.complete();
        }
    }
}
