package org.dit4j.data;

import org.bytedeco.pytorch.Tensor;

/**
 * Consecutive samples of training; a short-lived carrier, equal to nothing but itself.
 *
 * @param images (N, C, H, W) float32 in [−1, 1] on the CPU; belongs to the scope that was open when the batch was taken
 * @param labels N class numbers
 * @param firstSample the number of the first row's sample in the stream of the whole run; row i is sample firstSample + i
 */
public record Batch(Tensor images, long[] labels, long firstSample) {
    /** N. */
    public int size() {
        return labels.length;
    }
}
