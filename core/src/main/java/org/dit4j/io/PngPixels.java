package org.dit4j.io;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/** The pixels of a PNG as Pillow's {@code convert("RGB")}: every depth and colour type, interlaced or not. */
final class PngPixels {
    private static final int GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGB_ALPHA = 6;
    /** Adam7: first column, first row, step to the right, step down. */
    private static final int[][] PASSES = {
        {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}
    };

    private static final int[][] ONE_PASS = {{0, 0, 1, 1}};

    final int width, height;
    private final String name;
    private final int depth, type, bands;
    private final boolean interlaced;
    /** Black where a file gives no colour. */
    private final int[] palette = new int[256];

    private boolean hasPalette;

    /** @param header the 13 bytes of IHDR */
    PngPixels(String name, ByteBuffer header) throws FormatException {
        this.name = name;
        width = header.getInt(0);
        height = header.getInt(4);
        depth = header.get(8);
        type = header.get(9);
        boolean right = switch (type) {
            case GREY -> depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
            case PALETTE -> depth == 1 || depth == 2 || depth == 4 || depth == 8;
            case RGB, GREY_ALPHA, RGB_ALPHA -> depth == 8 || depth == 16;
            default -> false;
        };
        if (!right || header.get(10) != 0 || header.get(11) != 0 || header.get(12) < 0 || header.get(12) > 1)
            throw new FormatException(
                    name,
                    "the PNG is damaged: colour type " + type + " of " + depth + " bits, methods " + header.get(10)
                            + ", " + header.get(11) + ", " + header.get(12));
        if (width < 1 || height < 1) throw new FormatException(name, "its size is " + width + "x" + height);
        interlaced = header.get(12) == 1;
        bands = switch (type) {
            case RGB -> 3;
            case GREY_ALPHA -> 2;
            case RGB_ALPHA -> 4;
            default -> 1;
        };
    }

    /** The pixels, two rows and the way between. */
    long bytesToDecode() {
        return 4L * width * height + 4L * rowBytes(width);
    }

    private long rowBytes(int pixels) {
        return ((long) pixels * bands * depth + 7) / 8;
    }

    void setPalette(ByteBuffer colors) throws FormatException {
        if (colors.remaining() > 768 || colors.remaining() % 3 != 0)
            throw new FormatException(name, "the PNG is damaged: a palette of " + colors.remaining() + " bytes");
        hasPalette = true;
        for (int i = 0; colors.hasRemaining(); i++)
            palette[i] = (colors.get() & 255) << 16 | (colors.get() & 255) << 8 | colors.get() & 255;
    }

    /** @param data the contents of the IDAT chunks */
    int[] decode(List<ByteBuffer> data) throws FormatException {
        if (type == PALETTE && !hasPalette) throw new FormatException(name, "the PNG is damaged: it has no palette");
        if (rowBytes(width) > 1 << 30)
            throw new FormatException(name, "a PNG whose rows have " + rowBytes(width) + " bytes");
        int[] rgb = new int[width * height];
        Inflater inflater = new Inflater();
        try {
            Unpacked unpacked = new Unpacked(name, inflater, data);
            int back = Math.max(1, bands * depth / 8);
            for (int[] pass : interlaced ? PASSES : ONE_PASS) {
                int wide = (width - pass[0] + pass[2] - 1) / pass[2], high = (height - pass[1] + pass[3] - 1) / pass[3];
                if (wide <= 0 || high <= 0) continue;
                int bytes = (int) rowBytes(wide);
                byte[] above = new byte[bytes + 1], row = new byte[bytes + 1];
                for (int y = 0; y < high; y++) {
                    unpacked.read(row);
                    unfilter(row, above, back);
                    toRgb(row, wide, rgb, (pass[1] + y * pass[3]) * width + pass[0], pass[2]);
                    byte[] next = above;
                    above = row;
                    row = next;
                }
            }
            return rgb;
        } catch (DataFormatException e) {
            throw new FormatException(name, "the picture is damaged: the PNG does not unpack: " + e.getMessage(), e);
        } finally {
            inflater.end();
        }
    }

    /** The IDAT chunks, inflated. */
    private record Unpacked(String name, Inflater inflater, List<ByteBuffer> data) {
        void read(byte[] row) throws DataFormatException, FormatException {
            int at = 0;
            while (at < row.length) {
                int count = inflater.inflate(row, at, row.length - at);
                at += count;
                if (count > 0) continue;
                if (inflater.finished() || inflater.needsDictionary() || data.isEmpty())
                    throw new FormatException(name, "the picture is cut short: the PNG has too few pixels");
                if (inflater.needsInput()) inflater.setInput(data.remove(0));
            }
        }
    }

    /** The first byte of a row is its filter. */
    private void unfilter(byte[] row, byte[] above, int back) throws FormatException {
        switch (row[0]) {
            case 0 -> {}
            case 1 -> {
                for (int i = 1 + back; i < row.length; i++) row[i] += row[i - back];
            }
            case 2 -> {
                for (int i = 1; i < row.length; i++) row[i] += above[i];
            }
            case 3 -> {
                for (int i = 1; i < row.length; i++) {
                    int left = i > back ? row[i - back] & 255 : 0;
                    row[i] += (byte) (left + (above[i] & 255) >> 1);
                }
            }
            case 4 -> {
                for (int i = 1; i < row.length; i++) {
                    int left = i > back ? row[i - back] & 255 : 0, corner = i > back ? above[i - back] & 255 : 0;
                    row[i] += (byte) paeth(left, above[i] & 255, corner);
                }
            }
            default -> throw new FormatException(name, "the picture is damaged: filter " + row[0] + " of the PNG");
        }
    }

    private static int paeth(int left, int up, int corner) {
        int toLeft = Math.abs(up - corner), toUp = Math.abs(left - corner), toCorner = Math.abs(left + up - 2 * corner);
        if (toLeft <= toUp && toLeft <= toCorner) return left;
        return toUp <= toCorner ? up : corner;
    }

    private void toRgb(byte[] row, int count, int[] rgb, int begin, int step) {
        int size = bands * depth / 8;
        for (int x = 0, to = begin; x < count; x++, to += step) {
            int at = 1 + x * size;
            rgb[to] = switch (type) {
                case PALETTE -> palette[sample(row, x)];
                case GREY ->
                    depth == 16
                            ? (row[at] != 0 ? 255 : row[at + 1] & 255) * 0x010101 // clipped, as Pillow does
                            : sample(row, x) * (255 / ((1 << depth) - 1)) * 0x010101;
                case GREY_ALPHA -> (row[at] & 255) * 0x010101;
                default -> // of 16 bits the upper ones
                    depth == 16
                            ? (row[at] & 255) << 16 | (row[at + 2] & 255) << 8 | row[at + 4] & 255
                            : (row[at] & 255) << 16 | (row[at + 1] & 255) << 8 | row[at + 2] & 255;
            };
        }
    }

    private int sample(byte[] row, int x) {
        if (depth == 8) return row[1 + x] & 255;
        int bit = x * depth;
        return row[1 + (bit >> 3)] >> 8 - depth - (bit & 7) & (1 << depth) - 1;
    }
}
