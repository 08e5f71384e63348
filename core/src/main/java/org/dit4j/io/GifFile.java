package org.dit4j.io;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.ImageWriter;
import javax.imageio.metadata.IIOInvalidTreeException;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.metadata.IIOMetadataNode;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.dit4j.torch.Backend;

/** Animated GIFs: 256 colours to a frame, shown everywhere. */
public final class GifFile {
    static {
        Backend.configure();
    }

    private static final String FORMAT = "javax_imageio_gif_image_1.0";

    private GifFile() {}

    /**
     * Writes pictures of one size as a film that begins again when it ends; whole or not at all.
     *
     * @param millis how long each is shown, in steps of 10
     * @param lastMillis how long the last one is
     * @throws IllegalArgumentException if there is no picture, or their sizes differ
     */
    public static void write(Path path, List<BufferedImage> frames, int millis, int lastMillis) throws IOException {
        if (frames.isEmpty()) throw new IllegalArgumentException("a film of no pictures");
        BufferedImage first = frames.get(0);
        for (BufferedImage frame : frames)
            if (frame.getWidth() != first.getWidth() || frame.getHeight() != first.getHeight())
                throw new IllegalArgumentException("the pictures of a film have one size");
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ImageWriter writer = ImageIO.getImageWritersByFormatName("gif").next();
        try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
            writer.setOutput(out);
            writer.prepareWriteSequence(null);
            for (int i = 0; i < frames.size(); i++) {
                IIOMetadata metadata =
                        writer.getDefaultImageMetadata(ImageTypeSpecifier.createFromRenderedImage(first), null);
                time(metadata, i == frames.size() - 1 ? lastMillis : millis, i == 0);
                writer.writeToSequence(new IIOImage(frames.get(i), null, metadata), null);
            }
            writer.endWriteSequence();
        } finally {
            writer.dispose();
        }
        AtomicFile.write(path, bytes.toByteArray());
    }

    private static void time(IIOMetadata metadata, int millis, boolean first) throws IIOInvalidTreeException {
        IIOMetadataNode root = (IIOMetadataNode) metadata.getAsTree(FORMAT);
        IIOMetadataNode control = (IIOMetadataNode)
                root.getElementsByTagName("GraphicControlExtension").item(0);
        control.setAttribute("disposalMethod", "none");
        control.setAttribute("delayTime", Integer.toString(millis / 10));
        if (first) {
            IIOMetadataNode extension = new IIOMetadataNode("ApplicationExtension");
            extension.setAttribute("applicationID", "NETSCAPE");
            extension.setAttribute("authenticationCode", "2.0");
            extension.setUserObject(new byte[] {1, 0, 0}); // without end
            IIOMetadataNode extensions = new IIOMetadataNode("ApplicationExtensions");
            extensions.appendChild(extension);
            root.appendChild(extensions);
        }
        metadata.setFromTree(FORMAT, root);
    }
}
