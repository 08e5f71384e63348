package org.dit4j.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.Golden;
import org.dit4j.NativeObjects;
import org.dit4j.torch.Backend;
import org.dit4j.torch.FlatParameters;
import org.dit4j.torch.Layers;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;

class AdamWTest {
    private static final int NUM_STEPS = 20;
    /** float32 has seven digits, and each step adds a rounding of its own. */
    private static final double FLOAT32 = 1e-6;

    /** Algorithm 2 of Loshchilov and Hutter (2019), in float64; {@code decoupled} false is their "Adam with L2 regularisation". */
    private static double[] plain(double[] start, double weightDecay, boolean decoupled) {
        double[] weights = start.clone(), first = new double[start.length], second = new double[start.length];
        for (int step = 1; step <= NUM_STEPS; step++) {
            float[] gradients = gradients(step, start.length);
            for (int i = 0; i < weights.length; i++) {
                double gradient = gradients[i] + (decoupled ? 0 : weightDecay * weights[i]);
                first[i] = 0.9 * first[i] + 0.1 * gradient;
                second[i] = 0.999 * second[i] + 0.001 * gradient * gradient;
                double mean = first[i] / (1 - Math.pow(0.9, step)), square = second[i] / (1 - Math.pow(0.999, step));
                double decay = decoupled ? rate(step) * weightDecay * weights[i] : 0;
                weights[i] -= rate(step) * mean / (Math.sqrt(square) + 1e-8) + decay;
            }
        }
        return weights;
    }

    /** Of very different sizes, from 1e-6 to 1: AdamW's steps hardly depend on them. */
    private static float[] gradients(int step, int count) {
        float[] gradients = new float[count];
        Noise.normal(5, Purpose.TRAINING_NOISE, 0, step, gradients, 0, count);
        for (int i = 0; i < count; i++) gradients[i] *= (float) Math.pow(10, -(i % 7));
        return gradients;
    }

    private static double rate(int step) {
        return 0.01 / step;
    }

    /** What an optimiser step changes beside the weights. */
    private static final class Moments implements AutoCloseable {
        final FlatParameters parameters;
        final Tensor first, second, average;
        final OptimizerScalars scalars = new OptimizerScalars(Backend.device("cpu"));

        Moments(FlatParameters parameters) {
            this.parameters = parameters;
            first = TensorScope.keeping(() -> torch.zeros_like(parameters.values()));
            second = TensorScope.keeping(() -> torch.zeros_like(parameters.values()));
            average = TensorScope.keeping(() -> parameters.values().clone());
        }

        void step(double rate, double newShare, double weightDecay) {
            step(rate, newShare, weightDecay, 0);
        }

        void step(double rate, double newShare, double weightDecay, float skip) {
            try (TensorScope scope = new TensorScope()) {
                scalars.set(rate, newShare);
                KernelLookup.of(average)
                        .adamWEma(
                                parameters.values(),
                                parameters.weights(),
                                parameters.gradients(),
                                first,
                                second,
                                average,
                                Tensors.of(new float[] {skip}),
                                scalars,
                                AdamW.withDecay(weightDecay));
            }
        }

        @Override
        public void close() {
            first.close();
            second.close();
            average.close();
            scalars.close();
        }
    }

    private record Weights(double[] start, double[] end) {}

    private static Weights fused(double weightDecay) {
        try (LinearImpl layer = Layers.linear(37, 3);
                FlatParameters parameters = new FlatParameters(layer);
                Moments moments = new Moments(parameters);
                TensorScope scope = new TensorScope()) {
            double[] start = Tensors.toDoubles(parameters.values());
            for (int step = 1; step <= NUM_STEPS; step++) {
                parameters.gradients().copy_(Tensors.of(gradients(step, start.length), start.length));
                moments.step(rate(step), 0.5, weightDecay);
            }
            assertEquals(NUM_STEPS, moments.scalars.step().item_double());
            return new Weights(start, Tensors.toDoubles(parameters.values()));
        }
    }

    @Test
    void theFusedStepsAreThoseOfThePaper() {
        for (double weightDecay : new double[] {0, 0.3}) {
            Weights weights = fused(weightDecay);
            double error = Golden.relativeError(plain(weights.start(), weightDecay, true), weights.end());
            assertTrue(error <= FLOAT32, "weight decay " + weightDecay + ": relative error " + error);
        }
    }

    @Test
    void theWeightDecayIsDecoupledFromTheMoments() {
        Weights weights = fused(0.3);
        double inGradient = Golden.relativeError(plain(weights.start(), 0.3, false), weights.end());
        double none = Golden.relativeError(plain(weights.start(), 0, true), weights.end());
        assertTrue(inGradient > 100 * FLOAT32, "decay within the gradient differs by " + inGradient + " only");
        assertTrue(none > 100 * FLOAT32, "no decay differs by " + none + " only");
    }

    @Test
    void aStepFreesWhatItMakes() {
        try (LinearImpl layer = Layers.linear(4, 4);
                FlatParameters parameters = new FlatParameters(layer);
                Moments moments = new Moments(parameters)) {
            moments.step(1e-3, 0.5, 0);
            long before = NativeObjects.settled();
            moments.step(1e-3, 0.5, 0);
            assertEquals(before, Pointer.totalCount());
        }
    }

    @Test
    void theAverageFollowsTheNewWeightsByItsShare() {
        try (LinearImpl layer = Layers.linear(1, 1);
                FlatParameters parameters = new FlatParameters(layer);
                Moments moments = new Moments(parameters);
                TensorScope scope = new TensorScope()) {
            parameters.values().copy_(Tensors.of(new float[] {5, 10}, 2));
            moments.average.copy_(Tensors.of(new float[] {1, 2}, 2));
            moments.step(1e-30, 0.25, 0); // the weights stay
            assertArrayEquals(new float[] {2, 4}, Tensors.toFloats(moments.average));
            moments.step(1e-30, 1, 0);
            assertArrayEquals(new float[] {5, 10}, Tensors.toFloats(moments.average));
        }
    }

    @Test
    void aSkippedStepChangesNothing() {
        try (LinearImpl layer = Layers.linear(4, 4);
                FlatParameters parameters = new FlatParameters(layer);
                Moments moments = new Moments(parameters);
                TensorScope scope = new TensorScope()) {
            float[] before = Tensors.toFloats(parameters.values());
            parameters.gradients().fill_(new Scalar(Float.NaN));
            moments.average.zero_();
            moments.step(0.1, 0.5, 0.1, 1);
            assertArrayEquals(before, Tensors.toFloats(parameters.values()));
            assertArrayEquals(new float[20], Tensors.toFloats(moments.average));
            assertArrayEquals(new float[20], Tensors.toFloats(moments.first));
            assertEquals(0, moments.scalars.step().item_double());
        }
    }
}
