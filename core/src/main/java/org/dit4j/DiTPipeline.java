package org.dit4j;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.DiTCheckpoint;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.model.Trunk;
import org.dit4j.sample.Guidance;
import org.dit4j.sample.Solvers;
import org.dit4j.sample.StepListener;
import org.dit4j.sample.StepNoise;
import org.dit4j.sample.TorchNoise;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.Precision;
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

    /** How many latents are decoded at once: an autoencoder's activations are far larger than the network's. */
    private static final int DECODED_AT_ONCE = 8;

    private final DiT network;
    private final Trunk trunk;
    private final boolean owned;
    private final GaussianDiffusion diffusion;
    private final DiTCheckpoint.Description description;
    private final ClassNames classNames;
    private final Device device;
    private final Precision precision;
    /** The autoencoder that this pipeline opened and closes, or null. */
    private final LatentCodec codec;
    /** From latents to pictures; null where the model draws pixels, or nothing decodes. */
    private final UnaryOperator<Tensor> decoder;
    /** Pixels of a picture for each of the network's. */
    private final int downsampling;

    private DiTPipeline(
            DiT network,
            boolean owned,
            GaussianDiffusion diffusion,
            DiTCheckpoint.Description description,
            Device device,
            Precision precision,
            LatentCodec codec,
            UnaryOperator<Tensor> decoder,
            int downsampling) {
        this.network = network;
        trunk = Trunk.of(network, precision, false, device.type().intern());
        this.owned = owned;
        this.diffusion = diffusion;
        this.description = description;
        this.classNames =
                new ClassNames(description.classNames(), network.config().numClasses());
        this.device = device;
        this.precision = precision;
        this.codec = codec;
        this.decoder = decoder;
        this.downsampling = downsampling;
    }

    /**
     * Opens what {@link Checkpoints#open} finds (a run folder, a checkpoint, a published file, a diffusers folder, a name as on Hugging
     * Face's hub) on the best device there is, in float32.
     *
     * <p>A model on latents is decoded by the autoencoder that came along in a diffusers folder; else give one, or {@link #decodedBy} it.
     *
     * @throws FormatException if a file is not what it should be
     */
    public static DiTPipeline open(Path path) throws IOException {
        return open(path, "auto", Precision.FP32);
    }

    /**
     * As {@link #open(Path)}, a model on latents with its autoencoder.
     *
     * @param vae as {@link Checkpoints#openVae} takes it
     */
    public static DiTPipeline open(Path path, Path vae) throws IOException {
        return open(path, OpenOptions.DEFAULT.withVae(vae), "auto", Precision.FP32);
    }

    /** @param device as {@link Backend#device} takes it */
    public static DiTPipeline open(Path path, String device, Precision precision) throws IOException {
        return open(path, OpenOptions.DEFAULT, device, precision);
    }

    /**
     * @param options what the path alone does not say
     * @param device as {@link Backend#device} takes it
     * @throws IllegalArgumentException as {@link #decodedBy(LatentCodec)}
     */
    public static DiTPipeline open(Path path, OpenOptions options, String device, Precision precision)
            throws IOException {
        Device chosen = Backend.device(device);
        DiTWeights weights = Checkpoints.open(path, options);
        DiTCheckpoint.Description description = weights.description();
        GaussianDiffusion diffusion = GaussianDiffusion.of(description.diffusion());
        Optional<Path> vae = options.vae().isPresent() ? options.vae() : weights.vae();
        LatentCodec codec = vae.isPresent() ? Checkpoints.openVae(vae.get(), options.vaeScaling()) : null;
        DiT network = null;
        try {
            network = weights.open();
            try (TensorScope scope = new TensorScope()) {
                network.to(chosen, false);
                if (precision.weights() != ScalarType.Float) network.to(precision.weights(), false);
            }
            DiTPipeline opened =
                    new DiTPipeline(network, true, diffusion, description, chosen, precision, codec, null, 1);
            return codec == null ? opened : opened.decodedBy(codec);
        } catch (IOException | RuntimeException e) {
            if (codec != null) codec.close();
            if (network != null) network.close();
            throw e;
        }
    }

    /** Draws with a network that stays the caller's, for example the averaged one of a trainer between two of its steps. */
    public static DiTPipeline of(DiT network, DiffusionConfig diffusion, List<String> classNames, String device) {
        DiTCheckpoint.Description description = new DiTCheckpoint.Description(
                network.config(),
                classNames,
                diffusion,
                "",
                network.profile(),
                SchedulerConfig.PUBLISHED,
                Optional.empty(),
                Optional.empty());
        return new DiTPipeline(
                network,
                false,
                GaussianDiffusion.of(diffusion),
                description,
                Backend.device(device),
                Precision.FP32,
                null,
                null,
                1);
    }

    /**
     * The same model, whose latents {@code other} decodes: it is moved to this pipeline's device, and stays the caller's to close. Use this
     * pipeline in place of the one it is made of, and close either.
     *
     * @throws IllegalArgumentException if the model's latents have another number of channels than the codec's, or its file says that they
     *     are another encoder's
     */
    public DiTPipeline decodedBy(LatentCodec other) {
        description
                .latents()
                .ifPresent(latents -> latents.requireThatOf(other, "the model was trained on the latents of", ""));
        return previewedBy(other);
    }

    /**
     * As {@link #decodedBy(LatentCodec)}, for previews: by an autoencoder that imitates the one that the model was trained with, such as TAESD, which
     * is not compared with it.
     *
     * @throws IllegalArgumentException if the model's latents have another number of channels than the codec's
     */
    public DiTPipeline previewedBy(LatentCodec other) {
        requireChannels(other.channels());
        try (TensorScope scope = new TensorScope()) {
            other.to(device, ScalarType.Float);
        }
        return decodedBy(other.sliced(DECODED_AT_ONCE)::decode, other.downsampling());
    }

    /** A projection of the model's latents to colours, for previews, if its file has one. */
    public Optional<LinearRgb> colours() {
        return description.colours();
    }

    /**
     * The same model, whose latents are shown as small pictures, one pixel for each of theirs.
     *
     * @throws IllegalArgumentException as {@link #decodedBy(LatentCodec)}
     */
    public DiTPipeline decodedBy(LinearRgb colours) {
        requireChannels(colours.channels());
        return decodedBy(colours::preview, 1);
    }

    private DiTPipeline decodedBy(UnaryOperator<Tensor> other, int pixels) {
        return new DiTPipeline(network, owned, diffusion, description, device, precision, codec, other, pixels);
    }

    private void requireChannels(int channels) {
        if (channels != config().inChannels())
            throw new IllegalArgumentException("the model draws " + config().inChannels()
                    + " channels, the autoencoder has latents of " + channels
                    + "; a model on pixels has 1 or 3 and needs none");
    }

    /** The diffusion that the network was trained on. */
    public DiffusionConfig diffusion() {
        return description.diffusion();
    }

    /**
     * How many steps a request takes.
     *
     * @throws IllegalArgumentException if its steps are not understood
     */
    public int numSteps(SampleRequest request) {
        return spaced(request).numTimesteps();
    }

    /** Pixels of a picture for each of the network's, in each direction: those of a latent, or 1. */
    public int downsampling() {
        return downsampling;
    }

    /** Whether pictures come out: from pixels, or from latents with something that decodes them. */
    public boolean drawsPictures() {
        return decoder != null || config().inChannels() == 1 || config().inChannels() == 3;
    }

    public DiTConfig config() {
        return network.config();
    }

    public ClassNames classNames() {
        return classNames;
    }

    /** How the weights came about, as their file says it: "EMA 0.9999, after 400000 steps"; empty if nobody says. */
    public String weights() {
        return description.weights();
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
        List<BufferedImage> pictures = new ArrayList<>();
        sample(request, listener, batch -> pictures.addAll(Images.fromTensor(batch)));
        return pictures;
    }

    /**
     * As {@link #sample(SampleRequest, StepListener)} for numbers: hands on (N, C, H, W) float32 pictures batch by batch, in [−1, 1] but for
     * overshoot. A batch lives as long as the call.
     */
    public void sample(SampleRequest request, StepListener listener, Consumer<Tensor> pictures) {
        if (!drawsPictures())
            throw new IllegalStateException("this model draws latents of " + config().inChannels()
                    + " channels; give the autoencoder that decodes them: DiTPipeline.open(path, vae), or --vae");
        long[] labels = labels(request);
        if (request.torchNoise() && labels.length > MAX_BATCH)
            throw new IllegalArgumentException(labels.length + " pictures; noise in the order of the reference"
                    + " implementations is drawn for at most " + MAX_BATCH + " at once");
        GaussianDiffusion spaced = spaced(request);
        Denoiser denoiser = guided(request);
        for (int from = 0; from < labels.length; from += MAX_BATCH) {
            long[] indices = LongStream.range(from, Math.min(from + MAX_BATCH, labels.length))
                    .toArray();
            try (TensorScope scope = new TensorScope()) {
                Condition condition = network.config().numClasses() == 0
                        ? Condition.unconditional(indices.length)
                        : Condition.of(Tensors.to(
                                Tensors.of(Arrays.copyOfRange(labels, from, from + indices.length), indices.length),
                                device));
                Tensor solved = solve(request, spaced, denoiser, condition, indices, listener);
                pictures.accept(decoded(solved));
            }
        }
    }

    /** What the network works on, (N, C, H, W), as pictures: for the previews of a listener. */
    public List<BufferedImage> pictures(Tensor latents) {
        try (TensorScope scope = new TensorScope()) {
            return Images.fromTensor(decoded(latents));
        }
    }

    private Tensor decoded(Tensor latents) {
        return decoder == null ? latents : decoder.apply(latents);
    }

    /** diffusers' DDIM takes timesteps of its own for a plain number of steps. */
    private GaussianDiffusion spaced(SampleRequest request) {
        String steps = request.steps().strip();
        boolean leading = network.profile() == Profile.DIFFUSERS && request.sampler() == SampleRequest.Sampler.DDIM;
        return leading && steps.matches("[0-9]{1,9}")
                ? diffusion.at(description.scheduler().timesteps(diffusion.numTimesteps(), Integer.parseInt(steps)))
                : diffusion.spaced(steps);
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
                request.guideAll() || network.profile().guidesAllChannels()
                        ? channels
                        : Math.min(channels, Guidance.PUBLISHED_CHANNELS));
        return Guidance.within(request.guidedFrom(), request.guidedTo(), guided, plain);
    }

    private Tensor predict(Tensor latents, double timestep, Condition condition) {
        return TensorScope.local(() -> {
            Tensor t = torch.full(
                    new long[] {latents.size(0)}, new Scalar((float) timestep), new TensorOptions(latents.device()));
            return trunk.predict(latents, t, condition.labels());
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
        int channels = config.inChannels(), height = config.inputHeight(), width = config.inputWidth();
        // pixels lie in [−1, 1]; latents do not
        boolean clip = decoder == null
                || network.profile() == Profile.DIFFUSERS
                        && description.scheduler().clip();
        if (!request.torchNoise()) {
            Tensor start = Noise.normal(request.seed(), Purpose.SAMPLE_START, 0, indices, channels, height, width);
            StepNoise noise = StepNoise.byIndex(request.seed(), indices);
            return solve(request, spaced, denoiser, Tensors.to(start, device), condition, noise, clip, listener);
        }
        // the published scripts draw for both halves of a guided batch, diffusers for one
        boolean doubled = request.guidance() != 1 && network.profile() == Profile.OFFICIAL;
        try (TorchNoise noise = new TorchNoise(request.seed(), device, doubled)) {
            Tensor start = noise.normal(indices.length, channels, height, width);
            return solve(request, spaced, denoiser, start, condition, noise, clip, listener);
        }
    }

    private static Tensor solve(
            SampleRequest request,
            GaussianDiffusion spaced,
            Denoiser denoiser,
            Tensor start,
            Condition condition,
            StepNoise noise,
            boolean clip,
            StepListener listener) {
        return switch (request.sampler()) {
            case DDPM -> Solvers.ddpm(denoiser, spaced, start, condition, noise, clip, listener);
            case DDIM -> Solvers.ddim(denoiser, spaced, start, condition, request.eta(), noise, clip, listener);
        };
    }

    @Override
    public void close() {
        if (owned) network.close();
        if (codec != null) codec.close();
    }
}
