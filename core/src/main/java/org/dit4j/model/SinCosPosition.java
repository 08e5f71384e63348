package org.dit4j.model;

import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Tensors;

/** The fixed two-dimensional sine-cosine positions of DiT. */
public final class SinCosPosition {
    private SinCosPosition() {}

    /**
     * (1, rows · columns, width) float32, computed in float64. Token order is row-major. The first half of the channels encodes the column,
     * the second the row; each half is sines then cosines of the coordinate times 10000^(−k/(width/4)), k = 0 … width/4 − 1.
     *
     * @param width a multiple of 4
     */
    public static Tensor table(int width, int rows, int columns) {
        if (width % 4 != 0) throw new IllegalArgumentException("width " + width + " is not a multiple of 4");
        int quarter = width / 4;
        float[] table = new float[rows * columns * width];
        for (int row = 0, at = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                for (int coordinate : new int[] {column, row}) {
                    for (int k = 0; k < quarter; k++) {
                        double angle = coordinate * Math.pow(10000, -(double) k / quarter);
                        table[at + k] = (float) Math.sin(angle);
                        table[at + quarter + k] = (float) Math.cos(angle);
                    }
                    at += 2 * quarter;
                }
        return Tensors.of(table, 1, (long) rows * columns, width);
    }
}
