package org.dit4j.io;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A JPEG, baseline or progressive, decoded as libjpeg-turbo and so Pillow does it: the same slow integer transform, upsampling and colours, to the
 * bit. An own decoder, because the JDK's is another library in each build of it, with other upsampling, and warns only where data are damaged.
 */
final class JpegFile {
    private static final int SOI = 0xd8, SOS = 0xda, EOI = 0xd9, APP0 = 0xe0, APP1 = 0xe1, APP14 = 0xee;
    private static final int DHT = 0xc4, DAC = 0xcc, DQT = 0xdb, DRI = 0xdd;
    /** As libjpeg-turbo's tools allow; pictures have some ten. */
    private static final int MAX_SCANS = 500;
    /** What all scans may visit together, so that no file takes longer than some seconds. */
    private static final long MAX_BLOCKS = 1L << 27;

    private final String name;
    private final byte[] file;
    private final int[][] quants = new int[4][];
    private final JpegHuffman[] dc = new JpegHuffman[4], ac = new JpegHuffman[4];
    private boolean jfif, rgbNames, progressive;
    /** What Adobe's marker says of the colours, or −1 without one. */
    private int adobe = -1;

    private int width, height, maxAcross, maxDown, restartInterval, numScans;
    private int orientation = 1;
    private long visited;
    private JpegComponent[] components;

    private JpegFile(String name, byte[] file) {
        this.name = name;
        this.file = file;
    }

    static boolean isJpeg(byte[] bytes) {
        return bytes.length >= 3 && (bytes[0] & 255) == 0xff && (bytes[1] & 255) == SOI && (bytes[2] & 255) == 0xff;
    }

    /** Reads up to the frame's header; the bytes may end anywhere after it. */
    static PictureHeader header(String name, byte[] bytes) throws FormatException {
        JpegFile jpeg = new JpegFile(name, bytes);
        jpeg.toScan(2, true);
        return new PictureHeader(jpeg.width, jpeg.height, jpeg.orientation, jpeg.bytesToDecode());
    }

    /** @throws FormatException if it is damaged, cut short, above a limit, or of a kind that is not read */
    static Picture decode(String name, byte[] bytes, PictureLimits limits) throws FormatException {
        return new JpegFile(name, bytes).decode(limits);
    }

    private Picture decode(PictureLimits limits) throws FormatException {
        int at = toScan(2, false);
        limits.check(name, width, height);
        try (PictureLimits.Room room = limits.room(name, bytesToDecode())) {
            boolean first = true, single = false;
            while (at >= 0) {
                JpegScan scan = scan(at, first);
                if (first) {
                    single = !progressive && partsOf(at) == components.length;
                    makeRoom(!single);
                } else if (single) throw new FormatException(name, "the JPEG has a scan after that of all colours");
                first = false;
                at = toScan(scan.read(single ? this::transform : null), false);
            }
            if (!single) transformAll();
            JpegColors colors = new JpegColors(components, maxAcross, maxDown, width);
            return new Picture(width, height, colors.toRgb(space(), height, true), orientation);
        }
    }

    /** Samples, pixels and, where there are several scans, coefficients. */
    private long bytesToDecode() {
        long samples = 0;
        for (JpegComponent component : components) samples += component.numSamples();
        return samples * (progressive ? 3 : 1) + 4L * width * height + file.length;
    }

    private void makeRoom(boolean keep) {
        for (JpegComponent component : components) {
            component.samples = new byte[(int) component.numSamples()];
            if (keep) component.coefficients = new short[(int) component.numSamples()];
        }
    }

    private final JpegIdct idct = new JpegIdct();

    private void transform(JpegComponent component, short[] block, int last, int x, int y) {
        int stride = component.stride(), at = 8 * (y * stride + x);
        if (last == 0) idct.flat(block[0] * component.quant[0], component.samples, at, stride);
        else idct.transform(block, 0, component.quant, component.samples, at, stride);
    }

    private void transformAll() throws FormatException {
        for (JpegComponent component : components) {
            if (component.quant == null) throw new FormatException(name, "the JPEG has no data of one of its colours");
            for (int k = 0; k < 64; k++)
                if (progressive && component.bitsLeft[k] != 0)
                    throw new FormatException(
                            name,
                            "the picture is cut short: the JPEG's last scans, which bring its details, are missing");
            int stride = component.stride();
            for (int y = 0; y < component.roomHigh; y++)
                for (int x = 0; x < component.roomWide; x++)
                    idct.transform(
                            component.coefficients,
                            64 * (y * component.roomWide + x),
                            component.quant,
                            component.samples,
                            8 * (y * stride + x),
                            stride);
            component.coefficients = null;
        }
    }

    private JpegColors.Space space() {
        if (components.length == 1) return JpegColors.Space.GREY;
        if (components.length == 4) return adobe <= 0 ? JpegColors.Space.CMYK : JpegColors.Space.YCCK;
        boolean rgb = !jfif && (adobe >= 0 ? adobe == 0 : rgbNames);
        return rgb ? JpegColors.Space.RGB : JpegColors.Space.YCBCR;
    }

    /** Reads markers up to a scan's header, and returns where that is; −1 at the end; with {@code frameOnly}, up to the frame. */
    private int toScan(int from, boolean frameOnly) throws FormatException {
        int at = from;
        while (true) {
            at = JpegBits.nextMarker(name, file, at);
            int marker = file[at + 1] & 255;
            if (marker >= 0xd0 && marker <= 0xd7 || marker == 1) {
                at += 2;
                continue;
            }
            if (marker == EOI) {
                if (components == null || numScans == 0) throw new FormatException(name, "the JPEG has no picture");
                return -1;
            }
            if (marker < 0xc0 || marker == SOI)
                throw new FormatException(name, "the JPEG is damaged: unexpected marker at byte " + at);
            if (at + 4 > file.length) throw cutShort(at);
            int length = unsigned(at + 2), begin = at + 4, end = at + 2 + length;
            if (length < 2) throw new FormatException(name, "the JPEG is damaged: a segment of " + length + " bytes");
            if (end > file.length) throw cutShort(at);
            if (marker == SOS) {
                if (components == null)
                    throw new FormatException(name, "the JPEG has no frame header before its first scan");
                return at;
            }
            if (isFrame(marker)) readFrame(marker, begin, end);
            else if (marker == DHT) readHuffman(begin, end);
            else if (marker == DQT) readQuants(begin, end);
            else if (marker == DRI) {
                requireLength(end - begin >= 2, begin);
                restartInterval = unsigned(begin);
            } else readApplication(marker, begin, end);
            if (frameOnly && components != null) return at;
            at = end;
        }
    }

    private static boolean isFrame(int marker) {
        return marker >= 0xc0 && marker <= 0xcf && marker != DHT && marker != 0xc8 && marker != DAC;
    }

    private void readApplication(int marker, int begin, int end) {
        if (marker == APP0 && end - begin >= 14 && startsWith("JFIF\0", begin, end)) jfif = true;
        if (marker == APP14 && end - begin >= 12 && startsWith("Adobe", begin, end)) adobe = file[begin + 11] & 255;
        if (marker == APP1 && startsWith("Exif\0\0", begin, end)) orientation = Exif.orientation(file, begin + 6, end);
    }

    private boolean startsWith(String text, int begin, int end) {
        return end - begin >= text.length()
                && new String(file, begin, text.length(), StandardCharsets.ISO_8859_1).equals(text);
    }

    private void readFrame(int marker, int begin, int end) throws FormatException {
        if (components != null) throw new FormatException(name, "the JPEG has two frame headers");
        if (marker > 0xc2)
            throw new FormatException(name, "a lossless or arithmetic-coded JPEG; convert it to baseline or PNG first");
        progressive = marker == 0xc2;
        requireLength(end - begin >= 6, begin);
        int precision = file[begin] & 255, count = file[begin + 5] & 255;
        if (precision != 8)
            throw new FormatException(name, "a JPEG of " + precision + " bits per sample; only 8 are read");
        if (count != 1 && count != 3 && count != 4)
            throw new FormatException(name, "a JPEG of " + count + " components; 1, 3 or 4 are read");
        requireLength(end - begin >= 6 + 3 * count, begin);
        height = unsigned(begin + 1);
        width = unsigned(begin + 3);
        if (width == 0 || height == 0) throw new FormatException(name, "its size is " + width + "x" + height);
        for (int i = 0; i < count; i++) {
            int sampling = file[begin + 7 + 3 * i] & 255, across = sampling >> 4, down = sampling & 15;
            if (across < 1 || across > 4 || down < 1 || down > 4)
                throw new FormatException(name, "the JPEG is damaged: sampling factors " + across + "x" + down);
            maxAcross = Math.max(maxAcross, across);
            maxDown = Math.max(maxDown, down);
        }
        JpegComponent[] all = new JpegComponent[count];
        for (int i = 0; i < count; i++) {
            int at = begin + 6 + 3 * i, across = (file[at + 1] & 255) >> 4, down = file[at + 1] & 15;
            if (maxAcross % across != 0 || maxDown % down != 0)
                throw new FormatException(name, "a JPEG whose colours are sampled at fractions of each other");
            all[i] = new JpegComponent(
                    file[at] & 255, across, down, file[at + 2] & 255, maxAcross, maxDown, width, height);
        }
        rgbNames = count == 3 && all[0].id == 'R' && all[1].id == 'G' && all[2].id == 'B';
        components = all;
    }

    private void readHuffman(int begin, int end) throws FormatException {
        int at = begin;
        while (at < end) {
            requireLength(end - at >= 17, at);
            int kind = file[at] & 255, numSymbols = 0;
            int[] counts = new int[16];
            for (int i = 0; i < 16; i++) numSymbols += counts[i] = file[at + 1 + i] & 255;
            if ((kind & 15) > 3 || kind > 0x1f || numSymbols > 256 || numSymbols > end - at - 17)
                throw new FormatException(name, "the JPEG is damaged: a Huffman table at byte " + at);
            byte[] symbols = Arrays.copyOfRange(file, at + 17, at + 17 + numSymbols);
            try {
                (kind < 16 ? dc : ac)[kind & 15] = new JpegHuffman(counts, symbols);
            } catch (IllegalArgumentException e) {
                throw new FormatException(name, "the JPEG is damaged: a Huffman table of " + e.getMessage(), e);
            }
            at += 17 + numSymbols;
        }
    }

    private void readQuants(int begin, int end) throws FormatException {
        int at = begin;
        while (at < end) {
            int index = file[at] & 15, size = (file[at] & 255) >> 4 == 0 ? 1 : 2;
            requireLength(index < 4 && end - at >= 1 + 64 * size, at);
            int[] quant = new int[64];
            for (int k = 0; k < 64; k++)
                quant[JpegBits.ROWS[k]] = size == 1 ? file[at + 1 + k] & 255 : unsigned(at + 1 + 2 * k);
            quants[index] = quant;
            at += 1 + 64 * size;
        }
    }

    private int partsOf(int at) {
        return file[at + 4] & 255;
    }

    /** The scan whose header begins at {@code at}. */
    private JpegScan scan(int at, boolean first) throws FormatException {
        int begin = at + 4, end = at + 2 + unsigned(at + 2);
        requireLength(end - begin >= 1, begin);
        int count = partsOf(at);
        if (count < 1 || count > 4 || end - begin != 4 + 2 * count)
            throw new FormatException(name, "the JPEG is damaged: a scan of " + count + " components");
        int bits = begin + 1 + 2 * count;
        JpegScan.Band band = new JpegScan.Band(
                file[bits] & 255, file[bits + 1] & 255, (file[bits + 2] & 255) >> 4, file[bits + 2] & 15);
        if (progressive) checkBand(band, count);
        List<JpegScan.Part> parts = new ArrayList<>();
        int blocks = 0;
        for (int i = 0; i < count; i++) {
            JpegScan.Part part = part(begin + 1 + 2 * i, band);
            for (JpegScan.Part other : parts)
                if (other.component() == part.component())
                    throw new FormatException(name, "the JPEG is damaged: a scan has a component twice");
            parts.add(part);
            blocks += part.component().across * part.component().down;
            if (progressive) bring(part.component(), band);
        }
        if (count > 1 && blocks > 10)
            throw new FormatException(name, "the JPEG is damaged: more than 10 blocks at once");
        JpegScan scan = new JpegScan(name, file, end, parts, progressive, band, restartInterval);
        visited += scan.numBlocks();
        if (++numScans > MAX_SCANS || visited > MAX_BLOCKS)
            throw new FormatException(
                    name, "a JPEG of more than " + (numScans - 1) + " scans of this size; it would take too long");
        return scan;
    }

    private void checkBand(JpegScan.Band band, int count) throws FormatException {
        boolean right =
                band.first() == 0 ? band.last() == 0 : count == 1 && band.first() <= band.last() && band.last() <= 63;
        if (!right || band.low() > 13 || band.high() != 0 && band.low() != band.high() - 1)
            throw new FormatException(
                    name,
                    "the JPEG is damaged: a scan of coefficients " + band.first() + " to " + band.last() + ", bits "
                            + band.high() + " to " + band.low());
    }

    private static void bring(JpegComponent component, JpegScan.Band band) {
        for (int k = band.first(); k <= band.last(); k++) component.bitsLeft[k] = band.low();
    }

    private JpegScan.Part part(int at, JpegScan.Band band) throws FormatException {
        int id = file[at] & 255, dcIndex = (file[at + 1] & 255) >> 4, acIndex = file[at + 1] & 15;
        for (JpegComponent component : components) {
            if (component.id != id) continue;
            if (component.quant == null) { // the steps are those that hold when its first scan begins
                if (component.tableIndex > 3 || quants[component.tableIndex] == null)
                    throw new FormatException(
                            name, "the JPEG is damaged: it has no quantization table " + component.tableIndex);
                component.quant = quants[component.tableIndex];
            }
            boolean needsDc = !progressive || band.first() == 0 && band.high() == 0;
            boolean needsAc = !progressive || band.first() > 0;
            return new JpegScan.Part(
                    component, needsDc ? table(dc, dcIndex, true) : null, needsAc ? table(ac, acIndex, false) : null);
        }
        throw new FormatException(name, "the JPEG is damaged: a scan of a component that it does not have");
    }

    private JpegHuffman table(JpegHuffman[] tables, int index, boolean isDc) throws FormatException {
        JpegHuffman table = index > 3 ? null : tables[index];
        if (table == null && !progressive && index < 2) table = JpegHuffman.standard(isDc, index);
        if (table == null || isDc && !table.isDc())
            throw new FormatException(name, "the JPEG is damaged: it has no right Huffman table " + index);
        return table;
    }

    private int unsigned(int at) {
        return (file[at] & 255) << 8 | file[at + 1] & 255;
    }

    private void requireLength(boolean enough, int at) throws FormatException {
        if (!enough) throw new FormatException(name, "the JPEG is damaged: a segment at byte " + at + " is too short");
    }

    private FormatException cutShort(int at) {
        return new FormatException(name, "the JPEG is cut short at byte " + at);
    }
}
