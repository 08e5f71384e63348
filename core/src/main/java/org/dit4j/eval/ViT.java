package org.dit4j.eval;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.Sha256;
import org.dit4j.io.TorchFile;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * The vision transformer of DINOv2 (Oquab et al. 2023) in its published sizes S, B and L, with patches of 14 pixels, with registers (Darcet et al. 2023) or
 * without. Its class token after the last normalisation is what Fréchet distances of newer papers are of; the other tokens are an encoder's to align
 * with. Weights have the published names.
 */
public final class ViT implements FeatureNetwork {
    /** Height and width that {@link #features} brings pictures to. */
    public static final int SIZE = 224;

    private static final int HEAD_WIDTH = 64;
    private static final double EPS = 1e-6;
    /**
     * What DINOv2 adds to the number of patches when it interpolates the positions of a network without registers: its size is right, and every
     * position is read a little off. With registers it adds nothing, and antialiases.
     */
    private static final double OFFSET = 0.1;

    private static final float[] MEAN = {0.485f, 0.456f, 0.406f}, DEVIATION = {0.229f, 0.224f, 0.225f};

    static {
        Backend.configure();
    }

    private final Map<String, Tensor> weights;
    private final int width, depth, registers, patch;
    private final Device device;
    private final FeatureSpace space;
    private final Lifetime lifetime = new Lifetime("this vision transformer", this::free);

    private ViT(Map<String, Tensor> given, String digest, Device device) {
        this.device = device;
        requireKnown(given);
        width = (int) given.get("cls_token").size(2);
        patch = (int) given.get("patch_embed.proj.weight").size(2);
        registers = given.containsKey("register_tokens")
                ? (int) given.get("register_tokens").size(1)
                : 0;
        int blocks = 0;
        while (given.containsKey("blocks." + blocks + ".norm1.weight")) blocks++;
        depth = blocks;
        Map<String, long[]> expected = expected((int) given.get("pos_embed").size(1));
        WeightCheck.require(
                WeightCheck.problems(expected, given, name -> name.equals("mask_token")), "no weights of DINOv2");
        space = new FeatureSpace(name(), "pillow bicubic " + SIZE, digest, "fp32");
        weights = new LinkedHashMap<>();
        for (String name : expected.keySet())
            weights.put(
                    name,
                    TensorScope.keeping(() -> given.get(name)
                            .detach()
                            .to(device, ScalarType.Float, false, true, null)
                            .contiguous()));
    }

    private String name() {
        Map<Integer, String> letters = Map.of(384, "s", 768, "b", 1024, "l");
        String size = letters.getOrDefault(width, width + "-");
        return "dinov2-vit-" + size + patch + (registers == 0 ? "" : "-reg" + registers);
    }

    private static void requireKnown(Map<String, Tensor> given) {
        if (given.containsKey("blocks.0.mlp.w12.weight"))
            throw new IllegalArgumentException(
                    "DINOv2's giant (ViT-g/14), whose feed-forward layers are SwiGLU, is not known here; take L"
                            + " (dinov2_vitl14_pretrain.pth), by which papers report");
        for (String name : List.of("cls_token", "pos_embed", "patch_embed.proj.weight"))
            if (!given.containsKey(name)
                    || given.get(name).dim() != (name.startsWith("patch") ? 4 : 3)
                    || given.get(name).numel() == 0)
                throw new IllegalArgumentException("no weights of DINOv2: no " + name
                        + "; published are dinov2_vits14_pretrain.pth and vitb14, vitl14, with _reg4 too");
    }

    private Map<String, long[]> expected(long positions) {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("cls_token", new long[] {1, 1, width});
        shapes.put("pos_embed", new long[] {1, positions, width});
        if (registers > 0) shapes.put("register_tokens", new long[] {1, registers, width});
        shapes.put("patch_embed.proj.weight", new long[] {width, 3, patch, patch});
        shapes.put("patch_embed.proj.bias", new long[] {width});
        for (int i = 0; i < depth; i++) {
            String block = "blocks." + i + ".";
            norm(shapes, block + "norm1");
            linear(shapes, block + "attn.qkv", width, 3L * width);
            linear(shapes, block + "attn.proj", width, width);
            shapes.put(block + "ls1.gamma", new long[] {width});
            norm(shapes, block + "norm2");
            linear(shapes, block + "mlp.fc1", width, 4L * width);
            linear(shapes, block + "mlp.fc2", 4L * width, width);
            shapes.put(block + "ls2.gamma", new long[] {width});
        }
        norm(shapes, "norm");
        return shapes;
    }

    private void norm(Map<String, long[]> shapes, String name) {
        shapes.put(name + ".weight", new long[] {width});
        shapes.put(name + ".bias", new long[] {width});
    }

    private static void linear(Map<String, long[]> shapes, String name, long in, long out) {
        shapes.put(name + ".weight", new long[] {out, in});
        shapes.put(name + ".bias", new long[] {out});
    }

    /**
     * Opens published weights: a file of torch.save or a safetensors file.
     *
     * @throws IllegalArgumentException if they are the giant's, or no weights of DINOv2
     */
    public static ViT open(Path file, String device) throws IOException {
        Device chosen = Backend.device(device);
        String digest = Sha256.hex(file);
        try (TensorScope scope = new TensorScope()) {
            if (file.toString().toLowerCase(Locale.ROOT).endsWith(".safetensors"))
                return new ViT(Safetensors.read(file), digest, chosen);
            if (!(TorchFile.read(file) instanceof Map<?, ?> state))
                throw new FormatException(file, "holds no state dict; give DINOv2's weights by name");
            Map<String, Tensor> weights = new LinkedHashMap<>();
            state.forEach((name, value) -> {
                if (value instanceof Tensor tensor) weights.put(String.valueOf(name), tensor);
            });
            return new ViT(weights, digest, chosen);
        }
    }

    /**
     * A network of weights that are there.
     *
     * @param weights by the published names
     * @param digest tells them apart from others
     */
    public static ViT of(Map<String, Tensor> weights, String digest, String device) {
        return new ViT(weights, digest, Backend.device(device));
    }

    @Override
    public FeatureSpace space() {
        return space;
    }

    /** {@inheritDoc} The class token: as many features as the network is wide. */
    @Override
    public Map<Tap, Tensor> features(Tensor pictures) {
        PictureBatch.require(pictures);
        Tensor features = lifetime.use(() ->
                TensorScope.local(() -> tokens(prepared(pictures)).select(1, 0).contiguous()));
        return Map.of(Tap.FEATURES, features);
    }

    /** (N, 3, H, W) uint8 → (N, 3, 224, 224) float32: resized as Pillow does, and brought to ImageNet's mean and deviation. */
    Tensor prepared(Tensor pictures) {
        return TensorScope.local(() -> Tensors.to(PillowBatch.bicubic(pictures, SIZE), device)
                .to(ScalarType.Float)
                .div_(new Scalar(255.0))
                .sub_(channels(MEAN))
                .div_(channels(DEVIATION)));
    }

    private Tensor channels(float[] values) {
        return Tensors.to(Tensors.of(values, 1, 3, 1, 1), device);
    }

    /**
     * The tokens after the last normalisation.
     *
     * @param x (N, 3, H, W) float32 on the network's device, normalised; H and W multiples of the patch size
     * @return (N, 1 + registers + patches, D): the class token, registers, then patches row by row
     */
    public Tensor tokens(Tensor x) {
        if (x.dim() != 4 || x.size(1) != 3 || x.size(2) % patch != 0 || x.size(3) % patch != 0 || x.numel() == 0)
            throw new IllegalArgumentException("pictures for this network are (N, 3, H, W), H and W multiples of "
                    + patch + ", given " + Tensors.shape(x));
        return lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                Tensor tokens = embedded(x);
                for (int i = 0; i < depth; i++) tokens = block("blocks." + i + ".", tokens);
                return norm("norm", tokens);
            }
        }));
    }

    private Tensor embedded(Tensor x) {
        return TensorScope.local(() -> {
            long n = x.size(0), down = x.size(2) / patch, across = x.size(3) / patch;
            long[] stride = {patch, patch}, none = {0, 0}, one = {1, 1};
            Tensor patches = torch.conv2d(
                            x,
                            weights.get("patch_embed.proj.weight"),
                            new TensorOptional(weights.get("patch_embed.proj.bias")),
                            stride,
                            none,
                            one,
                            1)
                    .flatten(2, 3)
                    .transpose(1, 2); // (N, T, D)
            Tensor tokens = Tensors.cat(1, weights.get("cls_token").expand(n, 1, width), patches)
                    .add(positions(down, across));
            if (registers == 0) return tokens;
            return Tensors.cat(
                    1,
                    tokens.narrow(1, 0, 1),
                    weights.get("register_tokens").expand(n, registers, width),
                    tokens.narrow(1, 1, tokens.size(1) - 1));
        });
    }

    /** (1, 1 + down · across, D): the class token's, and those of the patches, interpolated from the square that was trained on. */
    private Tensor positions(long down, long across) {
        Tensor table = weights.get("pos_embed");
        long side = Math.round(Math.sqrt(table.size(1) - 1.0));
        if (down == side && across == side) return table;
        Tensor square = table.narrow(1, 1, side * side)
                .reshape(1, side, side, width)
                .permute(0, 3, 1, 2)
                .contiguous();
        Tensor resized = registers > 0
                ? AntialiasedResize.bicubic(square, down, across)
                : torch.upsample_bicubic2d(
                        square,
                        new long[] {down, across},
                        false,
                        new DoubleOptional((down + OFFSET) / side),
                        new DoubleOptional((across + OFFSET) / side));
        return Tensors.cat(1, table.narrow(1, 0, 1), resized.permute(0, 2, 3, 1).reshape(1, down * across, width));
    }

    private Tensor block(String name, Tensor x) {
        Tensor result = TensorScope.local(() -> {
            Tensor attended = attention(name + "attn.", norm(name + "norm1", x)).mul(weights.get(name + "ls1.gamma"));
            Tensor y = x.add(attended);
            Tensor hidden = torch.gelu(linear(name + "mlp.fc1", norm(name + "norm2", y)));
            return y.add(linear(name + "mlp.fc2", hidden).mul(weights.get(name + "ls2.gamma")));
        });
        x.close();
        return result;
    }

    private Tensor attention(String name, Tensor x) {
        long n = x.size(0), tokens = x.size(1), heads = width / HEAD_WIDTH;
        Tensor qkv =
                linear(name + "qkv", x).reshape(n, tokens, 3, heads, HEAD_WIDTH).permute(2, 0, 3, 1, 4);
        Tensor mixed = torch.scaled_dot_product_attention(qkv.select(0, 0), qkv.select(0, 1), qkv.select(0, 2));
        return linear(name + "proj", mixed.transpose(1, 2).reshape(n, tokens, width));
    }

    private Tensor linear(String name, Tensor x) {
        return torch.linear(x, weights.get(name + ".weight"), new TensorOptional(weights.get(name + ".bias")));
    }

    private Tensor norm(String name, Tensor x) {
        return torch.layer_norm(
                x,
                new long[] {width},
                new TensorOptional(weights.get(name + ".weight")),
                new TensorOptional(weights.get(name + ".bias")),
                EPS,
                true);
    }

    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        weights.values().forEach(Tensor::close);
    }
}
