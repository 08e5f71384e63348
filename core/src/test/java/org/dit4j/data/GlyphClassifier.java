package org.dit4j.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Layers;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * A small convolutional network that names glyphs, to judge generated ones. It learns from glyphs with noise on them, so that it sees the shape
 * and not the cleanness of an edge.
 */
public final class GlyphClassifier {
    static {
        Backend.configure();
    }

    private static final int STEPS = 400, BATCH_SIZE = 64;

    private static final class Network extends Module {
        final Conv2dImpl conv1 = register_module("conv1", Layers.conv2d(3, 16, 3, 1, 1, true));
        final Conv2dImpl conv2 = register_module("conv2", Layers.conv2d(16, 32, 3, 2, 1, true));
        final Conv2dImpl conv3 = register_module("conv3", Layers.conv2d(32, 64, 3, 2, 1, true));
        final Conv2dImpl conv4 = register_module("conv4", Layers.conv2d(64, 64, 3, 2, 1, true));
        final LinearImpl head = register_module("head", Layers.linear(64 * 4 * 4, 10));

        /** (N, 3, 32, 32) → (N, 10) logits. */
        Tensor forward(Tensor x) {
            x = conv1.forward(x).relu();
            x = conv2.forward(x).relu();
            x = conv3.forward(x).relu();
            x = conv4.forward(x).relu();
            return head.forward(x.flatten(1, 3));
        }
    }

    private final Network network;

    private GlyphClassifier(Network network) {
        this.network = network;
    }

    /** Trains for some ten seconds on two cores, on glyphs of {@code seed}; sets the seed of LibTorch's generator. */
    public static GlyphClassifier train(long seed) {
        Backend.load();
        torch.manual_seed(seed);
        Network network = new Network();
        try (AdamW optimizer = new AdamW(network.parameters(), new AdamWOptions(2e-3));
                BatchLoader loader = new BatchLoader(new Glyphs(seed), LoaderConfig.of(seed, BATCH_SIZE))) {
            for (int step = 0; step < STEPS; step++)
                try (TensorScope scope = new TensorScope()) {
                    Batch batch = loader.next();
                    long[] samples = new long[BATCH_SIZE];
                    for (int i = 0; i < BATCH_SIZE; i++) samples[i] = batch.firstSample() + i;
                    Tensor noise = Noise.normal(seed, Purpose.TRAINING_NOISE, 0, samples, 3, 32, 32);
                    Tensor noised = batch.images().add(noise.mul(Tensors.of(new float[] {0.15f}, 1)));
                    Tensor labels = Tensors.of(batch.labels(), BATCH_SIZE);
                    optimizer.zero_grad();
                    torch.cross_entropy_loss(network.forward(noised), labels).backward();
                    optimizer.step();
                }
            return new GlyphClassifier(network);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The class of each picture of (N, 3, 32, 32) in [−1, 1], as {@link Glyphs#classNames} numbers them. */
    public int[] classify(Tensor images) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            long[] classes = Tensors.toLongs(network.forward(images).argmax(new LongOptional(1), false));
            int[] labels = new int[classes.length];
            for (int i = 0; i < labels.length; i++) labels[i] = (int) classes[i];
            return labels;
        }
    }
}
