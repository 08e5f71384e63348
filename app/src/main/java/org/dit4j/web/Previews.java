package org.dit4j.web;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.PictureDecoder;
import org.dit4j.io.Images;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * What a job looked like, step by step: the predicted clean pictures of a batch as one JPEG. Drawn by a thread of its own from copies; where
 * that is slower than the steps, the newest wins.
 */
final class Previews {
    private static final long MOST_BYTES = 16 << 20;
    private static final long APART_NANOS = 40_000_000;
    private static final float QUALITY = 0.9f;

    private final Topic topic;
    private final List<Sheet> kept = new ArrayList<>();
    private long bytes;
    private long lastNanos;

    /**
     * A drawn step.
     *
     * @param batch from 0; a job of many pictures has several
     * @param first number of its first picture in the job
     */
    record Sheet(
            int batch, int step, int steps, int first, int count, int columns, int width, int height, byte[] jpeg) {}

    /** What the sampler left of a step. */
    record Copy(Previews owner, Model model, int batch, int step, int steps, int first, float[] values, long[] shape) {
        void draw() {
            owner.draw(this);
        }
    }

    Previews(Topic topic) {
        this.topic = topic;
    }

    /** Whether a step is worth a copy: the last is, the others if the one before is some time ago. Of the sampler's thread. */
    boolean wants(int step, int steps) {
        long now = System.nanoTime();
        if (step < steps && now - lastNanos < APART_NANOS) return false;
        lastNanos = now;
        return true;
    }

    private void draw(Copy copy) {
        PictureDecoder decoder = copy.model.preview().orElseThrow();
        List<BufferedImage> pictures;
        try (TensorScope scope = new TensorScope()) {
            Tensor values = Tensors.to(Tensors.of(copy.values, copy.shape), copy.model.device());
            pictures = decoder.pictures(values);
        }
        int columns = (int) Math.ceil(Math.sqrt(pictures.size()));
        int width = pictures.get(0).getWidth(), height = pictures.get(0).getHeight();
        byte[] jpeg = jpeg(Images.grid(pictures, columns, 0));
        Sheet sheet =
                new Sheet(copy.batch, copy.step, copy.steps, copy.first, pictures.size(), columns, width, height, jpeg);
        keep(sheet);
        var json = json(sheet);
        json.put("jpeg", Base64.getEncoder().encodeToString(jpeg));
        topic.newest("preview", json);
    }

    static com.fasterxml.jackson.databind.node.ObjectNode json(Sheet sheet) {
        return Json.object()
                .put("batch", sheet.batch)
                .put("step", sheet.step)
                .put("steps", sheet.steps)
                .put("first", sheet.first)
                .put("count", sheet.count)
                .put("columns", sheet.columns)
                .put("width", sheet.width)
                .put("height", sheet.height);
    }

    private synchronized void keep(Sheet sheet) {
        kept.add(sheet);
        bytes += sheet.jpeg.length;
        if (bytes <= MOST_BYTES) return;
        List<Sheet> all = new ArrayList<>(kept);
        kept.clear();
        bytes = 0;
        for (int i = 0; i < all.size(); i++)
            if (i % 2 == 0 || all.get(i).step == all.get(i).steps) {
                kept.add(all.get(i));
                bytes += all.get(i).jpeg.length;
            }
    }

    synchronized List<Sheet> kept() {
        return List.copyOf(kept);
    }

    synchronized void clear() {
        kept.clear();
        bytes = 0;
    }

    private static byte[] jpeg(BufferedImage image) {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
            ImageWriteParam param = writer.getDefaultWriteParam();
            param.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            param.setCompressionQuality(QUALITY);
            writer.setOutput(out);
            writer.write(null, new IIOImage(image, null, null), param);
        } catch (IOException e) {
            throw new IllegalStateException(e); // in memory
        } finally {
            writer.dispose();
        }
        return bytes.toByteArray();
    }
}
