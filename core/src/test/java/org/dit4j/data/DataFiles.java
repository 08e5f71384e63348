package org.dit4j.data;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Small data sets of every kind: four pictures, two classes. Shades of one digit make files of equal length. */
final class DataFiles {
    private DataFiles() {}

    /** A PNG picture of one shade. */
    static byte[] png(int shade) throws IOException {
        BufferedImage image = new BufferedImage(9, 12, BufferedImage.TYPE_INT_RGB);
        for (int y = 0; y < 12; y++) for (int x = 0; x < 9; x++) image.setRGB(x, y, 0x010101 * shade);
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        ImageIO.write(image, "png", png);
        return png.toByteArray();
    }

    /** Name → content of pictures in folders of classes. */
    static Map<String, byte[]> pictures(int... shades) throws IOException {
        Map<String, byte[]> files = new LinkedHashMap<>();
        for (int i = 0; i < 4; i++) files.put((i < 2 ? "cat/" : "dog/") + i + ".png", png(shades[i]));
        return files;
    }

    static Path folder(Path root, Map<String, byte[]> files) throws IOException {
        for (Map.Entry<String, byte[]> file : files.entrySet()) {
            Path path = root.resolve(file.getKey());
            Files.createDirectories(path.getParent());
            Files.write(path, file.getValue());
        }
        return root;
    }

    static Path zip(Path zip, Map<String, byte[]> files) throws IOException {
        try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(zip))) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                out.putNextEntry(new ZipEntry(file.getKey()));
                out.write(file.getValue());
            }
        }
        return zip;
    }

    /** The pictures as WebDataset has them, the first two of class 0. */
    static Path tar(Path tar, long modified, int... shades) throws IOException {
        Files.createDirectories(tar.getParent());
        try (TarArchiveOutputStream out = new TarArchiveOutputStream(Files.newOutputStream(tar), "UTF-8")) {
            for (int i = 0; i < 4; i++) {
                put(out, i + ".png", png(shades[i]), modified);
                put(out, i + ".cls", new byte[] {(byte) ('0' + i / 2)}, modified);
            }
        }
        return tar;
    }

    private static void put(TarArchiveOutputStream out, String name, byte[] content, long modified) throws IOException {
        TarArchiveEntry entry = new TarArchiveEntry(name);
        entry.setSize(content.length);
        entry.setModTime(modified * 1000);
        out.putArchiveEntry(entry);
        out.write(content);
        out.closeArchiveEntry();
    }

    /** Pictures of 2 × 3 pixels, one shade each, the second half of class 1. */
    static Path idx(Path folder, String prefix, boolean gzipped, int... shades) throws IOException {
        ByteBuffer images = ByteBuffer.allocate(16 + 6 * shades.length),
                labels = ByteBuffer.allocate(8 + shades.length);
        images.putInt(0x803).putInt(shades.length).putInt(2).putInt(3);
        labels.putInt(0x801).putInt(shades.length);
        for (int i = 0; i < shades.length; i++) {
            for (int pixel = 0; pixel < 6; pixel++) images.put((byte) shades[i]);
            labels.put((byte) (2 * i / shades.length));
        }
        Files.createDirectories(folder);
        write(folder.resolve(prefix + "-images-idx3-ubyte"), gzipped, images.array());
        write(folder.resolve(prefix + "-labels-idx1-ubyte"), gzipped, labels.array());
        return folder;
    }

    private static void write(Path file, boolean gzipped, byte[] bytes) throws IOException {
        if (!gzipped) Files.write(file, bytes);
        else
            try (OutputStream out =
                    new GZIPOutputStream(Files.newOutputStream(file.resolveSibling(file.getFileName() + ".gz")))) {
                out.write(bytes);
            }
    }

    /** A folder of two shards of latents, (2, 1, 2) each, of pictures of 16 × 16. */
    static Path latents(Path folder, char digest, List<String> classNames, float... values) throws IOException {
        return latents(folder, digest, "photos", classNames, values);
    }

    /** As encoded from pictures in {@code data}, of which broken ones were left out, and named. */
    static Path latents(Path folder, char digest, String data, List<String> classNames, float... values)
            throws IOException {
        Files.createDirectories(folder);
        LatentsHeader header =
                new LatentsHeader(String.valueOf(digest).repeat(64), 0.5, 1, 16, 16, 2, 1, 2, false, classNames);
        Path[] files = new Path[2];
        for (int shard = 0; shard < 2; shard++) {
            files[shard] = folder.resolve("latents-0000" + shard + ".safetensors");
            try (TensorScope scope = new TensorScope()) {
                float value = values[shard];
                Map<String, Tensor> tensors = new LinkedHashMap<>();
                for (String name : List.of(LatentShard.MEAN, LatentShard.FLIPPED_MEAN))
                    tensors.put(name, Tensors.of(new float[] {value, 0, 0, value}, 1, 2, 1, 2));
                tensors.put(LatentShard.LABELS, Tensors.of(new long[] {shard}, 1));
                tensors.put(LatentShard.ITEMS, Tensors.of(new long[] {shard}, 1));
                LatentShard.write(files[shard], header, Map.of(), List.of(data + "/9.png: cut short"), tensors);
            }
        }
        LatentCache.writeIndex(folder, header, List.of(files), Optional.empty());
        return folder;
    }
}
