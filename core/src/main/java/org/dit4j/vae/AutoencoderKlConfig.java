package org.dit4j.vae;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Layers;

/**
 * What fixes an {@link AutoencoderKl}.
 *
 * @param blockOutChannels channels at each resolution, the highest resolution first
 * @param layersPerBlock residual blocks per resolution of the encoder; the decoder has one more
 * @param normNumGroups groups of every GroupNorm
 * @param sampleSize side of the images it was trained on, in pixels; a hint for tiles, no part of the maths
 * @param quantConv whether a 1×1 convolution follows the encoder
 * @param postQuantConv whether a 1×1 convolution precedes the decoder
 */
public record AutoencoderKlConfig(
        int inChannels,
        int outChannels,
        int latentChannels,
        List<Integer> blockOutChannels,
        int layersPerBlock,
        int normNumGroups,
        int sampleSize,
        boolean midBlockAttention,
        boolean quantConv,
        boolean postQuantConv,
        LatentScaling scaling) {
    // a program comes by here before it makes the network, whose class would load JavaCPP first
    static {
        Backend.configure();
    }

    /** Of Stable Diffusion 1 and 2, {@code sd-vae-ft-mse} and {@code sd-vae-ft-ema}: 83,653,863 parameters. */
    public static final AutoencoderKlConfig STABLE_DIFFUSION = new AutoencoderKlConfig(
            3, 3, 4, List.of(128, 256, 512, 512), 2, 32, 256, true, true, true, LatentScaling.STABLE_DIFFUSION);

    private static final String DOWN_BLOCK = "DownEncoderBlock2D", UP_BLOCK = "UpDecoderBlock2D";

    /** Settings that change nothing in the maths here. */
    private static final Set<String> INFORMATIVE = Set.of("force_upcast");

    private static final Set<String> KNOWN = Set.of(
            "in_channels",
            "out_channels",
            "latent_channels",
            "block_out_channels",
            "layers_per_block",
            "norm_num_groups",
            "sample_size",
            "mid_block_add_attention",
            "use_quant_conv",
            "use_post_quant_conv",
            "scaling_factor",
            "shift_factor",
            "act_fn",
            "down_block_types",
            "up_block_types");

    /** @throws IllegalArgumentException naming the value that is out of its range */
    public AutoencoderKlConfig {
        blockOutChannels = List.copyOf(blockOutChannels);
        range("the length of block_out_channels", blockOutChannels.size(), 1, 8);
        range("in_channels", inChannels, 1, 64);
        range("out_channels", outChannels, 1, 64);
        range("latent_channels", latentChannels, 1, 1024);
        range("layers_per_block", layersPerBlock, 1, 32);
        range("norm_num_groups", normNumGroups, 1, 4096);
        range("sample_size", sampleSize, 1, 65536);
        for (int channels : blockOutChannels) {
            range("a number of block_out_channels", channels, 1, 8192);
            if (channels % normNumGroups != 0)
                throw new IllegalArgumentException("block_out_channels " + blockOutChannels
                        + " are not all multiples of norm_num_groups " + normNumGroups);
        }
    }

    private static void range(String name, int value, int min, int max) {
        if (value < min || value > max)
            throw new IllegalArgumentException(name + " is " + value + "; from " + min + " to " + max);
    }

    /** Image pixels per latent pixel. */
    public int downsampling() {
        return 1 << blockOutChannels.size() - 1;
    }

    /**
     * A codec with random weights, on the CPU, in float32. Make it outside any step's scope; the caller closes it. Codecs are made here and
     * not by a constructor: {@code new} would touch JavaCPP before its memory limits are set.
     */
    public AutoencoderKl network() {
        return new AutoencoderKl(this);
    }

    /**
     * A codec that takes over weights, on the CPU, in float32; nobody else may change them then. The caller closes it.
     *
     * @param weights every parameter by its current name in diffusers
     * @throws IllegalArgumentException naming every missing and unexpected weight and every wrong shape
     */
    public AutoencoderKl network(Map<String, Tensor> weights) {
        return Layers.withWeights(weights, () -> new AutoencoderKl(this));
    }

    /**
     * From the {@code config.json} of a diffusers folder.
     *
     * @throws IllegalArgumentException if a setting is missing or wrong, or if there is one that this autoencoder does not have
     */
    public static AutoencoderKlConfig of(JsonNode json) {
        if (!json.isObject()) throw new IllegalArgumentException("the configuration is not a JSON object");
        require(json, "_class_name", "AutoencoderKL");
        require(json, "act_fn", "silu");
        requireAll(json, "down_block_types", DOWN_BLOCK);
        requireAll(json, "up_block_types", UP_BLOCK);
        for (Map.Entry<String, JsonNode> setting : json.properties()) {
            String name = setting.getKey();
            if (name.startsWith("_") || KNOWN.contains(name) || INFORMATIVE.contains(name)) continue;
            if (!setting.getValue().isNull())
                throw new IllegalArgumentException(
                        "unknown setting \"" + name + "\": " + setting.getValue() + "; known are " + KNOWN);
        }
        List<Integer> channels = new ArrayList<>();
        for (JsonNode node : json.path("block_out_channels")) channels.add(integer("block_out_channels", node));
        return new AutoencoderKlConfig(
                integer(json, "in_channels", 3),
                integer(json, "out_channels", 3),
                integer(json, "latent_channels", 4),
                channels,
                integer(json, "layers_per_block", 1),
                integer(json, "norm_num_groups", 32),
                integer(json, "sample_size", 32),
                flag(json, "mid_block_add_attention"),
                flag(json, "use_quant_conv"),
                flag(json, "use_post_quant_conv"),
                new LatentScaling(
                        number(json, "scaling_factor", LatentScaling.STABLE_DIFFUSION.scale()),
                        number(json, "shift_factor", 0)));
    }

    /** As the {@code config.json} of a diffusers folder. */
    public ObjectNode toJson() {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("_class_name", "AutoencoderKL");
        json.put("act_fn", "silu");
        ArrayNode channels = json.putArray("block_out_channels"), down = json.putArray("down_block_types");
        ArrayNode up = JsonNodeFactory.instance.arrayNode();
        for (int count : blockOutChannels) {
            channels.add(count);
            down.add(DOWN_BLOCK);
            up.add(UP_BLOCK);
        }
        json.put("force_upcast", true);
        json.put("in_channels", inChannels);
        json.put("latent_channels", latentChannels);
        json.put("layers_per_block", layersPerBlock);
        json.put("mid_block_add_attention", midBlockAttention);
        json.put("norm_num_groups", normNumGroups);
        json.put("out_channels", outChannels);
        json.put("sample_size", sampleSize);
        json.put("scaling_factor", scaling.scale());
        if (scaling.shift() == 0) json.putNull("shift_factor");
        else json.put("shift_factor", scaling.shift());
        json.set("up_block_types", up);
        json.put("use_post_quant_conv", postQuantConv);
        json.put("use_quant_conv", quantConv);
        return json;
    }

    /** The same with latents that are scaled otherwise. */
    public AutoencoderKlConfig withScaling(LatentScaling other) {
        return new AutoencoderKlConfig(
                inChannels,
                outChannels,
                latentChannels,
                blockOutChannels,
                layersPerBlock,
                normNumGroups,
                sampleSize,
                midBlockAttention,
                quantConv,
                postQuantConv,
                other);
    }

    /**
     * What the shapes of the weights alone tell; they do not tell the GroupNorm's groups, the scaling and the sample size, which are those
     * of this configuration.
     *
     * @param shapes of the weights, by diffusers' current names
     * @throws IllegalArgumentException if these are not the weights of such an autoencoder
     */
    public AutoencoderKlConfig ofWeights(Map<String, List<Long>> shapes) {
        List<Integer> channels = new ArrayList<>();
        while (shapes.containsKey(conv(channels.size(), 0, 1)))
            channels.add(size(shapes, conv(channels.size(), 0, 1), 0));
        int layers = 0;
        while (shapes.containsKey(conv(0, layers, 1))) layers++;
        for (int block = 0; block < channels.size(); block++)
            for (int layer = 0; layer < layers; layer++) {
                int in = layer == 0 ? channels.get(Math.max(block - 1, 0)) : channels.get(block);
                requireConv(shapes, conv(block, layer, 1), in, channels.get(block));
                requireConv(shapes, conv(block, layer, 2), channels.get(block), channels.get(block));
            }
        return new AutoencoderKlConfig(
                size(shapes, "encoder.conv_in.weight", 1),
                size(shapes, "decoder.conv_out.weight", 0),
                size(shapes, "decoder.conv_in.weight", 1),
                channels,
                layers,
                normNumGroups,
                sampleSize,
                shapes.containsKey("encoder.mid_block.attentions.0.to_q.weight"),
                shapes.containsKey("quant_conv.weight"),
                shapes.containsKey("post_quant_conv.weight"),
                scaling);
    }

    private static String conv(int block, int layer, int number) {
        return "encoder.down_blocks." + block + ".resnets." + layer + ".conv" + number + ".weight";
    }

    private static void requireConv(Map<String, List<Long>> shapes, String key, int in, int out) {
        List<Long> wanted = List.of((long) out, (long) in, 3L, 3L);
        if (!wanted.equals(shapes.get(key)))
            throw new IllegalArgumentException(key + " is " + shapes.get(key) + ", its neighbours need " + wanted);
    }

    private static int size(Map<String, List<Long>> shapes, String key, int dimension) {
        List<Long> shape = shapes.get(key);
        if (shape == null || shape.size() != 4)
            throw new IllegalArgumentException(
                    shape == null ? key + " is missing; this is no AutoencoderKL" : key + " is " + shape + ", not 4-D");
        return (int) Math.min(shape.get(dimension), Integer.MAX_VALUE);
    }

    private static void require(JsonNode json, String name, String only) {
        JsonNode node = json.path(name);
        if (!node.isMissingNode() && !node.asText().equals(only))
            throw new IllegalArgumentException(name + " is " + node + "; this autoencoder has \"" + only + "\" only");
    }

    private static void requireAll(JsonNode json, String name, String only) {
        JsonNode node = json.path(name);
        if (node.isMissingNode()) return;
        if (node.size() != json.path("block_out_channels").size())
            throw new IllegalArgumentException(name + " has " + node.size() + " entries, block_out_channels "
                    + json.path("block_out_channels").size());
        for (JsonNode type : node)
            if (!type.asText().equals(only))
                throw new IllegalArgumentException(
                        name + " has " + type + "; this autoencoder has \"" + only + "\" only");
    }

    private static int integer(JsonNode json, String name, int fallback) {
        JsonNode node = json.path(name);
        return node.isMissingNode() || node.isNull() ? fallback : integer(name, node);
    }

    private static int integer(String name, JsonNode node) {
        if (!node.canConvertToInt() || !node.isIntegralNumber())
            throw new IllegalArgumentException(name + " is " + node + "; a whole number");
        return node.intValue();
    }

    private static double number(JsonNode json, String name, double fallback) {
        JsonNode node = json.path(name);
        if (node.isMissingNode() || node.isNull()) return fallback;
        if (!node.isNumber()) throw new IllegalArgumentException(name + " is " + node + "; a number");
        return node.doubleValue();
    }

    private static boolean flag(JsonNode json, String name) {
        JsonNode node = json.path(name);
        if (node.isMissingNode()) return true;
        if (!node.isBoolean()) throw new IllegalArgumentException(name + " is " + node + "; true or false");
        return node.booleanValue();
    }
}
