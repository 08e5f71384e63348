package org.dit4j.eval;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Salimans et al. (2016), <i>Improved Techniques for Training GANs</i>: exp of the mean divergence of the classes of a picture from those of
 * all. It takes logits block by block, in the order of the pictures, and computes in float64.
 */
public final class InceptionScore {
    /**
     * A score.
     *
     * @param mean over the splits
     * @param deviation over the splits, of the population; 0 where there is one
     * @param splits their number
     */
    public record Score(double mean, double deviation, int splits) {}

    private final long splitSize;
    private final List<Double> scores = new ArrayList<>();
    private double[] probabilities;
    private double negentropy;
    private long count;

    /** @param splitSize pictures of a split, the last of which has what remains; 0: all are one */
    public InceptionScore(long splitSize) {
        if (splitSize < 0) throw new IllegalArgumentException("split size " + splitSize + " is negative");
        this.splitSize = splitSize;
    }

    /** Takes (N, classes) logits. */
    public void add(Tensor logits) {
        for (long from = 0; from < logits.size(0); ) {
            long room = splitSize == 0 ? logits.size(0) : splitSize - count;
            long rows = Math.min(room, logits.size(0) - from);
            try (TensorScope scope = new TensorScope()) {
                take(logits.narrow(0, from, rows));
            }
            from += rows;
            if (count == splitSize) finish(); // never where all are one
        }
    }

    private void take(Tensor logits) {
        Tensor logs = logits.detach()
                .to(Backend.device("cpu"), ScalarType.Double, false, false, null)
                .log_softmax(1);
        Tensor shares = logs.exp();
        double[] sums = Tensors.toDoubles(shares.sum(0));
        if (probabilities == null) probabilities = new double[sums.length];
        for (int i = 0; i < sums.length; i++) probabilities[i] += sums[i];
        negentropy += shares.mul(logs).sum().item_double();
        count += logits.size(0);
    }

    private void finish() {
        double divergence = negentropy / count;
        for (double sum : probabilities) if (sum > 0) divergence -= sum / count * Math.log(sum / count);
        scores.add(Math.exp(divergence));
        probabilities = null;
        negentropy = 0;
        count = 0;
    }

    /**
     * Of all that was taken; nothing can be taken after it.
     *
     * @throws IllegalStateException if nothing was
     */
    public Score result() {
        if (count > 0) finish();
        if (scores.isEmpty()) throw new IllegalStateException("an Inception Score of no pictures");
        double mean = scores.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
        double variance = scores.stream()
                .mapToDouble(score -> (score - mean) * (score - mean))
                .average()
                .orElseThrow();
        return new Score(mean, Math.sqrt(variance), scores.size());
    }
}
