package org.dit4j.io;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferInt;
import java.awt.image.DirectColorModel;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Pictures: files, the reference's crop, tensors, grids. A picture here is a {@link BufferedImage} of TYPE_INT_RGB. Needs no display and
 * draws nothing.
 */
public final class Images {
    /** For who asks what decodes JPEGs here. */
    public static final String JPEG_DECODER =
            "dit4j's own decoder in Java, whose pixels are libjpeg-turbo's (slow integer transform, fancy upsampling); none of the JDK's";

    private static final int MAX_FILE_BYTES = 512 << 20;
    /** Most headers are within them. */
    private static final int FIRST_BYTES = 4096;

    private static final int PADDING_COLOR = 0xffffff;

    static {
        Backend.configure();
    }

    private Images() {}

    /**
     * Decodes a picture file as Pillow's {@code open(path).convert("RGB")}: grey becomes equal channels, palettes are looked up, alpha
     * is dropped (not blended), colour profiles and gamma are ignored, and the EXIF orientation is <em>not</em> applied.
     *
     * @throws FormatException if it is none, damaged or cut short, of a kind that is not read, or above a limit of {@link PictureLimits#pillow}
     */
    public static BufferedImage read(Path path) throws IOException {
        try (InputStream in = Files.newInputStream(path)) {
            return read(in, path.toString());
        }
    }

    /** As {@link #read(Path)}, to the end of a stream; {@code name} is for messages. */
    public static BufferedImage read(InputStream in, String name) throws IOException {
        return read(in, name, PictureReading.standard());
    }

    /** As {@link #read(Path)}, with other limits, or upright. */
    public static BufferedImage read(InputStream in, String name, PictureReading reading) throws IOException {
        byte[] file = bytes(in, name);
        Picture picture = PictureFormat.of(name, file).decode(name, file, reading.limits());
        return image(reading.exifRotate() ? picture.upright() : picture);
    }

    /**
     * Reads of a picture file what its first bytes say, and no more of it than that takes.
     *
     * @throws FormatException as {@link #read(Path)}, as far as the header tells
     */
    public static PictureHeader readHeader(InputStream in, String name, PictureLimits limits) throws IOException {
        byte[] file = in.readNBytes(FIRST_BYTES);
        for (int size = FIRST_BYTES; ; size = Math.min(MAX_FILE_BYTES, 16 * size)) {
            try {
                PictureHeader header = PictureFormat.of(name, file).header(name, file);
                limits.check(name, header.width(), header.height());
                PictureLimits.checkRoom(name, header.bytesToDecode());
                return header;
            } catch (FormatException e) {
                if (file.length < size || size == MAX_FILE_BYTES) throw e; // that was all of it
                byte[] more = in.readNBytes(Math.min(MAX_FILE_BYTES, 16 * size) - size);
                if (more.length == 0) throw e;
                byte[] longer = Arrays.copyOf(file, file.length + more.length);
                System.arraycopy(more, 0, longer, file.length, more.length);
                file = longer;
            }
        }
    }

    private static BufferedImage image(Picture picture) {
        DataBufferInt data = new DataBufferInt(picture.rgb, picture.rgb.length);
        DirectColorModel colors = new DirectColorModel(24, 0xff0000, 0xff00, 0xff);
        WritableRaster raster =
                Raster.createPackedRaster(data, picture.width, picture.height, picture.width, colors.getMasks(), null);
        return new BufferedImage(colors, raster, false, null);
    }

    private static byte[] bytes(InputStream in, String name) throws IOException {
        byte[] file = in.readNBytes(MAX_FILE_BYTES + 1);
        if (file.length > MAX_FILE_BYTES) throw new FormatException(name, "a picture file above 512 MiB");
        return file;
    }

    /**
     * The reference's centre crop ({@code center_crop_arr}), equal to Pillow to the byte: halved by averaging while the shorter side is at
     * least twice {@code size}, resized bicubically until it is {@code size}, and cut from the middle.
     */
    public static BufferedImage centerCrop(BufferedImage image, int size) {
        if (size < 1) throw new IllegalArgumentException("crop size is " + size + "; at least 1");
        BufferedImage picture = image;
        while (Math.min(picture.getWidth(), picture.getHeight()) >= 2L * size)
            picture = PillowResize.resize(
                    picture, picture.getWidth() / 2, picture.getHeight() / 2, PillowResize.Filter.BOX);
        double scale = (double) size / Math.min(picture.getWidth(), picture.getHeight());
        // rint, not round: Python rounds halves to even
        int width = (int) Math.rint(picture.getWidth() * scale), height = (int) Math.rint(picture.getHeight() * scale);
        if ((long) width * height > PictureLimits.PILLOW_MAX_PIXELS)
            throw new IllegalArgumentException("a " + image.getWidth() + "x" + image.getHeight() + " picture would be "
                    + width + "x" + height + " before it is cropped to " + size);
        picture = PillowResize.resize(picture, width, height, PillowResize.Filter.BICUBIC);
        return cut(picture, (width - size) / 2, (height - size) / 2, size, size);
    }

    private static BufferedImage cut(BufferedImage image, int x, int y, int width, int height) {
        BufferedImage result = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        int[] from = Picture.pixels(image), to = Picture.pixels(result);
        for (int row = 0; row < height; row++)
            System.arraycopy(from, (y + row) * image.getWidth() + x, to, row * width, width);
        return result;
    }

    /** The picture as width · height · 3 bytes: rows, then pixels, then red, green, blue. */
    public static byte[] toRgbBytes(BufferedImage image) {
        int[] pixels = Picture.pixels(image);
        byte[] rgb = new byte[pixels.length * 3];
        for (int i = 0; i < pixels.length; i++) {
            rgb[3 * i] = (byte) (pixels[i] >> 16);
            rgb[3 * i + 1] = (byte) (pixels[i] >> 8);
            rgb[3 * i + 2] = (byte) pixels[i];
        }
        return rgb;
    }

    /** The inverse of {@link #toRgbBytes}. */
    public static BufferedImage fromRgbBytes(byte[] rgb, int width, int height) {
        if ((long) width * height * 3 != rgb.length)
            throw new IllegalArgumentException(
                    rgb.length + " bytes are not a " + width + "x" + height + " RGB picture");
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        int[] pixels = Picture.pixels(image);
        for (int i = 0; i < pixels.length; i++)
            pixels[i] = (rgb[3 * i] & 255) << 16 | (rgb[3 * i + 1] & 255) << 8 | rgb[3 * i + 2] & 255;
        return image;
    }

    /** (3, H, W) uint8 on the CPU. */
    public static Tensor toByteTensor(BufferedImage image) {
        int[] pixels = Picture.pixels(image);
        byte[] planes = new byte[3 * pixels.length];
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < pixels.length; i++) planes[c * pixels.length + i] = (byte) (pixels[i] >> 16 - 8 * c);
        return Tensors.of(planes, 3, image.getHeight(), image.getWidth());
    }

    /**
     * (3, H, W) float32 in [-1, 1] on the CPU: x / 127.5 - 1, in the order of rounding of the reference's {@code ToTensor} and
     * {@code Normalize(0.5, 0.5)}.
     */
    public static Tensor toTensor(BufferedImage image) {
        int[] pixels = Picture.pixels(image);
        float[] planes = new float[3 * pixels.length];
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < pixels.length; i++)
                planes[c * pixels.length + i] = LEVELS[pixels[i] >> 16 - 8 * c & 255];
        return Tensors.of(planes, 3, image.getHeight(), image.getWidth());
    }

    private static final float[] LEVELS = levels();

    private static float[] levels() {
        float[] levels = new float[256];
        for (int i = 0; i < 256; i++) levels[i] = (i / 255f - 0.5f) / 0.5f;
        return levels;
    }

    /**
     * The pictures of a batch.
     *
     * @param batch (N, C, H, W) of any floating dtype on any device, in [-1, 1]; C is 3, or 1 for grey
     */
    public static List<BufferedImage> fromTensor(Tensor batch) {
        byte[] rgb = toRgbBytes(batch);
        int count = (int) batch.size(0), height = (int) batch.size(2), width = (int) batch.size(3);
        List<BufferedImage> images = new ArrayList<>(count);
        int size = 3 * width * height;
        for (int i = 0; i < count; i++)
            images.add(fromRgbBytes(Arrays.copyOfRange(rgb, i * size, (i + 1) * size), width, height));
        return images;
    }

    /**
     * (N, C, H, W) in [-1, 1] → N · H · W · 3 bytes, channels last, as image sets for evaluation are stored; C is 3, or 1 for grey.
     * Levels are clamp(127.5 · x + 128, 0, 255) truncated, as in the reference's {@code sample_ddp.py}: the nearest level. torchvision's
     * {@code save_image}, which its {@code sample.py} uses, is the same function in another order of float32 operations; it differs by one
     * level in some two values of a million.
     */
    public static byte[] toRgbBytes(Tensor batch) {
        try (TensorScope scope = new TensorScope()) {
            return Tensors.toBytes(toLevels(batch).permute(0, 2, 3, 1));
        }
    }

    /** As {@link #toRgbBytes(Tensor)}: (N, C, H, W) in [-1, 1] → (N, 3, H, W) uint8 levels, on the same device; C is 3, or 1 for grey. */
    public static Tensor toLevels(Tensor batch) {
        long[] shape = batch.shape();
        if (shape.length != 4 || shape[1] != 1 && shape[1] != 3)
            throw new IllegalArgumentException(
                    "pictures are (N, 3, H, W) or (N, 1, H, W), given " + Arrays.toString(shape));
        return TensorScope.local(() -> batch.detach()
                .to(ScalarType.Float)
                .mul(new Scalar(127.5))
                .add(new Scalar(128.0))
                .clamp(new ScalarOptional(new Scalar(0.0)), new ScalarOptional(new Scalar(255.0)))
                .to(ScalarType.Byte)
                .expand(shape[0], 3, shape[2], shape[3]));
    }

    /**
     * Writes a PNG under a temporary name and renames it. {@code text} goes into its text chunks (Latin-1 values as tEXt; others, and JSON, which is
     * UTF-8 by its own standard, as iTXt).
     *
     * @throws IllegalArgumentException if a keyword is not 1 to 79 printable ASCII characters
     */
    public static void writePng(Path path, BufferedImage image, Map<String, String> text) throws IOException {
        AtomicFile.write(path, encodePng(image, text));
    }

    /** What {@link #writePng} writes. */
    public static byte[] encodePng(BufferedImage image, Map<String, String> text) throws IOException {
        return PngFile.encode(image, text);
    }

    /** The text chunks of a PNG, by keyword, in their order. */
    public static Map<String, String> readPngText(Path path) throws IOException {
        try (InputStream in = Files.newInputStream(path)) {
            return readPngText(in, path.toString());
        }
    }

    /** As {@link #readPngText(Path)}, to the end of a stream; {@code name} is for messages. */
    public static Map<String, String> readPngText(InputStream in, String name) throws IOException {
        return PngFile.text(name, bytes(in, name));
    }

    /**
     * Pictures of one size side by side, row by row, with {@code padding} white pixels around each.
     *
     * @param columns pictures per row; the last row may be shorter
     */
    public static BufferedImage grid(List<BufferedImage> images, int columns, int padding) {
        if (images.isEmpty() || columns < 1 || padding < 0)
            throw new IllegalArgumentException("a grid of " + images.size() + " pictures in " + columns
                    + " columns, padding " + padding + "; at least one picture and one column, padding not negative");
        int width = images.get(0).getWidth(), height = images.get(0).getHeight();
        int across = Math.min(columns, images.size()), down = (images.size() + columns - 1) / columns;
        BufferedImage grid = new BufferedImage(
                padding + across * (width + padding), padding + down * (height + padding), BufferedImage.TYPE_INT_RGB);
        int[] to = Picture.pixels(grid);
        Arrays.fill(to, PADDING_COLOR);
        for (int i = 0; i < images.size(); i++) {
            BufferedImage image = images.get(i);
            if (image.getWidth() != width || image.getHeight() != height)
                throw new IllegalArgumentException("picture " + i + " is " + image.getWidth() + "x" + image.getHeight()
                        + ", the first is " + width + "x" + height);
            int[] from = Picture.pixels(image);
            int x = padding + i % columns * (width + padding), y = padding + i / columns * (height + padding);
            for (int row = 0; row < height; row++)
                System.arraycopy(from, row * width, to, (y + row) * grid.getWidth() + x, width);
        }
        return grid;
    }

    /** Every pixel as a square of {@code factor} pixels, so that small pictures can be seen. */
    public static BufferedImage enlarge(BufferedImage image, int factor) {
        if (factor < 1) throw new IllegalArgumentException("factor is " + factor + "; at least 1");
        int width = image.getWidth() * factor, height = image.getHeight() * factor;
        BufferedImage result = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        int[] from = Picture.pixels(image), to = Picture.pixels(result);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) to[y * width + x] = from[y / factor * image.getWidth() + x / factor];
        return result;
    }
}
