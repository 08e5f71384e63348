package org.dit4j.cli;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.dit4j.io.Images;

/** Small data sets on the disk. */
final class TestFiles {
    private TestFiles() {}

    /** A folder with an IDX file of {@code count} grey pictures and one of their labels, which go round {@code numClasses}. */
    static Path idx(Path folder, int count, int height, int width, int numClasses) throws IOException {
        Files.createDirectories(folder);
        ByteBuffer images = ByteBuffer.allocate(16 + count * height * width)
                .putInt(0x803)
                .putInt(count)
                .putInt(height)
                .putInt(width);
        ByteBuffer labels = ByteBuffer.allocate(8 + count).putInt(0x801).putInt(count);
        for (int i = 0; i < count; i++) labels.put((byte) (i % numClasses));
        Files.write(folder.resolve("train-images-idx3-ubyte"), images.array());
        Files.write(folder.resolve("train-labels-idx1-ubyte"), labels.array());
        return folder;
    }

    /** A black PNG. */
    static Path picture(Path file, int width, int height) throws IOException {
        Files.createDirectories(file.getParent());
        Images.writePng(file, new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB), Map.of());
        return file;
    }

    /** An archive in the format of POSIX 1988. */
    static Path tar(Path file, Map<String, byte[]> entries) throws IOException {
        ByteArrayOutputStream tar = new ByteArrayOutputStream();
        for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
            byte[] content = entry.getValue();
            ByteBuffer header = ByteBuffer.allocate(512);
            put(header, 0, entry.getKey());
            put(header, 100, "0000644");
            put(header, 124, String.format("%011o", content.length));
            put(header, 148, "        0"); // the checksum counts as blanks; a plain file
            put(header, 257, "ustar");
            put(header, 263, "00");
            int sum = 0;
            for (byte value : header.array()) sum += value & 255;
            put(header, 148, String.format("%06o", sum) + "\0");
            tar.writeBytes(header.array());
            tar.writeBytes(Arrays.copyOf(content, (content.length + 511) / 512 * 512));
        }
        tar.writeBytes(new byte[1024]);
        return Files.write(file, tar.toByteArray());
    }

    private static void put(ByteBuffer header, int at, String text) {
        header.position(at).put(text.getBytes(StandardCharsets.US_ASCII));
    }

    /** Cuts off the last {@code bytes} bytes. */
    static Path cutShort(Path file, int bytes) throws IOException {
        byte[] whole = Files.readAllBytes(file);
        return Files.write(file, Arrays.copyOf(whole, whole.length - bytes));
    }
}
