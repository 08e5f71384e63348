package org.dit4j.io;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a file is that is not what it should be, told by its beginning: for messages. */
final class FileKind {
    /** As many bytes of the beginning as are looked at. */
    static final int LENGTH = 512;

    private static final String FETCH = "; fetch the file again";
    private static final Pattern LFS_SIZE = Pattern.compile("(?m)^size (\\d{1,18})$");

    private FileKind() {}

    /**
     * @param begin the first {@link #LENGTH} bytes, or all of them
     * @return empty if it is nothing that is known
     */
    static Optional<String> of(byte[] begin) {
        if (begin.length == 0) return Optional.of("is empty: a download or a copy that was not finished" + FETCH);
        String text = new String(begin, StandardCharsets.ISO_8859_1);
        if (text.startsWith("version https://git-lfs") || text.startsWith("version https://hawser"))
            return Optional.of("is a git-lfs pointer, the note that stands for the file" + size(text)
                    + " in a clone without it; run \"git lfs pull\" there, or fetch the file itself");
        String start = text.replaceFirst("^(\u00ef\u00bb\u00bf)?\\s+|^\u00ef\u00bb\u00bf", "")
                .toLowerCase(Locale.ROOT);
        if (start.startsWith("<!doctype html") || start.startsWith("<html") || start.startsWith("<head"))
            return Optional.of(
                    "is an HTML page, not weights: what a site answers that wants a login, or has no such file"
                            + FETCH);
        if (start.startsWith("<?xml") || start.startsWith("<error"))
            return Optional.of("is an XML text, not weights: what a server answers instead of a file" + FETCH);
        if (zeros(begin)) return Optional.of("begins with zeros: a download or a copy that was not finished" + FETCH);
        String packed = packed(text);
        if (packed != null) return Optional.of("is " + packed);
        if (text.length() > 262 && text.startsWith("ustar", 257))
            return Optional.of(
                    "is a tar archive; unpack it. (The tar format of PyTorch before 0.1.10 is not read: load it with a"
                            + " PyTorch that still can and save it again)");
        if (text.chars().allMatch(c -> c >= ' ' && c < 127 || c == '\n' || c == '\r' || c == '\t'))
            return Optional.of("is a text, not weights, beginning \"" + text.substring(0, Math.min(60, text.length()))
                    + "\"" + FETCH);
        return Optional.empty();
    }

    private static String size(String pointer) {
        Matcher size = LFS_SIZE.matcher(pointer);
        return size.find() ? " of " + size.group(1) + " bytes" : "";
    }

    private static boolean zeros(byte[] begin) {
        for (byte b : begin) if (b != 0) return false;
        return true;
    }

    private static String packed(String text) {
        if (text.startsWith("\u001f\u008b")) return "packed by gzip; unpack it first (gunzip)";
        if (text.startsWith("\u0028\u00b5\u002f\u00fd")) return "packed by zstd; unpack it first (unzstd)";
        if (text.startsWith("\u00fd7zXZ")) return "packed by xz; unpack it first (unxz)";
        if (text.startsWith("BZh")) return "packed by bzip2; unpack it first (bunzip2)";
        if (text.startsWith("7z\u00bc\u00af") || text.startsWith("Rar!")) return "a 7z or RAR archive; unpack it first";
        if (text.startsWith("\u0089HDF")) return "an HDF5 file (Keras), which is not read";
        if (text.startsWith("GGUF")) return "a GGUF file, which is not read";
        if (text.startsWith("\u0093NUMPY")) return "a NumPy array, not named tensors";
        if (text.startsWith("\u0089PNG") || text.startsWith("\u00ff\u00d8\u00ff")) return "a picture";
        return null;
    }
}
