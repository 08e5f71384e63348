package org.dit4j.eval;

import static org.dit4j.Golden.ran;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.Golden;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Against NumPy and SciPy. */
@ExtendWith(Golden.Cases.class)
class MetricsGoldenTest {
    private static Gaussian gaussian(Tensor features) {
        try (Gaussian.Fit fit = new Gaussian.Fit((int) features.size(1))) {
            fit.add(features);
            return fit.result();
        }
    }

    private static void assertNear(double expected, double actual, double relative) {
        ran();
        assertEquals(expected, actual, relative * Math.abs(expected));
    }

    private static void assertFar(String what, double expected, double actual, double relative) {
        assertTrue(
                Math.abs(expected - actual) > relative * Math.abs(expected),
                what + " gives " + actual + ", near " + expected);
    }

    @Test
    void frechetDistancesEqualTheReference() {
        JsonNode expected = Golden.json("metrics/expected.json");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> features = Golden.tensors("metrics/features.safetensors");
            Gaussian sample = gaussian(features.get("sample")), reference = gaussian(features.get("ref"));
            double fid = expected.get("fid").asDouble();
            assertNear(fid, FrechetDistance.of(sample, reference), 1e-6); // float64 all the way
            assertNear(fid, FrechetDistance.of(reference, sample), 1e-6);
            assertEquals(expected.get("fid_self").asDouble(), FrechetDistance.of(sample, sample));
            // fewer samples than dimensions: SciPy's root of a singular product is itself good to some 1e-4
            Gaussian few = gaussian(features.get("small_sample")), fewReference = gaussian(features.get("small_ref"));
            assertNear(expected.get("fid_small").asDouble(), FrechetDistance.of(few, fewReference), 1e-3);
            assertEquals(0, FrechetDistance.of(few, few));
            // covariances of N in place of N − 1
            double wrong = FrechetDistance.of(scaled(sample, 499.0 / 500), scaled(reference, 599.0 / 600));
            assertFar("a covariance of N", fid, wrong, 1e-6);
        }
    }

    private static Gaussian scaled(Gaussian of, double factor) {
        try (TensorScope scope = new TensorScope()) {
            return new Gaussian(
                    of.count(),
                    org.dit4j.torch.Tensors.toDoubles(of.mean()),
                    org.dit4j.torch.Tensors.toDoubles(of.covariance().mul(new Scalar(factor))));
        }
    }

    @Test
    void inceptionScoresEqualTheReference() {
        JsonNode expected = Golden.json("metrics/expected.json");
        try (TensorScope scope = new TensorScope()) {
            Tensor logits = Golden.tensors("metrics/features.safetensors").get("logits");
            for (int size : new int[] {500, 100}) {
                JsonNode score = expected.get("inception_score_split_" + size);
                InceptionScore sum = new InceptionScore(size);
                // in pieces that do not end where splits end
                for (long from = 0; from < logits.size(0); from += 70)
                    sum.add(logits.narrow(0, from, Math.min(70, logits.size(0) - from)));
                InceptionScore.Score actual = sum.result();
                assertNear(score.get(0).asDouble(), actual.mean(), 1e-6);
                assertNear(score.get(1).asDouble(), actual.deviation(), 1e-6);
                assertEquals(logits.size(0) / size, actual.splits());
            }
            InceptionScore whole = new InceptionScore(0);
            whole.add(logits);
            InceptionScore.Score score = whole.result();
            assertEquals(1, score.splits());
            assertFar(
                    "one split",
                    expected.get("inception_score_split_500").get(0).asDouble(),
                    score.mean(),
                    1e-6);
        }
    }

    @Test
    void precisionAndRecallEqualTheReference() {
        JsonNode expected = Golden.json("metrics/expected.json").get("manifold");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> features = Golden.tensors("metrics/manifold.safetensors");
            Tensor sample = features.get("sample"), reference = features.get("ref");
            int k = expected.get("k").asInt();
            PrecisionRecall actual = PrecisionRecall.of(sample, reference, k);
            assertNear(expected.get("precision").asDouble(), actual.precision(), 1e-6);
            assertNear(expected.get("recall").asDouble(), actual.recall(), 1e-6);
            PrecisionRecall swapped = PrecisionRecall.of(reference, sample, k);
            assertNear(actual.recall(), swapped.precision(), 1e-12);
            // not counting the picture itself among its neighbours
            PrecisionRecall wrong = PrecisionRecall.of(sample, reference, k + 1);
            assertFar(
                    "the next neighbour",
                    actual.recall() + actual.precision(),
                    wrong.recall() + wrong.precision(),
                    1e-6);
        }
    }
}
