package org.dit4j.data;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import org.dit4j.io.Images;

/**
 * Any pictures as square RGB ones, which is what autoencoders take: grey is repeated, and another size is cropped and resized as the
 * reference does. Closing it closes {@code pictures}.
 *
 * @param imageSize height and width
 */
public record RgbImages(Dataset pictures, int imageSize) implements Dataset {
    /** @throws IllegalArgumentException if the items are neither grey nor RGB pictures, or the size is out of range */
    public RgbImages {
        if (pictures.channels() != 1 && pictures.channels() != 3)
            throw new IllegalArgumentException(
                    "the data have " + pictures.channels() + " channels; pictures have 1 or 3");
        if (imageSize < 1 || imageSize > 8192)
            throw new IllegalArgumentException("imageSize " + imageSize + " is outside 1 … 8192");
    }

    @Override
    public long size() {
        return pictures.size();
    }

    @Override
    public int channels() {
        return 3;
    }

    @Override
    public int height() {
        return imageSize;
    }

    @Override
    public int width() {
        return imageSize;
    }

    @Override
    public List<String> classNames() {
        return pictures.classNames();
    }

    @Override
    public int label(long index) {
        return pictures.label(index);
    }

    @Override
    public void pixels(long index, float[] out, int offset) throws IOException {
        Objects.checkFromIndexSize(offset, 3 * imageSize * imageSize, out.length);
        boolean sized = pictures.height() == imageSize && pictures.width() == imageSize;
        if (sized && pictures.channels() == 3) {
            pictures.pixels(index, out, offset);
            return;
        }
        Pixels.write(Images.centerCrop(picture(index), imageSize), 3, out, offset);
    }

    private BufferedImage picture(long index) throws IOException {
        int height = pictures.height(), width = pictures.width(), plane = height * width;
        float[] pixels = new float[pictures.channels() * plane];
        pictures.pixels(index, pixels, 0);
        int green = pictures.channels() == 1 ? 0 : plane, blue = 2 * green;
        BufferedImage picture = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < plane; i++)
            picture.setRGB(
                    i % width,
                    i / width,
                    Pixels.level(pixels[i]) << 16
                            | Pixels.level(pixels[green + i]) << 8
                            | Pixels.level(pixels[blue + i]));
        return picture;
    }

    @Override
    public String describe() {
        return pictures.describe() + ", as " + imageSize + "×" + imageSize + " RGB";
    }

    @Override
    public Fingerprint fingerprint() throws IOException {
        Fingerprint all = pictures.fingerprint();
        return new Fingerprint(of(all.digest()), of(all.stamp()));
    }

    @Override
    public String stamp() throws IOException {
        return of(pictures.stamp());
    }

    private String of(String all) {
        return new FingerprintInput("RGB", this).add(all).hex();
    }

    @Override
    public void close() throws IOException {
        pictures.close();
    }
}
