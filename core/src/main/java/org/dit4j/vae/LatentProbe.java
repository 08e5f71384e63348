package org.dit4j.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * What an encoder makes of one fixed picture: a few numbers to be kept beside its digest, so that a copy whose weights were rounded is known
 * for the same, although its digest is another, without the original at hand.
 */
final class LatentProbe {
    /** Numbers of a probe. */
    private static final int LENGTH = 32;
    /** Latent pixels of the picture's side. */
    private static final int SIDE = 8;
    /**
     * The root of the mean squared difference, relative. Rounding to float16 moves it by some 0.001, computing in bfloat16 by some 0.01; another
     * encoder by about 1.
     */
    private static final double TOLERANCE = 0.03;

    static {
        Backend.configure();
    }

    private LatentProbe() {}

    /** Of an encoder, on its device and in its dtype: numbers among the mean of its raw latents, in a fixed order. */
    static List<Double> of(Function<Tensor, LatentDistribution> encoder, int downsampling) {
        try (TensorScope scope = new TensorScope()) {
            Tensor mean = encoder.apply(picture(SIDE * downsampling)).mean();
            float[] numbers =
                    Tensors.toFloats(Tensors.to(mean, Backend.device("cpu")).contiguous());
            List<Double> probe = new ArrayList<>();
            for (int i = 0; i < LENGTH; i++) {
                // prime to most sizes, so that all channels and places come up
                float number = numbers[(int) (i * 7919L % numbers.length)];
                probe.add(Math.rint(number * 1e5) / 1e5);
            }
            return probe;
        }
    }

    /** (1, 3, side, side) in [−1, 1]: waves of another length in each colour, over squares. */
    private static Tensor picture(int side) {
        float[] pixels = new float[3 * side * side];
        for (int c = 0, at = 0; c < 3; c++)
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++, at++) {
                    double wave = Math.sin(0.11 * (c + 1) * x + 0.07 * (3 - c) * y + c);
                    double square = (x / 8 + y / 8) % 2 == 0 ? 1 : -1;
                    pixels[at] = (float) (0.6 * wave + 0.35 * square);
                }
        return Tensors.of(pixels, 1, 3, side, side);
    }

    /** Whether two probes are of one encoder, but for rounding; one that is not there is like none. */
    static boolean close(List<Double> one, List<Double> other) {
        if (one.isEmpty() || one.size() != other.size()) return false;
        double difference = 0, size = 0;
        for (int i = 0; i < one.size(); i++) {
            difference += Math.pow(one.get(i) - other.get(i), 2);
            size += Math.pow(one.get(i), 2);
        }
        return Math.sqrt(difference) <= TOLERANCE * Math.sqrt(size); // false for NaN
    }
}
