package org.dit4j.eval;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * {@code ResizeBilinear} as TensorFlow 1 has it without {@code align_corners}: pixel i of n is taken at i · size / n of the source, without the
 * half pixel that everybody has since, and without antialiasing. Equal to it to the bit on the CPU.
 */
final class TensorFlowResize {
    private TensorFlowResize() {}

    /** (N, C, H, W) float32 → (N, C, size, size). */
    static Tensor apply(Tensor pictures, int size) {
        long height = pictures.size(2), width = pictures.size(3);
        if (height == size && width == size) return pictures;
        return TensorScope.local(() -> {
            Axis across = Axis.of(width, size, pictures.device()), down = Axis.of(height, size, pictures.device());
            // left and right first, as the original; the rows that are not needed cost less than taking four corners
            Tensor wide = across.blend(pictures, 3, 1, size);
            return down.blend(wide, 2, size, 1);
        });
    }

    private record Axis(Tensor low, Tensor high, Tensor share) {
        static Axis of(long from, int to, Device device) {
            // rounded to float32 first, and so is the product
            float scale = (float) ((double) from / to);
            long[] low = new long[to], high = new long[to];
            float[] share = new float[to];
            for (int i = 0; i < to; i++) {
                float at = i * scale;
                low[i] = (long) at;
                high[i] = Math.min(low[i] + 1, from - 1);
                share[i] = at - low[i];
            }
            return new Axis(
                    Tensors.to(Tensors.of(low, to), device),
                    Tensors.to(Tensors.of(high, to), device),
                    Tensors.to(Tensors.of(share, to), device));
        }

        Tensor blend(Tensor x, long dim, long rows, long columns) {
            Tensor begin = x.index_select(dim, low);
            return x.index_select(dim, high)
                    .sub_(begin)
                    .mul_(share.view(1, 1, rows, columns))
                    .add_(begin);
        }
    }
}
