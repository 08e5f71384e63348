package org.dit4j;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.checkpoint.Checkpoints;
import org.dit4j.checkpoint.Content;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.DiTWeights;
import org.dit4j.checkpoint.OpenOptions;
import org.dit4j.diffusion.Condition;
import org.dit4j.diffusion.Denoiser;
import org.dit4j.diffusion.DiffusersProcess;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.io.Finite;
import org.dit4j.io.FormatException;
import org.dit4j.io.Images;
import org.dit4j.kernels.KernelLookup;
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
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Noise.Purpose;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.torch.WeightDigest;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LinearRgb;

/**
 * A trained model that draws pictures. Any number of threads may ask it at once; each gets the pictures that it would get alone. Who opened
 * it closes it: closing ends what still draws, with a {@link CancellationException}, and waits for that.
 */
public final class DiTPipeline implements AutoCloseable {
    private static final int MOST_AT_ONCE = 64;
    /** What the rows of a batch may take in the network. */
    private static final long ROWS_BYTES = 4L << 30;

    private final DiT network;
    private final Trunk trunk;
    private final GaussianDiffusion diffusion;
    private final DiTDescription description;
    private final ClassNames classNames;
    private final Device device;
    /** Null where the model draws latents and nothing decodes them. */
    private final PictureDecoder decoder;
    /** Null where none was opened with the model. */
    private final LatentCodec codec;

    private final Lifetime lifetime;

    private DiTPipeline(
            DiT network,
            DiTDescription description,
            Device device,
            Precision precision,
            PictureDecoder decoder,
            LatentCodec codec,
            Runnable free) {
        if (decoder != null) decoder.requireChannels(network.config().inChannels());
        this.network = network;
        trunk = Trunk.toPredict(network, precision, device);
        diffusion = GaussianDiffusion.of(description.diffusion());
        this.description = description;
        classNames = new ClassNames(description.classNames(), network.config().numClasses());
        this.device = device;
        this.decoder = decoder;
        this.codec = codec;
        lifetime = new Lifetime("this pipeline", () -> {
            trunk.close();
            free.run();
        });
    }

    /**
     * Opens what {@link Checkpoints#open} finds (a run folder, a checkpoint, a published file, a diffusers folder, a name as on Hugging
     * Face's hub) on the best device there is, in float32.
     *
     * <p>A model on latents is decoded by the autoencoder that came along in a diffusers folder; else give one.
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
     * @throws IllegalArgumentException if the model's latents have another number of channels than the autoencoder's, or its file says that
     *     they are another encoder's
     */
    public static DiTPipeline open(Path path, OpenOptions options, String device, Precision precision)
            throws IOException {
        Device chosen = Backend.device(device);
        DiTWeights weights = Checkpoints.open(path, options);
        DiTDescription description = weights.description();
        Optional<Path> vae = options.vae().isPresent() ? options.vae() : weights.vae();
        LatentCodec codec = vae.isPresent() ? Checkpoints.openVae(vae.get(), options.vaeScaling()) : null;
        DiT network = null;
        try {
            network = weights.open();
            try (TensorScope scope = new TensorScope()) {
                network.to(chosen, false);
                if (precision.weights() != ScalarType.Float) network.to(precision.weights(), false);
            }
            if (codec != null && description.latents().isPresent())
                description.latents().get().requireThatOf(codec, "the model was trained on the latents of", "");
            PictureDecoder decoder = codec != null
                    ? PictureDecoder.of(codec, chosen)
                    : description.content() == Content.PIXELS ? PictureDecoder.PIXELS : null;
            DiT opened = network;
            return new DiTPipeline(network, description, chosen, precision, decoder, codec, () -> {
                opened.close();
                if (codec != null) codec.close();
            });
        } catch (IOException | RuntimeException e) {
            if (codec != null) codec.close();
            if (network != null) network.close();
            throw e;
        }
    }

    /**
     * Draws with a network that stays the caller's, for example the averaged one of a training between two of its steps.
     *
     * @param decoder {@link PictureDecoder#PIXELS}, or what decodes the network's latents
     */
    public static DiTPipeline of(
            DiT network, DiffusionConfig diffusion, List<String> classNames, String device, PictureDecoder decoder) {
        DiTDescription description = new DiTDescription(
                network.config(),
                classNames,
                diffusion,
                "",
                network.profile(),
                SchedulerConfig.PUBLISHED,
                Optional.empty(),
                Optional.empty(),
                decoder == PictureDecoder.PIXELS ? Content.PIXELS : Content.LATENTS);
        return new DiTPipeline(network, description, Backend.device(device), Precision.FP32, decoder, null, () -> {});
    }

    /** A projection of the model's latents to colours, for previews, if its file has one. */
    public Optional<LinearRgb> colours() {
        return description.colours();
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
        DiffusersProcess scheduled = scheduled(request);
        return scheduled != null ? scheduled.numTimesteps() : spaced(request).numTimesteps();
    }

    /** How diffusers goes through the diffusion; of consequence to networks that follow its arithmetic only. */
    public SchedulerConfig scheduler() {
        return description.scheduler();
    }

    /** Pixels of a picture for each of the network's, in each direction: those of a latent, or 1. */
    public int downsampling() {
        return decoder == null ? 1 : decoder.downsampling();
    }

    /** Whether pictures come out: from pixels, or from latents with something that decodes them. */
    public boolean drawsPictures() {
        return decoder != null;
    }

    /** What makes pictures of what the network works on, for the previews of a listener; nothing if nothing does. */
    public Optional<PictureDecoder> decoder() {
        return Optional.ofNullable(decoder);
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

    /** SHA-256, in hex, of the weights of the network. */
    public String weightsDigest() {
        return lifetime.use(() -> WeightDigest.of(network, ScalarType.Float, name -> true));
    }

    /** The same of the autoencoder that was opened with the model; nothing if there is none. */
    public Optional<String> autoencoderDigest() {
        return lifetime.use(() -> Optional.ofNullable(codec)
                .map(opened -> opened instanceof Module module
                        ? WeightDigest.of(module, ScalarType.Float, name -> true)
                        : opened.encoderDigest()));
    }

    /**
     * How many pictures go through the network at once where a request does not say: as many as take 4 GiB, guided, and at most 64. It
     * follows from the model alone, so that the same request draws the same bits on every machine of one kind.
     */
    public int picturesAtOnce() {
        return (int) Math.max(1, Math.min(MOST_AT_ONCE, ROWS_BYTES / bytesOf(1)));
    }

    /** About the memory that so many pictures take while they are drawn, guided, in bytes. */
    public long bytesOf(int pictures) {
        return network.config().predictionBytes(2L * pictures);
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
     * @throws IllegalStateException if guidance is asked of a model without a null label; if the pictures would be no pictures, because
     *     there are no numbers in them; or if this pipeline is closed
     * @throws CancellationException if the listener ends it, or the pipeline is closed meanwhile
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
        sampleLatents(request, listener, latents -> {
            Tensor decoded = decoder.decode(latents);
            Finite.requirePictures(
                    decoded, "the pictures", "the autoencoder makes them of latents that are numbers; check its file");
            pictures.accept(decoded);
        });
    }

    /**
     * As {@link #sample(SampleRequest, StepListener, Consumer)} for what the network itself draws, (N, C, h, w) float32: latents, scaled, or
     * pixels.
     */
    public void sampleLatents(SampleRequest request, StepListener listener, Consumer<Tensor> latents) {
        lifetime.use(() -> {
            draw(request, listener, latents);
            return null;
        });
    }

    private void draw(SampleRequest request, StepListener listener, Consumer<Tensor> latents) {
        long[] labels = labels(request);
        int most = request.batchSize() == 0 ? picturesAtOnce() : request.batchSize();
        if (request.torchNoise()) {
            if (labels.length > MOST_AT_ONCE)
                throw new IllegalArgumentException(labels.length + " pictures; noise in the order of the reference"
                        + " implementations is drawn for at most " + MOST_AT_ONCE + " at once");
            most = labels.length;
        }
        numSteps(request); // what cannot be drawn is refused before the first batch
        Denoiser denoiser = guided(request);
        StepListener ending = step -> !lifetime.isClosing() && listener.onStep(step);
        for (int from = 0; from < labels.length; from += most) {
            int count = Math.min(most, labels.length - from);
            long first = request.firstIndex() + from;
            long[] indices = LongStream.range(first, first + count).toArray();
            try (TensorScope scope = new TensorScope()) {
                Condition condition = network.config().numClasses() == 0
                        ? Condition.unconditional(count)
                        : Condition.of(
                                Tensors.to(Tensors.of(Arrays.copyOfRange(labels, from, from + count), count), device));
                Tensor solved = solve(request, denoiser, condition, indices, ending);
                Finite.requirePictures(
                        solved, "the network's " + description.content().word(), "check its weights");
                latents.accept(solved);
            }
        }
    }

    /**
     * diffusers' own way for a plain number of steps, where the published one differs in more than the timesteps; else null. Its DDPM is taken
     * where the folder has it: a DiT's DDIM says nothing of the variance that the network predicts.
     */
    private DiffusersProcess scheduled(SampleRequest request) {
        SchedulerConfig config = description.scheduler();
        if (network.profile() != Profile.DIFFUSERS) return null;
        if (!config.unknown().isEmpty()) throw new IllegalArgumentException(config.unknown());
        boolean ddim = request.sampler() == SampleRequest.Sampler.DDIM;
        boolean plain = ddim && config.isPlain(diffusion.numTimesteps(), steps(request)) && !config.clip();
        if (!plain && steps(request) > 0 && (ddim || config.solver().equals(SchedulerConfig.DDPM))) {
            SchedulerConfig clipped = description.content() == Content.PIXELS ? config.clipped() : config;
            return ddim
                    ? DiffusersProcess.ddim(description.diffusion(), clipped, steps(request))
                    : DiffusersProcess.ddpm(description.diffusion(), clipped, steps(request));
        }
        if (config.suitsOtherSolvers()) return null;
        throw new IllegalArgumentException("the scheduler of these weights (" + config.text()
                + ") is done as diffusers does it, or not at all; take ddim, and a plain number of steps");
    }

    /** A plain number of steps, or 0. */
    private static int steps(SampleRequest request) {
        String steps = request.steps().strip();
        return steps.matches("[0-9]{1,9}") ? Integer.parseInt(steps) : 0;
    }

    /** diffusers' DDIM takes timesteps of its own for a plain number of steps. */
    private GaussianDiffusion spaced(SampleRequest request) {
        boolean leading = network.profile() == Profile.DIFFUSERS && request.sampler() == SampleRequest.Sampler.DDIM;
        return leading && steps(request) > 0
                ? diffusion.at(description.scheduler().timesteps(diffusion.numTimesteps(), steps(request)))
                : diffusion.spaced(request.steps());
    }

    private long[] labels(SampleRequest request) {
        if (network.config().numClasses() == 0)
            return new long[request.classes().size()];
        return request.classes().stream()
                .mapToLong(choice -> {
                    int label = classNames.label(choice);
                    return label >= 0 ? label : network.config().nullLabel();
                })
                .toArray();
    }

    private Denoiser guided(SampleRequest request) {
        Denoiser plain = this::predict;
        if (request.guidance() == 1) return plain;
        Denoiser guided = Guidance.classifierFree(
                plain, request.guidance(), network.config().nullLabel(), guidedChannels(request));
        return Guidance.within(request.guidedFrom(), request.guidedTo(), guided, plain);
    }

    /** How many of the network's channels guidance changes, the first ones: all, or three, as the published code does. */
    public int guidedChannels(SampleRequest request) {
        int channels = network.config().inChannels();
        return request.guideAll() || network.profile().guidesAllChannels()
                ? channels
                : Math.min(channels, Guidance.PUBLISHED_CHANNELS);
    }

    private Tensor predict(Tensor latents, double timestep, Condition condition) {
        return TensorScope.local(() -> {
            Tensor t = torch.full(
                    new long[] {latents.size(0)}, new Scalar((float) timestep), new TensorOptions(latents.device()));
            return trunk.predict(latents, t, condition.labels());
        });
    }

    private Tensor solve(
            SampleRequest request, Denoiser denoiser, Condition condition, long[] indices, StepListener listener) {
        DiTConfig config = network.config();
        int channels = config.inChannels(), height = config.inputHeight(), width = config.inputWidth();
        // pixels lie in [−1, 1]; latents do not
        boolean clip = description.content() == Content.PIXELS
                || network.profile() == Profile.DIFFUSERS
                        && description.scheduler().clip();
        if (!request.torchNoise()) {
            Tensor start = KernelLookup.of(device)
                    .normal(request.seed(), Purpose.SAMPLE_START, 0, indices, device, channels, height, width);
            StepNoise noise = StepNoise.byIndex(request.seed(), indices);
            return solve(request, denoiser, start, condition, noise, clip, listener);
        }
        // the published scripts and diffusers draw for both halves of a guided batch
        try (TorchNoise noise = new TorchNoise(request.seed(), device, request.guidance() != 1)) {
            Tensor start = noise.normal(indices.length, channels, height, width);
            return solve(request, denoiser, start, condition, noise, clip, listener);
        }
    }

    private Tensor solve(
            SampleRequest request,
            Denoiser denoiser,
            Tensor start,
            Condition condition,
            StepNoise noise,
            boolean clip,
            StepListener listener) {
        DiffusersProcess scheduled = scheduled(request);
        if (scheduled != null)
            return Solvers.diffusers(denoiser, scheduled, start, condition, request.eta(), noise, listener);
        GaussianDiffusion spaced = spaced(request);
        return switch (request.sampler()) {
            case DDPM -> Solvers.ddpm(denoiser, spaced, start, condition, noise, clip, listener);
            case DDIM -> Solvers.ddim(denoiser, spaced, start, condition, request.eta(), noise, clip, listener);
        };
    }

    @Override
    public void close() {
        lifetime.close();
    }
}
