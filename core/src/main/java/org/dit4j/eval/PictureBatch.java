package org.dit4j.eval;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Tensors;

/** What feature networks take. */
final class PictureBatch {
    private PictureBatch() {}

    /** @throws IllegalArgumentException unless it is (N, 3, H, W) uint8 */
    static void require(Tensor pictures) {
        if (pictures.dim() != 4 || pictures.size(1) != 3 || pictures.numel() == 0)
            throw new IllegalArgumentException("pictures are (N, 3, H, W), given " + Tensors.shape(pictures));
        if (Tensors.dtype(pictures) != ScalarType.Byte)
            throw new IllegalArgumentException(
                    "pictures are uint8 levels of 0 to 255, given " + Tensors.dtype(pictures));
    }
}
