package org.dit4j.io;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** PNG as a list of checked chunks. */
final class PngFile {
    private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    private static final int MAX_TEXT_BYTES = 16 << 20;

    private PngFile() {}

    static boolean isPng(byte[] bytes) {
        return bytes.length >= 8 && Arrays.equals(bytes, 0, 8, SIGNATURE, 0, 8);
    }

    private interface ChunkReader {
        void read(String type, int begin, int end) throws FormatException;
    }

    /** Visits every chunk up to the last; lengths and checksums are right when this returns. */
    private static void chunks(String name, byte[] file, ChunkReader reader) throws FormatException {
        ByteBuffer buffer = ByteBuffer.wrap(file).position(8);
        String type = "";
        while (!type.equals("IEND")) {
            int at = buffer.position();
            if (buffer.remaining() < 12) throw new FormatException(name, "the PNG is cut short at byte " + at);
            int length = buffer.getInt();
            if (length < 0 || length > buffer.remaining() - 8)
                throw new FormatException(
                        name,
                        "the PNG is cut short: the chunk at byte " + at + " says it has "
                                + Integer.toUnsignedString(length) + " bytes, " + Math.max(0, buffer.remaining() - 8)
                                + " are left");
            CRC32 crc = new CRC32();
            crc.update(file, at + 4, length + 4);
            type = type(file, at);
            buffer.position(at + 8 + length);
            if (buffer.getInt() != (int) crc.getValue())
                throw new FormatException(name, "the PNG is damaged: checksum of the chunk " + type + " at byte " + at);
            if (at == 8 && !(type.equals("IHDR") && length == 13))
                throw new FormatException(name, "the PNG does not begin with a header");
            reader.read(type, at + 8, at + 8 + length);
        }
    }

    /** Reads the header; the bytes may end anywhere after it. */
    static PictureHeader header(String name, byte[] file) throws FormatException {
        PngPixels pixels = pixels(name, file);
        return new PictureHeader(pixels.width, pixels.height, 1, pixels.bytesToDecode() + file.length);
    }

    private static PngPixels pixels(String name, byte[] file) throws FormatException {
        if (file.length < 33) throw new FormatException(name, "the PNG is cut short at byte " + file.length);
        ByteBuffer buffer = ByteBuffer.wrap(file);
        CRC32 crc = new CRC32();
        crc.update(file, 12, 17);
        if (buffer.getInt(8) != 13 || !type(file, 8).equals("IHDR") || buffer.getInt(29) != (int) crc.getValue())
            throw new FormatException(name, "the PNG does not begin with a whole header");
        return new PngPixels(name, buffer.slice(16, 13));
    }

    /** @throws FormatException if it is damaged, cut short or above a limit */
    static Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        PngPixels pixels = pixels(name, file);
        limits.check(name, pixels.width, pixels.height);
        int[] orientation = {1};
        List<ByteBuffer> data = new ArrayList<>();
        chunks(name, file, (type, begin, end) -> {
            switch (type) {
                case "IHDR" -> {
                    if (begin != 16) throw new FormatException(name, "the PNG has a second header");
                }
                case "PLTE" -> pixels.setPalette(ByteBuffer.wrap(file, begin, end - begin));
                case "IDAT" -> data.add(ByteBuffer.wrap(file, begin, end - begin));
                case "eXIf" -> orientation[0] = Exif.orientation(file, begin, end);
                default -> {}
            }
        });
        try (PictureLimits.Room room = limits.room(name, pixels.bytesToDecode() + file.length)) {
            return new Picture(pixels.width, pixels.height, pixels.decode(data), orientation[0]);
        }
    }

    private static String type(byte[] file, int at) {
        return new String(file, at + 4, 4, StandardCharsets.ISO_8859_1);
    }

    static Map<String, String> text(String name, byte[] file) throws FormatException {
        if (!isPng(file)) throw new FormatException(name, "not a PNG file");
        Map<String, String> text = new LinkedHashMap<>();
        chunks(name, file, (type, begin, end) -> {
            switch (type) {
                case "tEXt" -> {
                    int split = terminator(name, file, begin, end);
                    text.put(
                            string(file, begin, split, StandardCharsets.ISO_8859_1),
                            string(file, split + 1, end, StandardCharsets.ISO_8859_1));
                }
                case "zTXt" -> {
                    int split = terminator(name, file, begin, end);
                    byte[] plain = inflate(name, file, split + 2, end);
                    text.put(
                            string(file, begin, split, StandardCharsets.ISO_8859_1),
                            new String(plain, StandardCharsets.ISO_8859_1));
                }
                case "iTXt" -> {
                    int split = terminator(name, file, begin, end);
                    int language = terminator(name, file, Math.min(split + 3, end), end);
                    int translated = terminator(name, file, language + 1, end);
                    boolean compressed = file[split + 1] != 0;
                    byte[] plain = compressed
                            ? inflate(name, file, translated + 1, end)
                            : Arrays.copyOfRange(file, translated + 1, end);
                    text.put(
                            string(file, begin, split, StandardCharsets.ISO_8859_1),
                            new String(plain, StandardCharsets.UTF_8));
                }
                default -> {}
            }
        });
        return text;
    }

    private static String string(byte[] file, int begin, int end, Charset charset) {
        return new String(file, begin, end - begin, charset);
    }

    private static int terminator(String name, byte[] file, int begin, int end) throws FormatException {
        for (int i = begin; i < end; i++) if (file[i] == 0) return i;
        throw new FormatException(name, "a text chunk of the PNG has no end of its keyword");
    }

    private static byte[] inflate(String name, byte[] file, int begin, int end) throws FormatException {
        if (begin > end) throw new FormatException(name, "a text chunk of the PNG is cut short");
        Inflater inflater = new Inflater();
        try {
            inflater.setInput(file, begin, end - begin);
            ByteArrayOutputStream plain = new ByteArrayOutputStream();
            byte[] buffer = new byte[8192];
            while (!inflater.finished()) {
                int count = inflater.inflate(buffer);
                if (count == 0) throw new FormatException(name, "a text chunk of the PNG is cut short");
                plain.write(buffer, 0, count);
                if (plain.size() > MAX_TEXT_BYTES)
                    throw new FormatException(name, "a text chunk of the PNG unpacks to more than 16 MiB");
            }
            return plain.toByteArray();
        } catch (DataFormatException e) {
            throw new FormatException(name, "a text chunk of the PNG is damaged: " + e.getMessage(), e);
        } finally {
            inflater.end();
        }
    }

    static byte[] encode(BufferedImage image, Map<String, String> text) throws IOException {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("png").next();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
            IIOMetadata metadata = writer.getDefaultImageMetadata(new ImageTypeSpecifier(image), null);
            metadata.mergeTree("javax_imageio_png_1.0", textTree(text));
            writer.setOutput(out);
            writer.write(null, new IIOImage(image, null, metadata), null);
        } finally {
            writer.dispose();
        }
        return bytes.toByteArray();
    }

    private static IIOMetadataNode textTree(Map<String, String> text) {
        IIOMetadataNode latin = new IIOMetadataNode("tEXt"), international = new IIOMetadataNode("iTXt");
        text.forEach((keyword, value) -> {
            requireKeyword(keyword);
            boolean isLatin = !value.startsWith("{")
                    && StandardCharsets.ISO_8859_1.newEncoder().canEncode(value);
            IIOMetadataNode entry = new IIOMetadataNode(isLatin ? "tEXtEntry" : "iTXtEntry");
            entry.setAttribute("keyword", keyword);
            entry.setAttribute(isLatin ? "value" : "text", value);
            if (!isLatin) {
                entry.setAttribute("compressionFlag", "FALSE");
                entry.setAttribute("compressionMethod", "0");
                entry.setAttribute("languageTag", "");
                entry.setAttribute("translatedKeyword", "");
            }
            (isLatin ? latin : international).appendChild(entry);
        });
        IIOMetadataNode root = new IIOMetadataNode("javax_imageio_png_1.0");
        if (latin.hasChildNodes()) root.appendChild(latin);
        if (international.hasChildNodes()) root.appendChild(international);
        return root;
    }

    private static void requireKeyword(String keyword) {
        if (!keyword.matches("[\\x21-\\x7e]([\\x20-\\x7e]{0,77}[\\x21-\\x7e])?"))
            throw new IllegalArgumentException("\"" + keyword
                    + "\" is not a PNG keyword: 1 to 79 printable ASCII characters, no space at either end");
    }
}
