package org.dit4j.io;

import java.util.Arrays;
import java.util.List;

/** Reads one scan of a JPEG, baseline or progressive. */
final class JpegScan {
    /** A component with its tables in this scan; a table is null where the scan does not need it. */
    record Part(JpegComponent component, JpegHuffman dc, JpegHuffman ac) {}

    /**
     * What a scan brings: coefficients {@code first} to {@code last} of the zigzag, without their {@code low} lowest bits; {@code high} is 0,
     * or says that but for the lowest of these bits they are there.
     */
    record Band(int first, int last, int high, int low) {}

    /** Takes blocks, where they are not kept; {@code last} is the place of the last coefficient that is not 0. */
    interface Blocks {
        void accept(JpegComponent component, short[] block, int last, int blockX, int blockY);
    }

    private final String name;
    private final byte[] file;
    private final JpegBits bits;
    private final List<Part> parts;
    private final boolean progressive;
    private final Band band;
    private final int restartInterval;
    private int endOfBand, untilRestart, nextRestart;

    JpegScan(
            String name,
            byte[] file,
            int begin,
            List<Part> parts,
            boolean progressive,
            Band band,
            int restartInterval) {
        this.name = name;
        this.file = file;
        this.parts = parts;
        this.progressive = progressive;
        this.band = band;
        this.restartInterval = restartInterval;
        bits = new JpegBits(name, file, begin);
        untilRestart = restartInterval;
    }

    /** How many blocks it visits. */
    long numBlocks() {
        if (parts.size() == 1) {
            JpegComponent only = parts.get(0).component();
            return (long) only.blocksWide * only.blocksHigh;
        }
        return parts.stream()
                .mapToLong(part -> (long) part.component().roomWide * part.component().roomHigh)
                .sum();
    }

    /**
     * Reads to its end.
     *
     * @param blocks takes each block as it is read, or null if components keep their coefficients
     * @return where the next marker is, perhaps after bytes that belong to nothing
     * @throws FormatException if it is damaged or cut short
     */
    int read(Blocks blocks) throws FormatException {
        short[] one = new short[64];
        for (Part part : parts) part.component().predicted = 0;
        if (parts.size() == 1) {
            JpegComponent only = parts.get(0).component();
            for (int y = 0; y < only.blocksHigh; y++) {
                for (int x = 0; x < only.blocksWide; x++) {
                    restartWhereDue();
                    block(parts.get(0), x, y, one, blocks);
                }
                bits.requireInside();
            }
            return bits.position();
        }
        JpegComponent first = parts.get(0).component();
        int wide = first.roomWide / first.across, high = first.roomHigh / first.down;
        for (int y = 0; y < high; y++) {
            for (int x = 0; x < wide; x++) {
                restartWhereDue();
                for (Part part : parts) {
                    JpegComponent component = part.component();
                    for (int v = 0; v < component.down; v++)
                        for (int h = 0; h < component.across; h++)
                            block(part, x * component.across + h, y * component.down + v, one, blocks);
                }
            }
            bits.requireInside();
        }
        return bits.position();
    }

    private void restartWhereDue() throws FormatException {
        if (restartInterval == 0) return;
        if (untilRestart-- > 0) return;
        bits.requireInside();
        int at = JpegBits.nextMarker(name, file, bits.position());
        if ((file[at + 1] & 255) != 0xd0 + nextRestart)
            throw new FormatException(name, "the picture is damaged: the JPEG has no restart marker at byte " + at);
        nextRestart = nextRestart + 1 & 7;
        untilRestart = restartInterval - 1;
        endOfBand = 0;
        for (Part part : parts) part.component().predicted = 0;
        bits.restart(at + 2);
    }

    private void block(Part part, int x, int y, short[] one, Blocks blocks) throws FormatException {
        JpegComponent component = part.component();
        if (blocks != null) {
            int last = whole(part, one, 0);
            blocks.accept(component, one, last, x, y);
            Arrays.fill(one, (short) 0);
            return;
        }
        short[] kept = component.coefficients;
        int at = 64 * (y * component.roomWide + x);
        if (!progressive) whole(part, kept, at);
        else if (band.first() == 0) {
            if (band.high() == 0) kept[at] = (short) (dc(part) << band.low());
            else kept[at] |= (short) (bits.take(1) << band.low());
        } else if (band.high() == 0) firstBits(part.ac(), kept, at);
        else moreBits(part.ac(), kept, at);
    }

    private int dc(Part part) throws FormatException {
        int size = bits.symbol(part.dc());
        return part.component().predicted += size == 0 ? 0 : bits.signed(size);
    }

    /** A block of a sequential JPEG; the place of its last coefficient that is not 0. */
    private int whole(Part part, short[] block, int at) throws FormatException {
        block[at] = (short) dc(part);
        return bits.coefficients(part.ac(), block, at);
    }

    private void firstBits(JpegHuffman ac, short[] block, int at) throws FormatException {
        if (endOfBand > 0) {
            endOfBand--;
            return;
        }
        for (int k = band.first(); k <= band.last(); k++) {
            int symbol = bits.symbol(ac), run = symbol >> 4, size = symbol & 15;
            if (size != 0) {
                k += run;
                if (k > 63) throw bits.beyond();
                block[at + JpegBits.ROWS[k]] = (short) (bits.signed(size) << band.low());
            } else if (run == 15) k += 15;
            else {
                endOfBand = (1 << run) - 1 + bits.take(run);
                return;
            }
        }
    }

    private void moreBits(JpegHuffman ac, short[] block, int at) throws FormatException {
        int one = 1 << band.low(), k = band.first();
        for (; endOfBand == 0 && k <= band.last(); k++) {
            int symbol = bits.symbol(ac), run = symbol >> 4, size = symbol & 15, value = 0;
            if (size > 1) throw new FormatException(name, "the picture is damaged: a bit of the JPEG that is two");
            if (size == 1) value = bits.take(1) == 1 ? one : -one;
            else if (run < 15) {
                endOfBand = (1 << run) + bits.take(run);
                break;
            }
            // the zeros of the run; what is not zero among them has its next bit here
            for (; k <= band.last(); k++) {
                int place = at + JpegBits.ROWS[k];
                if (block[place] != 0) refine(block, place, one);
                else if (--run < 0) break;
            }
            if (value != 0) {
                if (k > 63) throw bits.beyond();
                block[at + JpegBits.ROWS[k]] = (short) value;
            }
        }
        if (endOfBand == 0) return;
        for (; k <= band.last(); k++) if (block[at + JpegBits.ROWS[k]] != 0) refine(block, at + JpegBits.ROWS[k], one);
        endOfBand--;
    }

    private void refine(short[] block, int place, int one) {
        if (bits.take(1) == 1 && (block[place] & one) == 0) block[place] += (short) (block[place] > 0 ? one : -one);
    }
}
