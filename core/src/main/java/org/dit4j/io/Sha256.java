package org.dit4j.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256, which every Java has. */
public final class Sha256 {
    private Sha256() {}

    /** A digest of nothing yet. */
    public static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /** Of bytes that are all there, as 64 lower-case hexadecimal digits. */
    public static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(digest().digest(bytes));
    }

    /** Of a whole file, read in pieces. */
    public static String hex(Path file) throws IOException {
        MessageDigest digest = digest();
        byte[] piece = new byte[1 << 20];
        try (InputStream in = RegularFile.stream(file)) {
            for (int length = in.read(piece); length >= 0; length = in.read(piece)) digest.update(piece, 0, length);
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
