package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;

class PictureLimitsTest {
    private static FormatException refused(byte[] file, PictureReading reading) {
        return assertThrows(FormatException.class, () -> Images.read(new ByteArrayInputStream(file), "x", reading));
    }

    private static byte[] png(int width, int height) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.write(new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB), "png", out);
        return out.toByteArray();
    }

    @Test
    void picturesAboveTheLimitOfPixelsAreRefused() throws IOException {
        PictureReading few = PictureReading.standard().withLimits(new PictureLimits(100));
        Images.read(new ByteArrayInputStream(png(10, 10)), "x", few);
        assertTrue(refused(png(101, 1), few).getMessage().contains("101x1 pixels are above the limit of 100"));
        assertThrows(IllegalArgumentException.class, () -> new PictureLimits(0));
    }

    @Test
    void whatTakesMoreThanHalfOfJavasMemoryIsRefusedBeforeItIsDecoded() {
        FormatException e = assertThrows(FormatException.class, () -> PictureLimits.checkRoom("x", Long.MAX_VALUE / 2));
        assertTrue(e.getMessage().contains("half of Java's heap"));
    }

    /** 64 by 64 pixels that say of each scan that nothing changes. */
    private static byte[] manyScans(int scans, int side) {
        ByteBuffer file = ByteBuffer.allocate(1000 + scans * 170);
        file.putShort((short) 0xffd8)
                .putShort((short) 0xffdb)
                .putShort((short) 67)
                .put((byte) 0);
        for (int i = 0; i < 64; i++) file.put((byte) 1);
        file.putShort((short) 0xffc2).putShort((short) 11).put((byte) 8);
        file.putShort((short) side)
                .putShort((short) side)
                .put((byte) 1)
                .put((byte) 1)
                .put((byte) 0x11)
                .put((byte) 0);
        for (int kind : new int[] {0, 0x10}) { // one code: of no bits for DC; of an end of band of 2^14 blocks for AC
            file.putShort((short) 0xffc4).putShort((short) 20).put((byte) kind).put((byte) 1);
            for (int i = 1; i < 16; i++) file.put((byte) 0);
            file.put((byte) (kind == 0 ? 0 : 0xe0));
        }
        for (int i = 0; i < scans; i++)
            file.putShort((short) 0xffda)
                    .putShort((short) 8)
                    .put((byte) 1)
                    .put((byte) 1)
                    .put((byte) 0)
                    .put((byte) 1)
                    .put((byte) 63)
                    .put((byte) 0x00)
                    .put(new byte[side < 100 ? 2 : 160]);
        file.putShort((short) 0xffd9);
        return java.util.Arrays.copyOf(file.array(), file.position());
    }

    @Test
    void aJpegOfThousandsOfScansIsRefusedAtOnce() {
        assertTimeoutPreemptively(Duration.ofSeconds(10), () -> {
            assertTrue(refused(manyScans(5000, 8), PictureReading.standard())
                    .getMessage()
                    .contains("scans"));
            assertTrue(refused(manyScans(400, 9000), PictureReading.standard())
                    .getMessage()
                    .contains("scans"));
        });
    }

    /** Each strip is the same 100,000 bytes of PackBits that mean nothing. */
    @Test
    void stripsOfATiffThatOverlapAreRefused() {
        int rows = 10_000, junk = 100_000, table = 8 + junk, tags = table + 4 * rows * 2;
        ByteBuffer tiff = ByteBuffer.allocate(tags + 2 + 12 * 8 + 4);
        tiff.put("MM".getBytes()).putShort((short) 42).putInt(tags);
        for (int i = 0; i < junk; i++) tiff.put((byte) 0x80);
        for (int i = 0; i < rows; i++) tiff.putInt(8);
        for (int i = 0; i < rows; i++) tiff.putInt(junk);
        tiff.putShort((short) 8);
        int[][] entries = {
            {256, 1, 1},
            {257, 1, rows},
            {258, 1, 8},
            {259, 1, 32_773},
            {262, 1, 1},
            {273, rows, table},
            {278, 1, 1},
            {279, rows, table + 4 * rows}
        };
        for (int[] entry : entries)
            tiff.putShort((short) entry[0]).putShort((short) 4).putInt(entry[1]).putInt(entry[2]);
        assertTrue(refused(tiff.array(), PictureReading.standard()).getMessage().contains("overlap"));
    }

    @Test
    void aSecondHeaderOfAPngIsRefused() throws IOException {
        byte[] png = png(4, 4);
        for (int length : new int[] {0, 5, 13}) {
            ByteBuffer file = ByteBuffer.allocate(png.length + 12 + length).put(png, 0, 33);
            byte[] chunk = new byte[4 + length];
            System.arraycopy("IHDR".getBytes(), 0, chunk, 0, 4);
            if (length == 13) System.arraycopy(png, 16, chunk, 4, 13);
            CRC32 crc = new CRC32();
            crc.update(chunk);
            file.putInt(length).put(chunk).putInt((int) crc.getValue()).put(png, 33, png.length - 33);
            assertTrue(refused(file.array(), PictureReading.standard())
                    .getMessage()
                    .contains("second header"));
        }
    }

    /** A TIFF header and a folder of one tag: the orientation. */
    private static byte[] exif(int orientation) {
        ByteBuffer tiff = ByteBuffer.allocate(26)
                .put("MM".getBytes())
                .putShort((short) 42)
                .putInt(8)
                .putShort((short) 1);
        return tiff.putShort((short) 0x112)
                .putShort((short) 3)
                .putInt(1)
                .putShort((short) orientation)
                .array();
    }

    @Test
    void orientationsTurnPicturesOnlyWhereThatIsAskedFor() throws IOException {
        // 3 wide, 2 high: 1 2 3 / 4 5 6; what Pillow's exif_transpose makes of it
        int[][] upright = {
            {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
            {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}
        };
        BufferedImage image = new BufferedImage(3, 2, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 6; i++) image.setRGB(i % 3, i / 3, i + 1);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.write(image, "png", out);
        byte[] png = out.toByteArray();
        for (int orientation = 1; orientation <= 8; orientation++) {
            byte[] exif = exif(orientation), chunk = new byte[4 + exif.length];
            System.arraycopy("eXIf".getBytes(), 0, chunk, 0, 4);
            System.arraycopy(exif, 0, chunk, 4, exif.length);
            CRC32 crc = new CRC32();
            crc.update(chunk);
            ByteBuffer file = ByteBuffer.allocate(png.length + 12 + exif.length).put(png, 0, 33);
            file.putInt(exif.length).put(chunk).putInt((int) crc.getValue()).put(png, 33, png.length - 33);
            BufferedImage stored = Images.read(new ByteArrayInputStream(file.array()), "x");
            assertArrayEquals(upright[0], Picture.pixels(stored));
            BufferedImage turned = Images.read(
                    new ByteArrayInputStream(file.array()),
                    "x",
                    PictureReading.standard().withExifRotate(true));
            assertEquals(orientation < 5 ? 3 : 2, turned.getWidth());
            assertArrayEquals(upright[orientation - 1], Picture.pixels(turned), "orientation " + orientation);
        }
    }
}
