package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GifFileTest {
    @TempDir
    Path folder;

    private static BufferedImage picture(int rgb, int width) {
        BufferedImage picture = new BufferedImage(width, 4, BufferedImage.TYPE_INT_RGB);
        for (int i = 0; i < 4 * width; i++) picture.setRGB(i % width, i / width, rgb);
        return picture;
    }

    @Test
    void picturesFollowEachOtherAndTheFilmBeginsAgain() throws IOException {
        Path file = folder.resolve("film.gif");
        List<Integer> colours = List.of(0xff0000, 0x00ff00, 0x3366cc);
        GifFile.write(file, colours.stream().map(rgb -> picture(rgb, 6)).toList(), 80, 2000);
        assertTrue(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).contains("NETSCAPE2.0"));
        ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
        try (ImageInputStream in = ImageIO.createImageInputStream(file.toFile())) {
            reader.setInput(in);
            assertEquals(3, reader.getNumImages(true));
            for (int i = 0; i < 3; i++) {
                assertEquals(colours.get(i), reader.read(i).getRGB(5, 3) & 0xffffff);
                IIOMetadataNode control = (IIOMetadataNode)
                        ((IIOMetadataNode) reader.getImageMetadata(i).getAsTree("javax_imageio_gif_image_1.0"))
                                .getElementsByTagName("GraphicControlExtension")
                                .item(0);
                assertEquals(i == 2 ? "200" : "8", control.getAttribute("delayTime"));
            }
        } finally {
            reader.dispose();
        }
    }

    @Test
    void noPicturesOrUnequalOnesAreRefused() {
        Path file = folder.resolve("film.gif");
        assertThrows(IllegalArgumentException.class, () -> GifFile.write(file, List.of(), 80, 80));
        assertThrows(
                IllegalArgumentException.class,
                () -> GifFile.write(file, List.of(picture(0, 4), picture(0, 5)), 80, 80));
    }
}
