package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dit4j.Golden;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Centre crops of the reference script, made with Pillow. There is no tolerance: every byte is equal. */
@ExtendWith(Golden.Cases.class)
class ImagesGoldenTest {
    private static final Pattern CROP = Pattern.compile("(.+)_crop(\\d+)");

    private interface Crop {
        BufferedImage of(BufferedImage source, int size);
    }

    @Test
    void theCentreCropEqualsPillowToTheByte() throws IOException {
        for (String name : Golden.list("images", ".png")) {
            Matcher crop = CROP.matcher(name);
            if (!crop.matches()) continue;
            BufferedImage actual = Images.centerCrop(source(crop.group(1)), Integer.parseInt(crop.group(2)));
            Golden.ran();
            assertArrayEquals(expected(name), Images.toRgbBytes(actual), name);
        }
    }

    @Test
    void theJdksOwnBicubicResizeIsRejected() throws IOException {
        assertRejected((source, size) -> {
            double scale = (double) size / Math.min(source.getWidth(), source.getHeight());
            int width = (int) Math.rint(source.getWidth() * scale),
                    height = (int) Math.rint(source.getHeight() * scale);
            BufferedImage resized = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
            Graphics2D graphics = resized.createGraphics();
            graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
            graphics.drawImage(source, 0, 0, width, height, null);
            graphics.dispose();
            return resized.getSubimage((width - size) / 2, (height - size) / 2, size, size);
        });
    }

    @Test
    void aCropWithoutTheHalvingIsRejected() throws IOException {
        assertRejected((source, size) -> {
            double scale = (double) size / Math.min(source.getWidth(), source.getHeight());
            int width = (int) Math.rint(source.getWidth() * scale),
                    height = (int) Math.rint(source.getHeight() * scale);
            BufferedImage resized = PillowResize.resize(source, width, height, PillowResize.Filter.BICUBIC);
            return resized.getSubimage((width - size) / 2, (height - size) / 2, size, size);
        });
    }

    private static void assertRejected(Crop wrong) throws IOException {
        boolean rejected = false;
        List<String> names = Golden.list("images", ".png");
        for (String name : names) {
            Matcher crop = CROP.matcher(name);
            if (!crop.matches()) continue;
            byte[] bytes = Images.toRgbBytes(wrong.of(source(crop.group(1)), Integer.parseInt(crop.group(2))));
            rejected |= !Arrays.equals(expected(name), bytes);
        }
        assertFalse(names.isEmpty(), "no golden pictures");
        assertTrue(rejected, "the wrong variant equals every golden crop");
    }

    private static BufferedImage source(String name) throws IOException {
        return Images.read(Golden.path("images/" + name + "_source.png"));
    }

    private static byte[] expected(String name) throws IOException {
        return Images.toRgbBytes(Images.read(Golden.path("images/" + name + ".png")));
    }
}
