package org.dit4j.io;

import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.TorchValues.Tuple;
import org.dit4j.torch.Backend;

/**
 * Pickles that hold nothing but dictionaries, NumPy arrays of numbers, and plain values (text, numbers), as EDM2 and diffuse_nnx write statistics. Nothing
 * of what a pickle names is looked up or run; any other object is refused.
 */
public final class NumpyPickle {
    private static final long MAX_BYTES = 1L << 30;

    static {
        Backend.configure();
    }

    private NumpyPickle() {}

    /**
     * The dictionary, with a {@link Map} for each inside it and a {@link Tensor} on the CPU for each array, in the scope around the call.
     *
     * @throws FormatException if it is damaged, no dictionary, or holds anything else, naming it
     */
    public static Map<String, Object> read(Path path) throws IOException {
        if (Files.exists(path) && Files.size(path) > MAX_BYTES)
            throw new FormatException(path, "a pickle above 1 GiB; statistics have some 100 MB");
        try (InputStream in = new BufferedInputStream(RegularFile.stream(path), 1 << 16)) {
            Unpickler unpickler = new Unpickler(path.toString(), in, MAX_BYTES, new HashMap<>());
            Object root = unpickler.load();
            if (unpickler.dangerous() != null) throw new FormatException(path, unpickler.dangerous());
            if (!(root instanceof Map<?, ?> map)) throw refused(path, "at its top", root);
            return dictionary(path, "", map);
        }
    }

    private static Map<String, Object> dictionary(Path path, String place, Map<?, ?> map) throws IOException {
        Map<String, Object> built = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (!(entry.getKey() instanceof String key)) throw refused(path, "as a key " + place, entry.getKey());
            if (place.length() > 100) throw new FormatException(path, "dictionaries that nest deeper than is usual");
            built.put(key, value(path, place + "/" + key, entry.getValue()));
        }
        return built;
    }

    private static Object value(Path path, String place, Object value) throws IOException {
        if (value instanceof Map<?, ?> map) return dictionary(path, place, map);
        if (value instanceof Unpickler.Made made) return array(path, place, made);
        boolean plain = value == null || value instanceof Number || value instanceof Boolean || value instanceof String;
        if (plain) return value;
        throw refused(path, "at " + place, value);
    }

    /** Either NumPy's own way to pickle an array, or that of protocol 5, where bytes come first. */
    private static Tensor array(Path path, String place, Unpickler.Made made) throws IOException {
        Map<Object, Object> parts = made.parts();
        if (made.type().matches("numpy\\.(core|_core)\\.multiarray\\._reconstruct"))
            return array(
                    path,
                    place,
                    parts.get("state.1"),
                    parts.get("state.2"),
                    parts.get("state.3"),
                    parts.get("state.4"));
        if (made.type().matches("numpy\\.(core|_core)\\.numeric\\._frombuffer"))
            return array(path, place, parts.get(2L), parts.get(1L), "F".equals(parts.get(3L)), parts.get(0L));
        throw refused(path, "at " + place, made);
    }

    private static Tensor array(Path path, String place, Object shape, Object dtype, Object fortran, Object bytes)
            throws IOException {
        List<Long> sizes = new ArrayList<>();
        if (shape instanceof Tuple tuple)
            for (Object size : tuple.items()) if (size instanceof Long number) sizes.add(number);
        boolean whole = shape instanceof Tuple tuple && tuple.items().size() == sizes.size();
        if (!whole
                || !(dtype instanceof Unpickler.Made type)
                || !type.type().equals("numpy.dtype")
                || !(bytes instanceof byte[] data))
            throw refused(path, "at " + place + ", in place of an array of numbers", dtype);
        String code = String.valueOf(type.parts().get(0L)).replaceAll("^[<>|=]", "");
        Object order = type.parts().get("state.1");
        // as an .npy file, whose reader checks dtype, shape and length
        byte[] npy = NpyDict.encode((order == null ? "|" : order) + code, Boolean.TRUE.equals(fortran), sizes, data);
        try (NpyRows rows = NpyRows.open(path + ": " + place, new ByteArrayInputStream(npy), npy.length)) {
            return rows.all();
        }
    }

    private static FormatException refused(Path path, String where, Object value) {
        String what = value instanceof Unpickler.Made made
                ? made.type()
                : value == null ? "nothing" : value.getClass().getSimpleName();
        return new FormatException(
                path,
                "refused: the pickle holds " + Printable.line(what) + " " + where
                        + "; read are dictionaries and NumPy arrays only. Save mu and sigma with numpy.savez");
    }
}
