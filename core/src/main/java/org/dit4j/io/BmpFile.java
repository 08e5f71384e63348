package org.dit4j.io;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Windows bitmaps of 1 to 32 bits, with palettes, masks or run lengths, as Pillow's {@code convert("RGB")}. */
final class BmpFile {
    private static final int PLAIN = 0, RLE8 = 1, RLE4 = 2, MASKS = 3, MASKS_ALPHA = 6;

    private final String name;
    private final ByteBuffer file;
    private final int width, height, bits, compression, begin;
    private final boolean downwards;
    private final int[] palette;
    /** Of red, green and blue. */
    private final int[] masks = new int[3];

    private BmpFile(String name, byte[] bytes) throws FormatException {
        this.name = name;
        file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        try {
            begin = file.getInt(10);
            int size = file.getInt(14);
            boolean old = size == 12;
            if (!old && size < 40) throw damaged("a header of " + size + " bytes");
            width = old ? file.getShort(18) & 0xffff : file.getInt(18);
            int rows = old ? file.getShort(20) & 0xffff : file.getInt(22);
            downwards = rows < 0;
            height = Math.abs(rows);
            bits = file.getShort(old ? 24 : 28) & 0xffff;
            compression = old ? PLAIN : file.getInt(30);
            if (width < 1 || height < 1) throw new FormatException(name, "its size is " + width + "x" + rows);
            boolean right = switch (compression) {
                case PLAIN -> bits == 1 || bits == 4 || bits == 8 || bits == 16 || bits == 24 || bits == 32;
                case RLE8 -> bits == 8;
                case RLE4 -> bits == 4;
                case MASKS, MASKS_ALPHA -> bits == 16 || bits == 32;
                default -> false;
            };
            if (!right)
                throw new FormatException(
                        name, "a BMP of " + bits + " bits, compression " + compression + "; it is not read");
            palette = bits <= 8 ? palette(size, old) : null;
            readMasks(size);
        } catch (IndexOutOfBoundsException e) {
            throw new FormatException(name, "the BMP is cut short in its header", e);
        }
    }

    static boolean isBmp(byte[] file) {
        return file.length > 2 && file[0] == 'B' && file[1] == 'M';
    }

    static PictureHeader header(String name, byte[] file) throws FormatException {
        BmpFile bmp = new BmpFile(name, file);
        return new PictureHeader(bmp.width, bmp.height, 1, bmp.bytesToDecode());
    }

    static Picture decode(String name, byte[] file, PictureLimits limits) throws FormatException {
        BmpFile bmp = new BmpFile(name, file);
        limits.check(name, bmp.width, bmp.height);
        try (PictureLimits.Room room = limits.room(name, bmp.bytesToDecode())) {
            return new Picture(bmp.width, bmp.height, bmp.decode(), 1);
        } catch (IndexOutOfBoundsException | BufferUnderflowException e) {
            throw new FormatException(name, "the picture is cut short: the BMP has too few bytes", e);
        }
    }

    private long bytesToDecode() {
        return 5L * width * height + file.capacity();
    }

    private int[] palette(int size, boolean old) throws FormatException {
        int count = old ? 0 : file.getInt(46), entry = old ? 3 : 4, at = 14 + size;
        if (count == 0) count = 1 << bits;
        if (count < 0 || count > 65_536) throw damaged("a palette of " + count + " colours");
        int[] colors = new int[256];
        for (int i = 0; i < Math.min(count, 256) && at + entry <= file.capacity(); i++, at += entry)
            colors[i] = (file.get(at + 2) & 255) << 16 | (file.get(at + 1) & 255) << 8 | file.get(at) & 255;
        return colors;
    }

    private void readMasks(int size) throws FormatException {
        boolean given = compression == MASKS || compression == MASKS_ALPHA;
        if (given) for (int i = 0; i < 3; i++) masks[i] = file.getInt(54 + 4 * i);
        else if (bits == 16) {
            masks[0] = 0x7c00;
            masks[1] = 0x3e0;
            masks[2] = 0x1f;
        }
        if (bits != 16 && !(bits == 32 && given)) return;
        for (int mask : masks) {
            int ones = mask >>> Integer.numberOfTrailingZeros(mask);
            if (mask == 0 || (ones & ones + 1) != 0 || Integer.bitCount(mask) > 8)
                throw new FormatException(
                        name, "a BMP with the colour mask " + Integer.toHexString(mask) + "; it is not read");
        }
    }

    private int[] decode() throws FormatException {
        if (begin < 14 || begin > file.capacity()) throw damaged("its pixels at byte " + begin);
        int[] rgb = new int[width * height];
        byte[] indices = compression == RLE8 || compression == RLE4 ? runLengths() : null;
        long stride = ((long) width * bits + 31) / 32 * 4;
        if (indices == null && begin + stride * (height - 1) + ((long) width * bits + 7) / 8 > file.capacity())
            throw new FormatException(name, "the picture is cut short: the BMP has too few bytes");
        for (int y = 0; y < height; y++) {
            int row = (downwards ? y : height - 1 - y) * width, from = (int) (begin + y * stride);
            for (int x = 0; x < width; x++)
                rgb[row + x] = indices != null ? palette[indices[y * width + x] & 255] : pixel(from, x);
        }
        return rgb;
    }

    private int pixel(int row, int x) {
        return switch (bits) {
            case 1, 4, 8 -> palette[file.get(row + x * bits / 8) >> 8 - bits - x * bits % 8 & (1 << bits) - 1];
            case 16 -> masked(file.getShort(row + 2 * x) & 0xffff);
            case 24 -> bgr(row + 3 * x);
            default -> compression == PLAIN ? bgr(row + 4 * x) : masked(file.getInt(row + 4 * x));
        };
    }

    private int bgr(int at) {
        return (file.get(at + 2) & 255) << 16 | (file.get(at + 1) & 255) << 8 | file.get(at) & 255;
    }

    private int masked(int value) {
        int rgb = 0;
        for (int mask : masks) {
            int shift = Integer.numberOfTrailingZeros(mask), top = mask >>> shift;
            rgb = rgb << 8 | ((value & mask) >>> shift) * 255 / top;
        }
        return rgb;
    }

    /** Indices, row by row as they are stored; what runs leave out is 0. */
    private byte[] runLengths() {
        byte[] indices = new byte[width * height];
        boolean nibbles = compression == RLE4;
        int at = begin, to = 0;
        while (to < indices.length) {
            int count = file.get(at) & 255, value = file.get(at + 1) & 255;
            at += 2;
            if (count > 0) {
                count = Math.min(count, width - to % width); // Pillow's runs end at the row's
                for (int i = 0; i < count; i++) indices[to++] = (byte) (nibbles ? value >> 4 - i % 2 * 4 & 15 : value);
            } else if (value == 0) to = (to + width - 1) / width * width;
            else if (value == 1) break;
            else if (value == 2) {
                to += (file.get(at) & 255) + (file.get(at + 1) & 255) * width;
                at += 2;
            } else {
                for (int i = 0; i < value && to < indices.length; i++)
                    indices[to++] = nibbles ? (byte) (file.get(at + i / 2) >> 4 - i % 2 * 4 & 15) : file.get(at + i);
                int bytes = nibbles ? (value + 1) / 2 : value;
                at += bytes;
                if ((at & 1) != 0) at++; // runs begin at even places of the file
            }
        }
        return indices;
    }

    private FormatException damaged(String how) {
        return new FormatException(name, "the picture is damaged: the BMP has " + how);
    }
}
