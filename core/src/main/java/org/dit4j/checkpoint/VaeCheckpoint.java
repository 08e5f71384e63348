package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.Finite;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.AutoencoderKlConfig;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentScaling;
import org.dit4j.vae.TinyAutoencoderConfig;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Opens autoencoders as they are published, and writes them as diffusers does. */
public final class VaeCheckpoint {
    static {
        Backend.configure();
    }

    private static final String TAESD_ENCODER = "taesd_encoder.safetensors";
    private static final String TAESD_DECODER = "taesd_decoder.safetensors";

    private static final Logger log = LoggerFactory.getLogger(VaeCheckpoint.class);

    private VaeCheckpoint() {}

    /**
     * Opens, on the CPU and in float32, one of
     * <ul>
     *   <li>a diffusers folder: {@code config.json} of an {@code AutoencoderKL} or {@code AutoencoderTiny} and
     *       {@code diffusion_pytorch_model.safetensors} (or {@code .bin}, in shards, as the fp16 variant),
     *   <li>a folder with {@code taesd_encoder.safetensors} and {@code taesd_decoder.safetensors},
     *   <li>one safetensors or {@code .pt}, {@code .bin}, {@code .ckpt} file of an {@code AutoencoderKL}, under any of the names that {@link VaeKeyNames#current} knows. A
     *       {@code config.json} beside it is heeded; without one it is Stable Diffusion's in all that shapes do not tell: 32 groups, scale
     *       {@link org.dit4j.vae.LatentScaling#STABLE_DIFFUSION}.
     * </ul>
     *
     * Call it outside any step's scope; the caller closes the codec.
     *
     * @throws FormatException if a file is damaged, or is no autoencoder, or not one that is known here; a single file of latents that are
     *     not of 4 channels does not say their scale: give it
     * @throws NoSuchFileException if there is no such path, or a folder lacks its weights
     */
    public static LatentCodec open(Path path) throws IOException {
        return open(path, Optional.empty());
    }

    /**
     * As {@link #open(Path)}.
     *
     * @param scaling between raw latents and latents, of a single file, which cannot say it
     * @throws IllegalArgumentException if a scaling is given for what says its own
     */
    public static LatentCodec open(Path path, Optional<LatentScaling> scaling) throws IOException {
        boolean silent = !Files.isDirectory(path) && !Files.exists(path.resolveSibling(DiffusersPart.CONFIG));
        if (scaling.isPresent() && Files.exists(path) && !silent)
            throw new IllegalArgumentException(
                    path + ": its configuration, or its kind, says how its latents are scaled; give no scale for it");
        if (Files.isDirectory(path)) return openFolder(path);
        if (!Files.exists(path))
            throw new NoSuchFileException(
                    path.toString(),
                    null,
                    "no such file or folder; give a diffusers vae folder, a taesd folder, or a"
                            + " .safetensors file of an autoencoder");
        Path config = path.resolveSibling(DiffusersPart.CONFIG);
        if (Files.exists(config) && className(config).equals("AutoencoderKL"))
            return openKl(path, readConfig(config), true);
        return openKl(
                path,
                scaling.map(AutoencoderKlConfig.STABLE_DIFFUSION::withScaling)
                        .orElse(AutoencoderKlConfig.STABLE_DIFFUSION),
                false,
                scaling.isPresent());
    }

    /** As {@link #open(Path, Optional)}, and of a pipeline its autoencoder, and by the names that {@link Checkpoints#openVae} knows. */
    static LatentCodec openNamed(Path path, Optional<LatentScaling> scaling) throws IOException {
        Path named = Files.exists(path) ? path : published(path);
        if (!Files.exists(named) && !HubCache.isName(named))
            throw new NoSuchFileException(
                    path.toString(),
                    null,
                    "no such file or folder; give a diffusers vae folder, a taesd folder, a .safetensors or .bin file of an"
                            + " autoencoder, ema, mse, or a name as on Hugging Face's hub, such as stabilityai/sd-vae-ft-mse");
        Path found = HubCache.ofEnvironment().resolve(named);
        boolean pipeline = Files.isDirectory(found.resolve("vae")) && !Files.exists(found.resolve("config.json"));
        return open(pipeline ? found.resolve("vae") : found, scaling);
    }

    private static Path published(Path name) {
        return switch (name.toString()) {
            case "ema" -> Path.of("stabilityai", "sd-vae-ft-ema");
            case "mse" -> Path.of("stabilityai", "sd-vae-ft-mse");
            default -> name;
        };
    }

    /** Opens one safetensors file of an {@code AutoencoderKL}, whose configuration must be {@code config}. */
    public static AutoencoderKl open(Path file, AutoencoderKlConfig config) throws IOException {
        return openKl(file, config, true);
    }

    /** Writes a diffusers folder, which {@link #open} and diffusers open; makes the folder where there is none. */
    public static void write(Path folder, AutoencoderKl codec) throws IOException {
        Files.createDirectories(folder);
        JsonFile.write(folder.resolve(DiffusersPart.CONFIG), codec.config().toJson());
        try (TensorScope scope = new TensorScope()) {
            Safetensors.write(folder.resolve(DiffusersPart.WEIGHTS), StateDict.of(codec), Map.of("format", "pt"));
        }
    }

    private static LatentCodec openFolder(Path folder) throws IOException {
        Path config = folder.resolve(DiffusersPart.CONFIG);
        if (Files.exists(config)) {
            String name = className(config);
            return switch (name) {
                case "AutoencoderKL" -> openKl(DiffusersPart.weightsIn(folder), readConfig(config), true);
                case "AutoencoderTiny" -> openTiny(config, DiffusersPart.weightsIn(folder));
                default ->
                    throw new FormatException(
                            config, "_class_name is \"" + name + "\"; known are AutoencoderKL and AutoencoderTiny");
            };
        }
        if (Files.exists(folder.resolve(TAESD_ENCODER)) || Files.exists(folder.resolve(TAESD_DECODER)))
            return openTaesd(folder);
        String hint = Files.isDirectory(folder.resolve("vae"))
                ? "; this looks like a pipeline, its autoencoder is " + folder.resolve("vae")
                : "";
        throw new NoSuchFileException(
                config.toString(),
                null,
                "a folder of an autoencoder has a config.json and " + DiffusersPart.WEIGHTS + ", or " + TAESD_ENCODER
                        + " and " + TAESD_DECODER + hint);
    }

    private static AutoencoderKl openKl(Path file, AutoencoderKlConfig given, boolean whole) throws IOException {
        return openKl(file, given, whole, whole);
    }

    private static AutoencoderKl openKl(Path file, AutoencoderKlConfig given, boolean whole, boolean scaled)
            throws IOException {
        TensorFile tensors = TensorFile.of(file, Weights.EMA);
        Map<String, String> names = VaeKeyNames.current(tensors.entries().keySet());
        AutoencoderKlConfig config = requireFits(file, tensors, names, given, whole);
        if (!scaled) requireKnownScale(file, config);
        return load(file, tensors, names, config::network);
    }

    /** Stable Diffusion's scale is for its 4 channels, and even of those not the only one. */
    private static void requireKnownScale(Path file, AutoencoderKlConfig config) throws FormatException {
        if (config.latentChannels() != 4)
            throw new FormatException(
                    file,
                    "does not say how its latents of " + config.latentChannels()
                            + " channels are scaled; give the scale and the shift that it was published with (--vae-scale,"
                            + " --vae-shift), or its folder with config.json");
        log.warn(
                "{}: does not say how its latents are scaled; Stable Diffusion's {} is taken (--vae-scale: another, SDXL's is"
                        + " 0.13025)",
                file,
                config.scaling().scale());
    }

    /** Before anything is made of a size that the configuration says: the weights must be of that size. */
    private static AutoencoderKlConfig requireFits(
            Path file, TensorFile tensors, Map<String, String> names, AutoencoderKlConfig given, boolean whole)
            throws FormatException {
        Map<String, List<Long>> shapes = new LinkedHashMap<>();
        for (Map.Entry<String, String> named : names.entrySet()) {
            List<Long> shape = tensors.entries().get(named.getKey()).shape();
            if (shapes.put(named.getValue(), shape) != null)
                throw new FormatException(
                        file, named.getKey() + " and another tensor both stand for " + named.getValue());
        }
        AutoencoderKlConfig found;
        try {
            found = given.ofWeights(shapes);
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
        if (whole && !found.equals(given))
            throw new FormatException(file, "the weights are of " + found + ", the configuration is " + given);
        return found;
    }

    private static LatentCodec openTiny(Path config, Path file) throws IOException {
        try {
            TaesdConfig.require(JsonFile.read(config));
        } catch (IllegalArgumentException e) {
            throw new FormatException(config, e.getMessage(), e);
        }
        TensorFile tensors = TensorFile.of(file, Weights.EMA);
        TinyAutoencoderConfig tiny = tinyConfig(file, tensors, "encoder.layers.14.weight");
        Map<String, String> names =
                tensors.entries().keySet().stream().collect(Collectors.toMap(name -> name, name -> name));
        return load(file, tensors, names, tiny::network);
    }

    private static LatentCodec openTaesd(Path folder) throws IOException {
        Path encoder = folder.resolve(TAESD_ENCODER), decoder = folder.resolve(TAESD_DECODER);
        for (Path file : List.of(encoder, decoder))
            if (!Files.exists(file))
                throw new NoSuchFileException(
                        file.toString(), null, "TAESD is a pair of files, and this one is absent");
        TinyAutoencoderConfig config = tinyConfig(encoder, TensorFile.of(encoder, Weights.EMA), "14.weight");
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            Safetensors.read(encoder)
                    .forEach((name, tensor) -> tensors.put(VaeKeyNames.currentTiny(name, false), tensor));
            Safetensors.read(decoder)
                    .forEach((name, tensor) -> tensors.put(VaeKeyNames.currentTiny(name, true), tensor));
            return filled(folder, tensors, config::network);
        }
    }

    private static TinyAutoencoderConfig tinyConfig(Path file, TensorFile tensors, String key) throws FormatException {
        TensorFile.Entry entry = tensors.entries().get(key);
        if (entry == null
                || entry.shape().size() != 4
                || entry.shape().get(0) < 1
                || entry.shape().get(0) > 1024)
            throw new FormatException(file, key + " is missing or out of shape; this is no TAESD");
        return new TinyAutoencoderConfig(entry.shape().get(0).intValue());
    }

    private static <C extends Module> C load(
            Path file, TensorFile source, Map<String, String> names, Function<Map<String, Tensor>, C> codec)
            throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            // only these: the rest of a Stable Diffusion is gigabytes
            Map<String, Tensor> read = source.read(names.keySet());
            Finite.requireWeights(file, read);
            read.forEach((inFile, tensor) -> {
                String name = names.get(inFile);
                // in the original code the projections of the attention are 1×1 convolutions
                boolean convolution = name.contains(".attentions.0.to_") && tensor.dim() == 4;
                tensors.put(name, convolution ? tensor.flatten(1, 3) : tensor);
            });
            return filled(file, tensors, codec);
        }
    }

    /** Belongs to the caller, whatever scopes are open. */
    private static <C extends Module> C filled(
            Path file, Map<String, Tensor> tensors, Function<Map<String, Tensor>, C> codec) throws FormatException {
        try {
            return TensorScope.detached(codec.apply(tensors));
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
    }

    private static AutoencoderKlConfig readConfig(Path config) throws IOException {
        try {
            return AutoencoderKlConfig.of(JsonFile.read(config));
        } catch (IllegalArgumentException e) {
            throw new FormatException(config, e.getMessage(), e);
        }
    }

    private static String className(Path config) throws IOException {
        return JsonFile.read(config).path("_class_name").asText();
    }
}
