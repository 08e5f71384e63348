package org.dit4j;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.TrainState;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.sample.Guidance;
import org.dit4j.sample.Solvers;
import org.dit4j.sample.StepListener;
import org.dit4j.sample.StepNoise;
import org.dit4j.torch.Autocast;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LinearRgb;

/**
 * A trained model that draws pictures. Any number of threads may ask it at once; each gets the pictures that it would get alone. Close it
 * when nobody asks any more.
 */
public final class DiTPipeline implements AutoCloseable {
    /** How many pictures go through the network at once, twice as many rows when guided. */
    public static final int MAX_BATCH = 64;

    private static final int DECODED_AT_ONCE = 8;

    /** What the network computes in. */
    public enum Precision {
        FP32,
        /** Weights in float32, matrix products in bfloat16. */
        AUTOCAST,
        /** Weights and all in bfloat16. */
        BF16
    }

    private final DiT network;
    private final boolean owned;
    private final ClassNames classNames;
    private final String weights;
    private final Device device;
    private final Precision precision;
    private final GaussianDiffusion diffusion;
    /** From latents to pictures; null where the model draws pixels. */
    private final UnaryOperator<Tensor> decoder;

    private DiTPipeline(
            DiT network,
            boolean owned,
            GaussianDiffusion diffusion,
            ClassNames classNames,
            String weights,
            Device device,
            Precision precision,
            UnaryOperator<Tensor> decoder) {
        this.network = network;
        this.owned = owned;
        this.weights = weights;
        this.classNames = classNames;
        this.device = device;
        this.precision = precision;
        this.diffusion = diffusion;
        this.decoder = decoder;
    }

    /**
     * Opens a run folder (its newest checkpoint's averaged weights), a checkpoint's folder, or a safetensors file that dit4j wrote, on the
     * best device there is, in float32.
     *
     * @throws FormatException if the file is not what it should be
     */
    public static DiTPipeline open(Path path) throws IOException {
        return open(path, "auto", Precision.FP32);
    }

    /**
     * @param device as {@link Backend#device} takes it
     * @throws FormatException if the file is not what it should be
     */
    public static DiTPipeline open(Path path, String device, Precision precision) throws IOException {
        Device chosen = Backend.device(device);
        Path file = weights(path);
        DiTCheckpoint.Description description = DiTCheckpoint.describe(file);
        GaussianDiffusion diffusion = diffusion(file, description);
        DiT network = DiTCheckpoint.open(file);
        try (TensorScope scope = new TensorScope()) {
            network.to(chosen, false);
            if (precision == Precision.BF16) network.to(ScalarType.BFloat16, false);
        }
        ClassNames names =
                new ClassNames(description.classNames(), network.config().numClasses());
        return new DiTPipeline(network, true, diffusion, names, description.weights(), chosen, precision, null);
    }

    /** Draws with a network that stays the caller's, for example the averaged one of a trainer between two of its steps. */
    public static DiTPipeline of(DiT network, GaussianDiffusion diffusion, List<String> classNames, String device) {
        ClassNames names = new ClassNames(classNames, network.config().numClasses());
        return new DiTPipeline(network, false, diffusion, names, "", Backend.device(device), Precision.FP32, null);
    }

    /**
     * The same model, whose latents {@code codec} decodes: it is moved to this pipeline's device, and stays the caller's to close. Use this
     * pipeline in place of the one it is made of, and close either.
     *
     * @throws IllegalArgumentException if the model's latents have another number of channels than the codec's
     */
    public DiTPipeline decodedBy(LatentCodec codec) {
        requireChannels(codec.channels());
        try (TensorScope scope = new TensorScope()) {
            codec.to(device, ScalarType.Float);
        }
        return decodedBy(codec.sliced(DECODED_AT_ONCE)::decode);
    }

    /**
     * The same model, whose latents are shown as small pictures, one pixel for each of theirs.
     *
     * @throws IllegalArgumentException as {@link #decodedBy(LatentCodec)}
     */
    public DiTPipeline decodedBy(LinearRgb colours) {
        requireChannels(colours.channels());
        return decodedBy(colours::preview);
    }

    private DiTPipeline decodedBy(UnaryOperator<Tensor> decoder) {
        return new DiTPipeline(network, owned, diffusion, classNames, weights, device, precision, decoder);
    }

    private void requireChannels(int channels) {
        if (channels != config().inChannels())
            throw new IllegalArgumentException("the model draws " + config().inChannels()
                    + " channels, the autoencoder has latents of " + channels);
    }

    private static GaussianDiffusion diffusion(Path file, DiTCheckpoint.Description description)
            throws FormatException {
        GaussianDiffusion diffusion;
        try {
            diffusion = GaussianDiffusion.parse(description.diffusion());
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
        if (diffusion.variance().isLearned() != description.model().learnSigma())
            throw new FormatException(
                    file,
                    "says that its diffusion is \"" + description.diffusion() + "\", but its model predicts "
                            + (description.model().learnSigma() ? "a" : "no") + " variance");
        return diffusion;
    }

    /** The file of weights that a path means. */
    private static Path weights(Path path) throws IOException {
        if (!Files.exists(path))
            throw new NoSuchFileException(path.toString(), null, "no such run folder, checkpoint or safetensors file");
        if (!Files.isDirectory(path)) return path;
        if (Files.exists(path.resolve(TrainState.EMA))) return path.resolve(TrainState.EMA);
        Path checkpoints = Files.isDirectory(path.resolve("checkpoints")) ? path.resolve("checkpoints") : path;
        return TrainState.latest(checkpoints)
                .map(checkpoint -> checkpoint.resolve(TrainState.EMA))
                .orElseThrow(() -> new FormatException(
                        path,
                        "holds no checkpoint; give a run folder, a checkpoint's folder (with " + TrainState.EMA
                                + ") or a safetensors file"));
    }

    /** The diffusion that the network was trained on. */
    public GaussianDiffusion diffusion() {
        return diffusion;
    }

    public DiTConfig config() {
        return network.config();
    }

    public ClassNames classNames() {
        return classNames;
    }

    /** How the weights came about, as their file says it: "EMA 0.9999, after 400000 steps"; empty if nobody says. */
    public String weights() {
        return weights;
    }

    /** One RGB picture for each class of the request, in its order. */
    public List<BufferedImage> sample(SampleRequest request) {
        return sample(request, StepListener.NONE);
    }

    /**
     * One RGB picture for each class of the request, in its order.
     *
     * @param listener hears of every step, and may end the sampling between two
     * @throws IllegalArgumentException if a class is unknown, or the steps are not understood
     * @throws IllegalStateException if guidance is asked of a model without a null label
     * @throws java.util.concurrent.CancellationException if the listener ends it
     */
    public List<BufferedImage> sample(SampleRequest request, StepListener listener) {
        if (decoder == null && config().inChannels() != 1 && config().inChannels() != 3)
            throw new IllegalStateException("this model draws latents of " + config().inChannels()
                    + " channels; give the autoencoder that decodes them (--vae)");
        long[] labels = labels(request);
        GaussianDiffusion spaced = diffusion.spaced(request.steps());
        Denoiser denoiser = guided(request);
        List<BufferedImage> pictures = new ArrayList<>();
        for (int from = 0; from < labels.length; from += MAX_BATCH) {
            long[] indices = LongStream.range(from, Math.min(from + MAX_BATCH, labels.length))
                    .toArray();
            try (TensorScope scope = new TensorScope()) {
                Condition condition = network.config().numClasses() == 0
                        ? Condition.unconditional(indices.length)
                        : Condition.of(Tensors.to(
                                Tensors.of(Arrays.copyOfRange(labels, from, from + indices.length), indices.length),
                                device));
                pictures.addAll(pictures(solve(request, spaced, denoiser, condition, indices, listener)));
            }
        }
        return pictures;
    }

    /** What the network works on, (N, C, H, W), as pictures: for the previews of a listener. */
    public List<BufferedImage> pictures(Tensor latents) {
        try (TensorScope scope = new TensorScope()) {
            return Images.fromTensor(decoder == null ? latents : decoder.apply(latents));
        }
    }

    private long[] labels(SampleRequest request) {
        if (network.config().numClasses() == 0)
            return new long[request.classes().size()];
        return request.classes().stream().mapToLong(classNames::label).toArray();
    }

    private Denoiser guided(SampleRequest request) {
        Denoiser plain = this::predict;
        if (request.guidance() == 1) return plain;
        int channels = network.config().inChannels();
        Denoiser guided = Guidance.classifierFree(
                plain,
                request.guidance(),
                network.config().nullLabel(),
                request.guideAll() ? channels : Math.min(channels, Guidance.PUBLISHED_CHANNELS));
        return Guidance.within(request.guidedFrom(), request.guidedTo(), guided, plain);
    }

    private Tensor predict(Tensor latents, double timestep, Condition condition) {
        return TensorScope.local(() -> {
            Tensor t = torch.full(
                    new long[] {latents.size(0)}, new Scalar((float) timestep), new TensorOptions(latents.device()));
            if (precision != Precision.AUTOCAST)
                return network.forward(latents, t, condition.labels()).to(ScalarType.Float);
            try (Autocast autocast = new Autocast(device.type().intern())) {
                return network.forward(latents, t, condition.labels()).to(ScalarType.Float);
            }
        });
    }

    private Tensor solve(
            SampleRequest request,
            GaussianDiffusion spaced,
            Denoiser denoiser,
            Condition condition,
            long[] indices,
            StepListener listener) {
        DiTConfig config = network.config();
        Tensor start = Tensors.to(
                Noise.normal(
                        request.seed(),
                        Purpose.SAMPLE_START,
                        0,
                        indices,
                        config.inChannels(),
                        config.inputHeight(),
                        config.inputWidth()),
                device);
        StepNoise noise = StepNoise.byIndex(request.seed(), indices);
        boolean clip = decoder == null; // pixels lie in [−1, 1], latents do not
        return switch (request.sampler()) {
            case DDPM -> Solvers.ddpm(denoiser, spaced, start, condition, noise, clip, listener);
            case DDIM -> Solvers.ddim(denoiser, spaced, start, condition, request.eta(), noise, clip, listener);
        };
    }

    @Override
    public void close() {
        if (owned) network.close();
    }
}
