package org.dit4j.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.AtomicFile;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.model.SinCosPosition;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.vae.AutoencoderKl;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LatentScaling;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The folder of a diffusers {@code DiTPipeline}: {@code model_index.json} with the names of the classes, {@code transformer}, {@code vae},
 * {@code scheduler}. A network of it follows {@link Profile#DIFFUSERS} unless told otherwise.
 */
public final class DiffusersFolder {
    private static final Logger log = LoggerFactory.getLogger(DiffusersFolder.class);
    private static final String INDEX = "model_index.json", SCHEDULER = "scheduler_config.json";
    private static final String TRANSFORMER = "transformer", VAE = "vae";
    private static final String SCHEDULER_FOLDER = "scheduler";
    private static final Set<String> CLASSES = Set.of("DiTTransformer2DModel", "Transformer2DModel");
    private static final double NORM_EPS = 1e-5;
    /** Tokens of an image; what says more is a mistake, for attention grows with its square. */
    private static final long MAX_TOKENS = 1 << 16;

    static {
        Backend.configure();
    }

    private DiffusersFolder() {}

    /** Whether a folder looks like a pipeline, or the transformer of one. */
    static boolean isOne(Path folder) {
        return Files.exists(folder.resolve(INDEX))
                || Files.isDirectory(folder.resolve(TRANSFORMER))
                || Files.exists(folder.resolve(DiffusersPart.CONFIG));
    }

    /**
     * The network of a pipeline's folder, or of its {@code transformer} folder alone: as safetensors (whole or in shards) or as
     * {@code .bin}, in float32 or the fp16 variant. Its position table is computed, as diffusers does.
     *
     * @throws FormatException if a file is damaged, or says something that a DiT is not
     * @throws NoSuchFileException if one is absent
     */
    public static DiTWeights read(Path folder) throws IOException {
        Path transformer = transformer(folder);
        Path configFile = transformer.resolve(DiffusersPart.CONFIG);
        JsonNode config = JsonFile.read(configFile);
        requireDiT(configFile, config);
        Path file = weights(folder);
        TensorFile tensors = TensorFile.of(file, Weights.EMA);
        int depth = JsonFile.integer(configFile, config, "num_layers", 28);
        requireNames(file, tensors.entries().keySet(), depth);
        Map<String, List<Long>> shapes = publishedShapes(file, tensors.shapes(), depth);
        DiTConfig model = model(configFile, config, file, shapes);
        JsonNode index = Files.exists(folder.resolve(INDEX)) ? JsonFile.read(folder.resolve(INDEX)) : null;
        DiffusersScheduler scheduler =
                DiffusersScheduler.read(folder.resolve(SCHEDULER_FOLDER).resolve(SCHEDULER));
        DiTDescription description = new DiTDescription(
                model,
                index == null ? List.of() : classNames(folder.resolve(INDEX), index, model.numClasses()),
                scheduler.diffusion(model.learnSigma()),
                "",
                Profile.DIFFUSERS,
                scheduler.config(),
                Optional.empty(),
                Optional.empty(),
                Files.isDirectory(folder.resolve(VAE)) ? Content.LATENTS : Content.guess(model));
        Path vae = folder.resolve(VAE);
        DiTWeights weights = new DiTWeights(
                file,
                description,
                shapes,
                () -> published(tensors.read(), model),
                Files.isDirectory(vae) ? Optional.of(vae) : Optional.empty());
        String unknown = scheduler.config().unknown();
        return unknown.isEmpty()
                ? weights
                : weights.withNotes(List.of(unknown + "; nothing is drawn with these weights until that is put right"));
    }

    private static void requireDiT(Path file, JsonNode config) throws FormatException {
        String type = config.path("_class_name").asText();
        if (!CLASSES.contains(type))
            throw new FormatException(file, "_class_name is \"" + type + "\"; a DiT's is one of " + CLASSES);
        // the older class is many networks; a DiT says so
        boolean older = type.equals("Transformer2DModel");
        Map<String, JsonNode> needed = new LinkedHashMap<>();
        JsonNodeFactory json = JsonNodeFactory.instance;
        needed.put("norm_type", json.textNode("ada_norm_zero"));
        needed.put("activation_fn", json.textNode("gelu-approximate"));
        needed.put("attention_bias", json.booleanNode(true));
        needed.put("norm_elementwise_affine", json.booleanNode(false));
        for (Map.Entry<String, JsonNode> key : needed.entrySet()) {
            JsonNode given = config.get(key.getKey());
            if (given == null ? older : !given.equals(key.getValue()))
                throw new FormatException(file, key.getKey() + " is " + given + "; a DiT's is " + key.getValue());
        }
        double eps = config.path("norm_eps").asDouble(NORM_EPS);
        if (eps != NORM_EPS)
            throw new FormatException(
                    file, "norm_eps is " + eps + "; a DiT's is " + NORM_EPS + ", and nothing else is known here");
        if (config.path("upcast_attention").asBoolean(false))
            throw new FormatException(file, "upcast_attention is true, which is not known here");
    }

    private static Path transformer(Path folder) {
        return Files.isDirectory(folder.resolve(TRANSFORMER)) ? folder.resolve(TRANSFORMER) : folder;
    }

    /** The file of the network's weights, or the index of their shards. */
    static Path weights(Path pipeline) throws IOException {
        return DiffusersPart.weightsIn(transformer(pipeline));
    }

    private static void requireNames(Path file, Set<String> given, int depth) throws FormatException {
        if (depth < 1 || depth > given.size())
            throw new FormatException(file, "has " + given.size() + " tensors, too few for num_layers " + depth);
        Set<String> missing = new TreeSet<>(DiTKeyNames.diffusersNames(depth)), unexpected = new TreeSet<>(given);
        unexpected.removeAll(missing);
        unexpected.remove("pos_embed.pos_embed"); // computed, but older versions wrote it
        missing.removeAll(given);
        if (missing.isEmpty() && unexpected.isEmpty()) return;
        throw new FormatException(
                file,
                "is no DiT of " + depth + " layers: missing " + some(missing) + "; unexpected " + some(unexpected));
    }

    private static String some(Set<String> names) {
        if (names.isEmpty()) return "nothing";
        return String.join(", ", names.stream().limit(6).toList())
                + (names.size() > 6 ? ", and " + (names.size() - 6) + " more" : "");
    }

    /** The shapes under the published names, but for {@code pos_embed}. */
    private static Map<String, List<Long>> publishedShapes(Path file, Map<String, List<Long>> shapes, int depth)
            throws FormatException {
        try {
            return DiTKeyNames.shapesFromDiffusers(shapes, depth);
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
    }

    /** What configuration and weights say together; adds {@code pos_embed} to the shapes. */
    private static DiTConfig model(Path configFile, JsonNode config, Path file, Map<String, List<Long>> shapes)
            throws IOException {
        int patch = JsonFile.integer(configFile, config, "patch_size", 2);
        int size = JsonFile.integer(configFile, config, "sample_size", 32);
        int heads = JsonFile.integer(configFile, config, "num_attention_heads", 16);
        long width = (long) heads * JsonFile.integer(configFile, config, "attention_head_dim", 72);
        long side = size / patch;
        if (size % patch != 0 || side * side > MAX_TOKENS)
            throw new FormatException(
                    configFile,
                    "sample_size " + size + " does not go with patch_size " + patch
                            + "; it must be a multiple, and give at most " + MAX_TOKENS + " tokens");
        shapes.put("pos_embed", List.of(1L, side * side, width));
        DiTConfig found;
        try {
            found = DiTShapes.config(shapes, OptionalInt.of(heads));
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
        requireEqual(configFile, "patch_size", patch, found.patchSize());
        requireEqual(configFile, "attention_head_dim × num_attention_heads", width, found.hiddenSize());
        requireEqual(
                configFile, "in_channels", JsonFile.integer(configFile, config, "in_channels", 4), found.inChannels());
        if (config.hasNonNull("out_channels"))
            requireEqual(configFile, "out_channels", config.get("out_channels").asInt(), found.outChannels());
        requireEqual(
                configFile,
                "num_embeds_ada_norm",
                JsonFile.integer(configFile, config, "num_embeds_ada_norm", 1000),
                found.numClasses());
        return found;
    }

    private static void requireEqual(Path file, String key, long given, long found) throws FormatException {
        if (given != found)
            throw new FormatException(file, key + " is " + given + ", but the weights are those of " + found);
    }

    private static Map<String, Tensor> published(Map<String, Tensor> tensors, DiTConfig model) {
        Map<String, Tensor> published = DiTKeyNames.fromDiffusers(tensors, model.depth());
        Tensor like = published.get("x_embedder.proj.weight");
        published.put("pos_embed", positions(model).to(like.scalar_type()));
        return published;
    }

    private static Tensor positions(DiTConfig model) {
        int patch = model.patchSize();
        return SinCosPosition.table(model.hiddenSize(), model.inputHeight() / patch, model.inputWidth() / patch);
    }

    /** Names by label; a label without a name is called by its number. */
    private static List<String> classNames(Path file, JsonNode index, int numClasses) throws FormatException {
        JsonNode names = index.path("id2label");
        if (names.isMissingNode() || names.isNull() || names.isEmpty()) return List.of();
        List<String> byLabel = new ArrayList<>(Collections.nCopies(numClasses, null));
        for (Map.Entry<String, JsonNode> entry : names.properties()) {
            if (!entry.getKey().matches("\\d{1,9}") || Integer.parseInt(entry.getKey()) >= numClasses)
                throw new FormatException(
                        file, "id2label names class " + entry.getKey() + "; there are 0 to " + (numClasses - 1));
            byLabel.set(Integer.parseInt(entry.getKey()), entry.getValue().asText());
        }
        for (int label = 0; label < numClasses; label++)
            if (byLabel.get(label) == null) byLabel.set(label, Integer.toString(label));
        return byLabel;
    }

    /**
     * Writes a folder that diffusers opens, {@code model_index.json} last, so that a folder with one is whole.
     *
     * @param folder made if need be; what it holds of the same names is replaced
     * @param vae an autoencoder as {@link Checkpoints#openVae} takes it; without one diffusers opens the parts, but not the pipeline
     * @throws IllegalArgumentException if diffusers has no such model: adaLN-Zero on square latents, guided, its MLP four times as wide
     */
    public static void write(Path folder, DiTWeights weights, Optional<Path> vae) throws IOException {
        write(folder, weights, vae, Optional.empty(), WriteOptions.ONE_FILE);
    }

    /**
     * As {@link #write(Path, DiTWeights, Optional)}, the network's weights in several files if need be.
     *
     * @param scaling of the latents of an autoencoder in a single file, which cannot say it
     */
    static void write(
            Path folder, DiTWeights weights, Optional<Path> vae, Optional<LatentScaling> scaling, long maxShardBytes)
            throws IOException {
        DiTDescription description = weights.description();
        DiTConfig model = description.model();
        requireKnown(model);
        DiffusersScheduler scheduler = DiffusersScheduler.of(description);
        boolean fresh = isEmpty(Files.createDirectories(folder));
        try {
            // begun first and named last: a killed process leaves it unfinished, which tells its folders from others
            AtomicFile.write(folder.resolve(INDEX), channel -> {
                writeParts(folder, weights, scheduler, vae, scaling, maxShardBytes);
                ByteBuffer index =
                        ByteBuffer.wrap(JsonFile.toBytes(index(description, scheduler.solver(), vae.isPresent())));
                while (index.hasRemaining()) channel.write(index);
            });
        } catch (IOException | RuntimeException e) {
            if (fresh) removeParts(folder);
            throw e;
        }
    }

    private static void writeParts(
            Path folder,
            DiTWeights weights,
            DiffusersScheduler written,
            Optional<Path> vae,
            Optional<LatentScaling> scaling,
            long maxShardBytes)
            throws IOException {
        DiTConfig model = weights.description().model();
        Path transformer = Files.createDirectories(folder.resolve(TRANSFORMER));
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> tensors = weights.read();
            requireComputedPositions(tensors.get("pos_embed"), model);
            Safetensors.writeShards(
                    transformer.resolve(DiffusersPart.WEIGHTS),
                    DiTKeyNames.toDiffusers(tensors, model.depth()),
                    Map.of("format", "pt"),
                    maxShardBytes);
        }
        JsonFile.write(transformer.resolve(DiffusersPart.CONFIG), config(model));
        Path scheduler = Files.createDirectories(folder.resolve(SCHEDULER_FOLDER));
        JsonFile.write(scheduler.resolve(SCHEDULER), written.toJson());
        if (vae.isPresent()) writeVae(folder.resolve(VAE), vae.get(), scaling);
    }

    /** Removes what a process left that was killed while it wrote a pipeline into {@code folder}; there may be no such folder. */
    static void removeUnfinished(Path folder) throws IOException {
        Path index = folder.resolve(INDEX);
        if (!AtomicFile.isUnfinished(index)) return;
        if (!Files.exists(index)) removeParts(folder);
        AtomicFile.removeUnfinished(index);
    }

    private static void removeParts(Path folder) throws IOException {
        for (String part : List.of(TRANSFORMER, SCHEDULER_FOLDER, VAE)) {
            Path path = folder.resolve(part);
            if (!Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) continue;
            List<Path> all;
            try (Stream<Path> walk = Files.walk(path)) {
                all = walk.sorted(Comparator.reverseOrder()).toList();
            }
            for (Path each : all) Files.deleteIfExists(each);
        }
    }

    private static boolean isEmpty(Path folder) throws IOException {
        try (Stream<Path> inside = Files.list(folder)) {
            return inside.findAny().isEmpty();
        }
    }

    private static void requireKnown(DiTConfig model) {
        String problem = null;
        if (model.block() != DiTBlock.Kind.ADALN_ZERO) problem = "its blocks are " + model.block();
        else if (model.inputHeight() != model.inputWidth())
            problem = "its latents are " + model.inputHeight() + " × " + model.inputWidth();
        else if (!model.hasNullLabel()) problem = "it has no null label";
        else if (model.mlpHidden() != 4 * model.hiddenSize()) problem = "its MLP ratio is " + model.mlpRatio();
        if (problem != null)
            throw new IllegalArgumentException("diffusers has no such DiT: " + problem
                    + "; it has adaLN-Zero on square latents, with a null label and an MLP ratio of 4");
    }

    /** diffusers computes the table: what is not that table would be lost. */
    private static void requireComputedPositions(Tensor given, DiTConfig model) {
        Tensor computed = positions(model).to(given.scalar_type());
        double off = given.sub(computed).abs().max().item_double();
        if (off > 1e-2) // more than averaging and rounding do
        throw new IllegalArgumentException(
                    "pos_embed is not the table of sines and cosines that diffusers computes: off by " + off
                            + "; weights with other positions cannot be a diffusers folder");
        if (off > 0)
            log.warn("pos_embed differs by up to {} from the table that diffusers computes, and is not written", off);
    }

    private static ObjectNode config(DiTConfig model) {
        return object("DiTTransformer2DModel")
                .put("activation_fn", "gelu-approximate")
                .put("attention_bias", true)
                .put("attention_head_dim", model.hiddenSize() / model.numHeads())
                .put("dropout", 0.0)
                .put("in_channels", model.inChannels())
                .put("norm_elementwise_affine", false)
                .put("norm_eps", NORM_EPS)
                .put("norm_num_groups", 32)
                .put("norm_type", "ada_norm_zero")
                .put("num_attention_heads", model.numHeads())
                .put("num_embeds_ada_norm", model.numClasses())
                .put("num_layers", model.depth())
                .put("out_channels", model.outChannels())
                .put("patch_size", model.patchSize())
                .put("sample_size", model.inputHeight())
                .put("upcast_attention", false);
    }

    private static ObjectNode index(DiTDescription description, String scheduler, boolean vae) {
        ObjectNode index = object("DiTPipeline");
        if (!description.classNames().isEmpty()) {
            ObjectNode names = index.putObject("id2label");
            for (int label = 0; label < description.classNames().size(); label++)
                names.put(Integer.toString(label), description.classNames().get(label));
        }
        index.set("scheduler", component(scheduler));
        index.set(TRANSFORMER, component("DiTTransformer2DModel"));
        if (vae) index.set(VAE, component("AutoencoderKL"));
        return index;
    }

    private static ArrayNode component(String type) {
        return JsonNodeFactory.instance.arrayNode().add("diffusers").add(type);
    }

    private static ObjectNode object(String type) {
        return JsonNodeFactory.instance.objectNode().put("_class_name", type);
    }

    private static void writeVae(Path folder, Path vae, Optional<LatentScaling> scaling) throws IOException {
        LatentCodec codec = VaeCheckpoint.openNamed(vae, scaling);
        try {
            if (!(codec instanceof AutoencoderKl kl))
                throw new IllegalArgumentException(
                        vae + " is a tiny autoencoder; give an AutoencoderKL, which a DiT's pipeline has");
            VaeCheckpoint.write(folder, kl);
        } finally {
            codec.close();
        }
    }
}
