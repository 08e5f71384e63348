package org.dit4j.eval;

import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.Images;
import org.dit4j.io.PillowResize;
import org.dit4j.io.PillowResize.Filter;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Pillow's resize of a batch, picture by picture: equal to it to the byte. */
final class PillowBatch {
    private PillowBatch() {}

    /** (N, 3, H, W) uint8, on any device → (N, 3, size, size) uint8 on the CPU. */
    static Tensor bicubic(Tensor pictures, int size) {
        int n = (int) pictures.size(0), height = (int) pictures.size(2), width = (int) pictures.size(3);
        byte[] from = channelsLast(pictures);
        byte[] to = new byte[n * size * size * 3];
        IntStream.range(0, n).parallel().forEach(i -> {
            byte[] rgb = java.util.Arrays.copyOfRange(from, i * height * width * 3, (i + 1) * height * width * 3);
            byte[] resized = Images.toRgbBytes(
                    PillowResize.resize(Images.fromRgbBytes(rgb, width, height), size, size, Filter.BICUBIC));
            System.arraycopy(resized, 0, to, i * resized.length, resized.length);
        });
        return TensorScope.local(
                () -> Tensors.of(to, n, size, size, 3).permute(0, 3, 1, 2).contiguous());
    }

    private static byte[] channelsLast(Tensor pictures) {
        try (TensorScope scope = new TensorScope()) {
            return Tensors.toBytes(pictures.permute(0, 2, 3, 1));
        }
    }
}
