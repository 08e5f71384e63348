package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.WritableRaster;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.NativeObjects;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImagesTest {
    @TempDir
    Path folder;

    private static BufferedImage random(int width, int height, int type) {
        BufferedImage image = new BufferedImage(width, height, type);
        Random random = new Random(1);
        for (int y = 0; y < height; y++) for (int x = 0; x < width; x++) image.setRGB(x, y, random.nextInt());
        return image;
    }

    private static byte[] encode(BufferedImage image, String format) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertTrue(ImageIO.write(image, format, out));
        return out.toByteArray();
    }

    private static BufferedImage read(byte[] file) throws IOException {
        return Images.read(new ByteArrayInputStream(file), "test picture");
    }

    private static FormatException refused(byte[] file) {
        return assertThrows(FormatException.class, () -> read(file));
    }

    @Test
    void aPngComesBackToTheByte() throws IOException {
        BufferedImage image = random(37, 23, BufferedImage.TYPE_INT_RGB);
        Images.writePng(folder.resolve("a.png"), image, Map.of());
        assertArrayEquals(Images.toRgbBytes(image), Images.toRgbBytes(Images.read(folder.resolve("a.png"))));
    }

    @Test
    void greyBecomesEqualChannelsWithoutGamma() throws IOException {
        BufferedImage grey = new BufferedImage(256, 1, BufferedImage.TYPE_BYTE_GRAY);
        for (int x = 0; x < 256; x++) grey.getRaster().setSample(x, 0, 0, x);
        int[] pixels = Picture.pixels(read(encode(grey, "png")));
        for (int x = 0; x < 256; x++) assertEquals(x * 0x010101, pixels[x]);
    }

    @Test
    void alphaIsDroppedNotBlended() throws IOException {
        BufferedImage image = new BufferedImage(1, 1, BufferedImage.TYPE_INT_ARGB);
        image.setRGB(0, 0, 0x01c86432);
        assertEquals(0xc86432, Picture.pixels(read(encode(image, "png")))[0]);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4, 8})
    void palettesAreLookedUp(int bits) throws IOException {
        int size = 1 << bits;
        byte[] red = new byte[size], green = new byte[size], blue = new byte[size];
        Random random = new Random(bits);
        random.nextBytes(red);
        random.nextBytes(green);
        random.nextBytes(blue);
        IndexColorModel colors = new IndexColorModel(bits, size, red, green, blue);
        WritableRaster raster = colors.createCompatibleWritableRaster(size, 1);
        for (int x = 0; x < size; x++) raster.setSample(x, 0, 0, x);
        int[] pixels = Picture.pixels(read(encode(new BufferedImage(colors, raster, false, null), "png")));
        for (int x = 0; x < size; x++)
            assertEquals((red[x] & 255) << 16 | (green[x] & 255) << 8 | blue[x] & 255, pixels[x]);
    }

    @Test
    void aPngCutAnywhereIsRefused() throws IOException {
        byte[] png = encode(random(40, 30, BufferedImage.TYPE_INT_RGB), "png");
        for (int length = 0; length < png.length; length += 13) refused(Arrays.copyOf(png, length));
        refused(Arrays.copyOf(png, png.length - 1));
    }

    @Test
    void aFlippedBitOfAPngIsRefused() throws IOException {
        byte[] png = encode(random(8, 8, BufferedImage.TYPE_INT_RGB), "png");
        for (int i = 0; i < png.length; i++) {
            byte[] damaged = png.clone();
            damaged[i] ^= 4;
            refused(damaged);
        }
    }

    @Test
    void aJpegCutAnywhereIsRefusedInsteadOfHalfGrey() throws IOException {
        byte[] jpeg = encode(random(64, 64, BufferedImage.TYPE_INT_RGB), "jpeg");
        read(jpeg);
        for (int length = 0; length < jpeg.length - 2; length += 7) refused(Arrays.copyOf(jpeg, length));
        refused(Arrays.copyOf(jpeg, jpeg.length - 2));
    }

    /** 8x8 pure red by Pillow, not subsampled and without its JFIF marker: Pillow reads (254, 0, 0), ImageIO alone would take it for RGB. */
    private static final String UNMARKED_RED =
            "/9j/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/"
                    + "2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAIAAgD"
                    + "AREAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAACP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAVAQEBAAAAAAAAAAAAAAAAAAAHCf/E"
                    + "ABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/ADoDFU3/2Q==";

    @Test
    void aJpegWithoutAnyColourMarkerIsYCbCr() throws IOException {
        for (int pixel : Picture.pixels(read(Base64.getDecoder().decode(UNMARKED_RED)))) assertEquals(0xfe0000, pixel);
    }

    @Test
    void aTinyFileOfHugeDimensionsIsRefusedBeforeItIsDecoded() throws IOException {
        byte[] png = encode(random(2, 2, BufferedImage.TYPE_INT_RGB), "png");
        ByteBuffer header = ByteBuffer.wrap(png);
        header.putInt(16, 65_535).putInt(20, 65_535);
        CRC32 crc = new CRC32();
        crc.update(png, 12, 17);
        header.putInt(29, (int) crc.getValue());
        assertTrue(refused(png).getMessage().contains("65535x65535"));
    }

    @Test
    void otherFilesAreRefused() {
        assertTrue(refused("GIF89a".getBytes()).getMessage().contains("neither"));
        refused(new byte[0]);
    }

    private static List<byte[]> seeds() throws IOException {
        return List.of(
                encode(random(24, 17, BufferedImage.TYPE_INT_RGB), "png"),
                encode(random(24, 17, BufferedImage.TYPE_INT_RGB), "jpeg"),
                encode(random(24, 17, BufferedImage.TYPE_BYTE_GRAY), "jpeg"));
    }

    @Test
    void damagedPicturesAreReadOrRefused() throws IOException {
        Mutations.run(5_000, 12, seeds(), folder, Images::read);
    }

    @Test
    @Tag("slow")
    void twoHundredThousandDamagedPicturesAreReadOrRefused() throws IOException {
        Mutations.run(200_000, 13, seeds(), folder, Images::read);
    }

    @Test
    void textOfAnyLanguageComesBack() throws IOException {
        Map<String, String> text = new LinkedHashMap<>();
        text.put("parameters", "seed 1, guidance 4.0\nsteps 250");
        text.put("Comment", "größer");
        text.put("Title", "金魚, золотая рыбка 🐟");
        Path path = folder.resolve("text.png");
        Images.writePng(path, random(4, 4, BufferedImage.TYPE_INT_RGB), text);
        assertEquals(text, Images.readPngText(path));
    }

    @Test
    void anInvalidKeywordIsRefused() {
        BufferedImage image = random(4, 4, BufferedImage.TYPE_INT_RGB);
        assertThrows(
                IllegalArgumentException.class,
                () -> Images.writePng(folder.resolve("a.png"), image, Map.of("größe", "1")));
        assertThrows(
                IllegalArgumentException.class,
                () -> Images.writePng(folder.resolve("a.png"), image, Map.of("x".repeat(80), "1")));
    }

    @Test
    void writingLeavesNothingButTheFile() throws IOException {
        Images.writePng(folder.resolve("a.png"), random(4, 4, BufferedImage.TYPE_INT_RGB), Map.of());
        try (var files = Files.list(folder)) {
            assertEquals(List.of(folder.resolve("a.png")), files.toList());
        }
    }

    @Test
    void allLevelsSurviveTheTripThroughATensor() {
        BufferedImage image = new BufferedImage(256, 1, BufferedImage.TYPE_INT_RGB);
        for (int x = 0; x < 256; x++) image.setRGB(x, 0, x << 16 | (255 - x) << 8 | x * 7 & 255);
        try (TensorScope scope = new TensorScope()) {
            Tensor batch = Images.toTensor(image).unsqueeze(0);
            assertArrayEquals(
                    Images.toRgbBytes(image),
                    Images.toRgbBytes(Images.fromTensor(batch).get(0)));
        }
    }

    @Test
    void valuesGoToTheNearestLevelAndGreyToAllChannels() {
        try (TensorScope scope = new TensorScope()) {
            float low = 100.25f / 127.5f - 1, high = 100.75f / 127.5f - 1;
            Tensor batch = Tensors.of(new float[] {low, high, -3, 3}, 1, 1, 1, 4);
            assertArrayEquals(
                    new int[] {0x646464, 0x656565, 0, 0xffffff},
                    Picture.pixels(Images.fromTensor(batch).get(0)));
        }
    }

    @Test
    void aByteTensorHasThePixelsInPlanes() {
        BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_INT_RGB);
        image.setRGB(0, 0, 0x010203);
        image.setRGB(1, 0, 0xfffefd);
        try (TensorScope scope = new TensorScope()) {
            Tensor planes = Images.toByteTensor(image);
            assertArrayEquals(new long[] {3, 1, 2}, planes.shape());
            assertArrayEquals(new byte[] {1, -1, 2, -2, 3, -3}, Tensors.toBytes(planes));
        }
    }

    @Test
    void aGridPlacesPicturesRowByRow() {
        BufferedImage a = random(2, 3, BufferedImage.TYPE_INT_RGB);
        BufferedImage b = new BufferedImage(2, 3, BufferedImage.TYPE_INT_RGB);
        BufferedImage grid = Images.grid(List.of(b, b, a), 2, 1);
        assertEquals(7, grid.getWidth());
        assertEquals(9, grid.getHeight());
        assertEquals(a.getRGB(1, 2), grid.getRGB(2, 7));
        assertEquals(0xffffffff, grid.getRGB(5, 7));
        BufferedImage large = Images.enlarge(a, 3);
        assertEquals(a.getRGB(1, 2), large.getRGB(5, 8));
        assertEquals(a.getRGB(1, 2), large.getRGB(3, 6));
    }

    @Test
    void conversionsFreeWhatTheyMake() {
        BufferedImage image = random(8, 8, BufferedImage.TYPE_INT_RGB);
        convert(image);
        long before = NativeObjects.settled();
        convert(image);
        assertEquals(before, Pointer.totalCount());
        try (TensorScope scope = new TensorScope()) {
            Images.toTensor(image);
            assertEquals(before + 1, Pointer.totalCount());
        }
    }

    private static void convert(BufferedImage image) {
        try (TensorScope scope = new TensorScope()) {
            Images.fromTensor(Images.toTensor(image).unsqueeze(0));
        }
    }
}
