package org.dit4j.io;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * The first picture of a TIFF as Pillow's {@code convert("RGB")}: grey, RGB, palette and CMYK of up to 16 bits, plain, PackBits, LZW or
 * deflate, in strips or tiles. Pillow always turns it as its orientation says.
 */
final class TiffFile {
    private static final int WIDTH = 256,
            HEIGHT = 257,
            BITS = 258,
            COMPRESSION = 259,
            COLOURS = 262,
            FILL_ORDER = 266,
            STRIP_OFFSETS = 273,
            ORIENTATION = 274,
            BANDS = 277,
            STRIP_ROWS = 278,
            STRIP_BYTES = 279,
            PLANAR = 284,
            PREDICTOR = 317,
            PALETTE = 320,
            TILE_WIDTH = 322,
            TILE_HEIGHT = 323,
            TILE_OFFSETS = 324,
            TILE_BYTES = 325,
            EXTRA = 338,
            SAMPLE_FORMAT = 339;
    private static final int PLAIN = 1, LZW = 5, ADOBE_DEFLATE = 8, DEFLATE = 32_946, PACK_BITS = 32_773;
    private static final int WHITE_IS_ZERO = 0, BLACK_IS_ZERO = 1, RGB = 2, INDEXED = 3, CMYK = 5;

    private final String name;
    private final ByteBuffer file;
    private final Map<Integer, long[]> tags = new HashMap<>();
    private final int width, height, bits, compression, colours, bands, planar, predictor;
    /** Of a strip or tile. */
    private final int pieceWidth, pieceHeight;

    private TiffFile(String name, byte[] bytes) throws FormatException {
        this.name = name;
        file = ByteBuffer.wrap(bytes).order(bytes[0] == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
        try {
            readTags();
        } catch (IndexOutOfBoundsException e) {
            throw new FormatException(name, "the TIFF is cut short or damaged: its tags reach beyond its end", e);
        }
        width = number(WIDTH, 0);
        height = number(HEIGHT, 0);
        if (width < 1 || height < 1) throw new FormatException(name, "its size is " + width + "x" + height);
        bands = number(BANDS, 1);
        colours = number(COLOURS, BLACK_IS_ZERO);
        compression = number(COMPRESSION, PLAIN);
        planar = number(PLANAR, 1);
        predictor = number(PREDICTOR, 1);
        bits = number(BITS, 1);
        pieceWidth = isTiled() ? number(TILE_WIDTH, 0) : width;
        pieceHeight = isTiled() ? number(TILE_HEIGHT, 0) : Math.min(height, Math.max(1, number(STRIP_ROWS, height)));
        checkKind();
    }

    static boolean isTiff(byte[] file) {
        return file.length > 8
                && (file[0] == 'I' && file[1] == 'I' && file[2] == 42 && file[3] == 0
                        || file[0] == 'M' && file[1] == 'M' && file[2] == 0 && file[3] == 42);
    }

    static PictureHeader header(String name, byte[] file) throws FormatException {
        TiffFile tiff = new TiffFile(name, file);
        return new PictureHeader(tiff.width, tiff.height, 1, tiff.bytesToDecode());
    }

    static Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        TiffFile tiff = new TiffFile(name, file);
        limits.check(name, tiff.width, tiff.height);
        try (PictureLimits.Room room = limits.room(name, tiff.bytesToDecode())) {
            int orientation = tiff.number(ORIENTATION, 1);
            Picture stored = new Picture(
                    tiff.width, tiff.height, tiff.decode(), orientation >= 1 && orientation <= 8 ? orientation : 1);
            return stored.upright();
        } catch (IndexOutOfBoundsException | BufferUnderflowException e) {
            throw new FormatException(name, "the picture is cut short: the TIFF has too few bytes", e);
        }
    }

    private boolean isTiled() {
        return tags.containsKey(TILE_WIDTH);
    }

    private long bytesToDecode() {
        return 8L * width * height
                + (long) bands * Math.max(1, bits / 8) * pieceWidth * pieceHeight * 2
                + file.capacity();
    }

    private void readTags() throws FormatException {
        int folder = file.getInt(4), count = file.getShort(folder) & 0xffff;
        for (int i = 0; i < count; i++) {
            int at = folder + 2 + 12 * i, type = file.getShort(at + 2), size = type == 1 ? 1 : type == 3 ? 2 : 4;
            long length = file.getInt(at + 4) & 0xffffffffL;
            if (type != 1 && type != 3 && type != 4 || length == 0) continue; // the others say nothing of pixels
            if (length * size > file.capacity())
                throw new FormatException(name, "the TIFF is damaged: a tag of " + length + " numbers");
            int from = length * size <= 4 ? at + 8 : file.getInt(at + 8);
            long[] values = new long[(int) length];
            for (int k = 0; k < length; k++)
                values[k] = switch (size) {
                    case 1 -> file.get(from + k) & 255;
                    case 2 -> file.getShort(from + 2 * k) & 0xffff;
                    default -> file.getInt(from + 4 * k) & 0xffffffffL;
                };
            tags.putIfAbsent(file.getShort(at) & 0xffff, values);
        }
    }

    private int number(int tag, int otherwise) {
        long[] values = tags.get(tag);
        return values == null ? otherwise : (int) Math.min(Integer.MAX_VALUE, values[0]);
    }

    private void checkKind() throws FormatException {
        for (long other : tags.getOrDefault(BITS, new long[] {bits}))
            if (other != bits) throw notRead("samples of different depths");
        if (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16 || bits < 8 && bands > 1)
            throw notRead(bands + " samples of " + bits + " bits");
        int least = switch (colours) {
            case WHITE_IS_ZERO, BLACK_IS_ZERO, INDEXED -> 1;
            case RGB -> 3;
            case CMYK -> 4;
            default -> throw notRead("colours of kind " + colours);
        };
        if (bands < least || bands > 8 || colours == INDEXED && (bits > 8 || !tags.containsKey(PALETTE)))
            throw notRead("colours of kind " + colours + " with " + bands + " samples of " + bits + " bits");
        if (number(SAMPLE_FORMAT, 1) != 1) throw notRead("samples that are not whole numbers from 0 on");
        if (number(FILL_ORDER, 1) != 1) throw notRead("bits in the reverse order");
        if (compression != PLAIN
                && compression != LZW
                && compression != ADOBE_DEFLATE
                && compression != DEFLATE
                && compression != PACK_BITS)
            throw notRead("compression " + compression + (compression == 6 || compression == 7 ? " (JPEG)" : ""));
        if (planar != 1 && planar != 2 || predictor != 1 && !(predictor == 2 && bits >= 8))
            throw notRead("planes " + planar + ", predictor " + predictor);
        if (pieceWidth < 1 || pieceHeight < 1 || (long) pieceWidth * pieceHeight * bands * bits / 8 > 1 << 30)
            throw notRead("pieces of " + pieceWidth + "x" + pieceHeight);
    }

    private FormatException notRead(String what) {
        return new FormatException(name, "a TIFF of " + what + "; it is not read, convert it to PNG first");
    }

    private int[] decode() throws FormatException {
        int[] rgb = new int[width * height];
        int across = (width + pieceWidth - 1) / pieceWidth, down = (height + pieceHeight - 1) / pieceHeight;
        int planes = planar == 2 ? bands : 1, inPiece = bands / planes;
        long[] offsets = places(isTiled() ? TILE_OFFSETS : STRIP_OFFSETS),
                sizes = places(isTiled() ? TILE_BYTES : STRIP_BYTES);
        if (offsets.length < (long) across * down * planes || sizes.length < (long) across * down * planes)
            throw new FormatException(name, "the TIFF is damaged: it has too few strips or tiles");
        long all = 0;
        for (long size : sizes) all += size;
        if (all < 0 || all > 4L * file.capacity()) // they would be unpacked again and again
        throw new FormatException(name, "the TIFF is damaged: its strips or tiles overlap");
        int rowBytes = (int) (((long) pieceWidth * inPiece * bits + 7) / 8);
        byte[][] pieces = new byte[planes][];
        for (int y = 0; y < down; y++) {
            int rows = isTiled() ? pieceHeight : Math.min(pieceHeight, height - y * pieceHeight);
            for (int x = 0; x < across; x++) {
                for (int p = 0; p < planes; p++) {
                    int i = (p * down + y) * across + x;
                    pieces[p] = unpack(offsets[i], sizes[i], rowBytes * rows);
                    if (predictor == 2) addUp(pieces[p], rowBytes, inPiece);
                }
                place(pieces, inPiece, rowBytes, x * pieceWidth, y * pieceHeight, rgb);
            }
        }
        return rgb;
    }

    private long[] places(int tag) throws FormatException {
        long[] places = tags.get(tag);
        if (places == null)
            throw new FormatException(name, "the TIFF is damaged: it does not say where its pixels are");
        return places;
    }

    /** The pixels of a piece that lie in the picture. */
    private void place(byte[][] pieces, int inPiece, int rowBytes, int left, int top, int[] rgb) {
        long[] palette = tags.get(PALETTE);
        int[] samples = new int[bands];
        for (int y = 0; y < pieceHeight && top + y < height; y++) {
            for (int x = 0; x < pieceWidth && left + x < width; x++) {
                for (int b = 0; b < bands; b++) {
                    byte[] piece = pieces[pieces.length == 1 ? 0 : b];
                    samples[b] = sample(piece, y * rowBytes, x * inPiece + (pieces.length == 1 ? b : 0));
                }
                rgb[(top + y) * width + left + x] = pixel(samples, palette);
            }
        }
    }

    private int sample(byte[] piece, int row, int i) {
        if (bits == 8) return piece[row + i] & 255;
        if (bits == 16) {
            int at = row + 2 * i, first = piece[at] & 255, second = piece[at + 1] & 255;
            return file.order() == ByteOrder.BIG_ENDIAN ? first << 8 | second : second << 8 | first;
        }
        int bit = i * bits;
        return piece[row + (bit >> 3)] >> 8 - bits - (bit & 7) & (1 << bits) - 1;
    }

    private int pixel(int[] samples, long[] palette) {
        return switch (colours) {
            case INDEXED -> {
                int count = palette.length / 3, i = samples[0];
                yield i >= count
                        ? 0
                        : (int) (palette[i] >> 8 << 16 | palette[count + i] >> 8 << 8 | palette[2 * count + i] >> 8);
            }
            case RGB -> unmultiplied(level(samples[0]), level(samples[1]), level(samples[2]), samples);
            case CMYK -> Inks.toRgb(level(samples[0]), level(samples[1]), level(samples[2]), level(samples[3]));
            default -> {
                int grey = bits == 16 && bands == 1
                        ? Math.min(255, samples[0]) // clipped, as Pillow does; and white is not turned to black
                        : level(samples[0]) ^ (colours == WHITE_IS_ZERO ? 255 : 0);
                yield grey * 0x010101;
            }
        };
    }

    /** Colours that were multiplied by their alpha, as Pillow's {@code RGBa}, are divided by it. */
    private int unmultiplied(int red, int green, int blue, int[] samples) {
        int alpha = bands > 3 && number(EXTRA, 0) == 1 ? level(samples[3]) : 255;
        if (alpha == 0 || alpha == 255) return red << 16 | green << 8 | blue;
        return Math.min(255, 255 * red / alpha) << 16
                | Math.min(255, 255 * green / alpha) << 8
                | Math.min(255, 255 * blue / alpha);
    }

    /** Of 16 bits the upper ones. */
    private int level(int sample) {
        return bits == 16 ? sample >> 8 : bits == 8 ? sample : sample * (255 / ((1 << bits) - 1));
    }

    private void addUp(byte[] piece, int rowBytes, int inPiece) {
        boolean big = file.order() == ByteOrder.BIG_ENDIAN;
        for (int row = 0; row < piece.length; row += rowBytes) {
            if (bits == 8) for (int i = inPiece; i < rowBytes; i++) piece[row + i] += piece[row + i - inPiece];
            else
                for (int i = 2 * inPiece; i < rowBytes; i += 2) {
                    int at = row + i, low = big ? 1 : 0, before = at - 2 * inPiece;
                    int sum = (piece[at + low] & 255) + (piece[before + low] & 255);
                    piece[at + low] = (byte) sum;
                    piece[at + 1 - low] += (byte) (piece[before + 1 - low] + (sum >> 8));
                }
        }
    }

    private byte[] unpack(long offset, long size, int length) throws FormatException {
        if (offset > file.capacity() || size > file.capacity() - offset)
            throw new FormatException(name, "the picture is cut short: the TIFF's pixels reach beyond its end");
        int from = (int) offset, end = from + (int) size;
        byte[] out = new byte[length];
        int got = switch (compression) {
            case PLAIN -> {
                System.arraycopy(file.array(), from, out, 0, Math.min(length, (int) size));
                yield (int) size;
            }
            case PACK_BITS -> packBits(from, end, out);
            case LZW -> lzw(from, end, out);
            default -> inflate(from, end, out);
        };
        if (got < length) throw new FormatException(name, "the picture is cut short: the TIFF has too few pixels");
        return out;
    }

    private int packBits(int begin, int end, byte[] out) {
        byte[] in = file.array();
        int at = begin, to = 0;
        while (at < end && to < out.length) {
            int count = in[at++];
            if (count >= 0) {
                for (int i = 0; i <= count && to < out.length; i++) out[to++] = in[at + i];
                at += count + 1;
            } else if (count > -128) {
                for (int i = 0; i <= -count && to < out.length; i++) out[to++] = in[at];
                at++;
            }
        }
        return to;
    }

    private int inflate(int begin, int end, byte[] out) throws FormatException {
        Inflater inflater = new Inflater();
        try {
            inflater.setInput(file.array(), begin, end - begin);
            int to = 0;
            while (to < out.length) {
                int count = inflater.inflate(out, to, out.length - to);
                if (count == 0) break;
                to += count;
            }
            return to;
        } catch (DataFormatException e) {
            throw new FormatException(name, "the picture is damaged: the TIFF does not unpack: " + e.getMessage(), e);
        } finally {
            inflater.end();
        }
    }

    /** TIFF's codes: highest bits first, and one wider a code earlier than GIF's. */
    private int lzw(int begin, int end, byte[] out) throws FormatException {
        byte[] in = file.array();
        int[] places = new int[4097], lengths = new int[4097];
        int at = begin, bitsRead = 0, count = 0, next = 258, codeWidth = 9, to = 0, before = -1, beforeLength = 0;
        while (to < out.length) {
            while (count < codeWidth) {
                if (at >= end) return to;
                bitsRead = bitsRead << 8 | in[at++] & 255;
                count += 8;
            }
            int code = bitsRead >>> count - codeWidth & (1 << codeWidth) - 1;
            count -= codeWidth;
            if (code == 257) return to;
            if (code == 256) {
                next = 258;
                codeWidth = 9;
                before = -1;
                continue;
            }
            if (code > next || code == next && before < 0 || code > 257 && before < 0)
                throw new FormatException(name, "the picture is damaged: code " + code + " of the TIFF");
            int start = to;
            if (code < 256) out[to++] = (byte) code;
            else {
                int from = code == next ? before : places[code],
                        length = code == next ? beforeLength + 1 : lengths[code];
                for (int i = 0; i < length && to < out.length; i++) out[to++] = out[from + i];
            }
            if (before >= 0 && next < 4096) {
                places[next] = before;
                lengths[next] = beforeLength + 1;
                next++;
                if (next >= (1 << codeWidth) - 1 && codeWidth < 12) codeWidth++;
            }
            before = start;
            beforeLength = to - start;
        }
        return to;
    }
}
