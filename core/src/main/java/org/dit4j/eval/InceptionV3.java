package org.dit4j.eval;

import static org.bytedeco.pytorch.global.torch.avg_pool2d;
import static org.bytedeco.pytorch.global.torch.max_pool2d;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Inception-v3 (Szegedy et al. 2015, <i>Rethinking the Inception Architecture for Computer Vision</i>) as TensorFlow's graph of 2015-12-05 has
 * it, with 1008 classes, whose features FID, sFID and the Inception Score are defined by. It differs from torchvision's: average pooling leaves
 * the padding out, and the last block pools by maximum. Weights have the names of the PyTorch port; batch normalisation is folded into the
 * convolution before it.
 */
public final class InceptionV3 implements FeatureNetwork {
    /** Whose figures come out: how pictures are brought to 299 × 299 and to the network's range. */
    public enum Profile {
        /** OpenAI's evaluator of guided diffusion, by which papers since 2021 report: TensorFlow's resize within the graph. */
        ADM,
        /** torch-fidelity: the same features. */
        TORCH_FIDELITY,
        /** pytorch-fid and what follows it: PyTorch's bilinear resize, with the half pixel, of pictures in [0, 1]. */
        PYTORCH_FID;

        /** {@code torch-fidelity}. */
        public String text() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    /** What {@link FeatureSpace#network} says. */
    public static final String NAME = "inception-v3-2015-12-05";

    private static final int SIZE = 299, CLASSES = 1008, SPATIAL_CHANNELS = 7;
    private static final double BATCH_NORM_EPS = 0.001;
    private static final long[] ONE = {1, 1}, TWO = {2, 2}, THREE = {3, 3}, NONE = {0, 0};

    static {
        Backend.configure();
    }

    /** A convolution with batch normalisation and ReLU; null weights until they are folded in. */
    private static final class Conv {
        final long[] shape;
        final long[] stride, padding;
        Tensor weight, bias;

        Conv(long in, long out, long height, long width, long[] stride, long[] padding) {
            shape = new long[] {out, in, height, width};
            this.stride = stride;
            this.padding = padding;
        }
    }

    private final Profile profile;
    private final Device device;
    private final ScalarType dtype;
    private final FeatureSpace space;
    private final Map<String, Conv> layers = new LinkedHashMap<>();
    /** (1008, 2048); of the output layer, whose bias nobody uses. */
    private final Tensor classes;

    private final Lifetime lifetime = new Lifetime("this Inception network", this::free);

    private InceptionV3(
            Map<String, Tensor> weights, String digest, Profile profile, Device device, Precision precision) {
        if (precision == Precision.AUTOCAST)
            throw new IllegalArgumentException("Inception runs in FP32 or BF16, not by autocast");
        this.profile = profile;
        this.device = device;
        dtype = precision.weights();
        space = new FeatureSpace(NAME, profile.text(), digest, precision == Precision.BF16 ? "bf16" : "fp32");
        declare();
        requireFit(weights);
        classes = TensorScope.keeping(() -> onDevice(weights.get("fc.weight"), ScalarType.Float));
        layers.forEach((name, conv) -> fold(name, conv, weights));
    }

    /**
     * Opens the published weights.
     *
     * @param file as {@link InceptionWeights#read} takes it
     * @param precision FP32 or BF16
     */
    public static InceptionV3 open(Path file, Profile profile, String device, Precision precision) throws IOException {
        return open(file, profile, device, precision, false);
    }

    /**
     * As {@link #open(Path, Profile, String, Precision)}.
     *
     * @param anyWeights whether other weights than the published ones are taken too; what comes out then is comparable with itself only
     */
    public static InceptionV3 open(Path file, Profile profile, String device, Precision precision, boolean anyWeights)
            throws IOException {
        Device chosen = Backend.device(device);
        try (TensorScope scope = new TensorScope()) {
            InceptionWeights weights = InceptionWeights.read(file, anyWeights);
            return new InceptionV3(weights.tensors(), weights.digest(), profile, chosen, precision);
        }
    }

    /**
     * A network of weights that are there.
     *
     * @param weights float32, by the PyTorch port's names; {@code num_batches_tracked} may be there
     * @param digest tells them apart from others
     * @throws IllegalArgumentException naming what is missing, unexpected, or of another shape
     */
    public static InceptionV3 of(
            Map<String, Tensor> weights, String digest, Profile profile, String device, Precision precision) {
        return new InceptionV3(weights, digest, profile, Backend.device(device), precision);
    }

    // ---- the layers, in the order of the checkpoint

    private void declare() {
        stem("Conv2d_1a_3x3", 3, 32, 3, TWO, NONE);
        stem("Conv2d_2a_3x3", 32, 32, 3, ONE, NONE);
        stem("Conv2d_2b_3x3", 32, 64, 3, ONE, ONE);
        stem("Conv2d_3b_1x1", 64, 80, 1, ONE, NONE);
        stem("Conv2d_4a_3x3", 80, 192, 3, ONE, NONE);
        declareA("Mixed_5b", 192, 32);
        declareA("Mixed_5c", 256, 64);
        declareA("Mixed_5d", 288, 64);
        halving("Mixed_6a.branch3x3", 288, 384);
        same("Mixed_6a.branch3x3dbl_1", 288, 64, 1, 1);
        same("Mixed_6a.branch3x3dbl_2", 64, 96, 3, 3);
        halving("Mixed_6a.branch3x3dbl_3", 96, 96);
        declareC("Mixed_6b", 128);
        declareC("Mixed_6c", 160);
        declareC("Mixed_6d", 160);
        declareC("Mixed_6e", 192);
        same("Mixed_7a.branch3x3_1", 768, 192, 1, 1);
        halving("Mixed_7a.branch3x3_2", 192, 320);
        same("Mixed_7a.branch7x7x3_1", 768, 192, 1, 1);
        same("Mixed_7a.branch7x7x3_2", 192, 192, 1, 7);
        same("Mixed_7a.branch7x7x3_3", 192, 192, 7, 1);
        halving("Mixed_7a.branch7x7x3_4", 192, 192);
        declareE("Mixed_7b", 1280);
        declareE("Mixed_7c", 2048);
    }

    private void declareA(String name, long in, long pooled) {
        same(name + ".branch1x1", in, 64, 1, 1);
        same(name + ".branch5x5_1", in, 48, 1, 1);
        same(name + ".branch5x5_2", 48, 64, 5, 5);
        same(name + ".branch3x3dbl_1", in, 64, 1, 1);
        same(name + ".branch3x3dbl_2", 64, 96, 3, 3);
        same(name + ".branch3x3dbl_3", 96, 96, 3, 3);
        same(name + ".branch_pool", in, pooled, 1, 1);
    }

    private void declareC(String name, long inner) {
        same(name + ".branch1x1", 768, 192, 1, 1);
        same(name + ".branch7x7_1", 768, inner, 1, 1);
        same(name + ".branch7x7_2", inner, inner, 1, 7);
        same(name + ".branch7x7_3", inner, 192, 7, 1);
        same(name + ".branch7x7dbl_1", 768, inner, 1, 1);
        same(name + ".branch7x7dbl_2", inner, inner, 7, 1);
        same(name + ".branch7x7dbl_3", inner, inner, 1, 7);
        same(name + ".branch7x7dbl_4", inner, inner, 7, 1);
        same(name + ".branch7x7dbl_5", inner, 192, 1, 7);
        same(name + ".branch_pool", 768, 192, 1, 1);
    }

    private void declareE(String name, long in) {
        same(name + ".branch1x1", in, 320, 1, 1);
        same(name + ".branch3x3_1", in, 384, 1, 1);
        same(name + ".branch3x3_2a", 384, 384, 1, 3);
        same(name + ".branch3x3_2b", 384, 384, 3, 1);
        same(name + ".branch3x3dbl_1", in, 448, 1, 1);
        same(name + ".branch3x3dbl_2", 448, 384, 3, 3);
        same(name + ".branch3x3dbl_3a", 384, 384, 1, 3);
        same(name + ".branch3x3dbl_3b", 384, 384, 3, 1);
        same(name + ".branch_pool", in, 192, 1, 1);
    }

    private void stem(String name, long in, long out, long kernel, long[] stride, long[] padding) {
        layers.put(name, new Conv(in, out, kernel, kernel, stride, padding));
    }

    private void same(String name, long in, long out, long height, long width) {
        layers.put(name, new Conv(in, out, height, width, ONE, new long[] {height / 2, width / 2}));
    }

    private void halving(String name, long in, long out) {
        layers.put(name, new Conv(in, out, 3, 3, TWO, NONE));
    }

    private void requireFit(Map<String, Tensor> weights) {
        Map<String, long[]> expected = new LinkedHashMap<>();
        layers.forEach((name, conv) -> {
            expected.put(name + ".conv.weight", conv.shape);
            for (String statistic : List.of("weight", "bias", "running_mean", "running_var"))
                expected.put(name + ".bn." + statistic, new long[] {conv.shape[0]});
        });
        expected.put("fc.weight", new long[] {CLASSES, 2048});
        expected.put("fc.bias", new long[] {CLASSES});
        List<String> problems = WeightCheck.problems(expected, weights, name -> name.endsWith(".num_batches_tracked"));
        WeightCheck.require(problems, "not the Inception network of 2015-12-05");
    }

    /** y = γ (conv(x) − μ) / √(σ² + ε) + β is a convolution with a bias; folded in float64. */
    private void fold(String name, Conv conv, Map<String, Tensor> weights) {
        Tensor[] folded = new Tensor[2];
        try (TensorScope scope = new TensorScope()) {
            Tensor factor = doubled(weights, name + ".bn.weight")
                    .div(doubled(weights, name + ".bn.running_var")
                            .add(new Scalar(BATCH_NORM_EPS))
                            .sqrt());
            Tensor shift = doubled(weights, name + ".bn.bias")
                    .sub(doubled(weights, name + ".bn.running_mean").mul(factor));
            Tensor weight = doubled(weights, name + ".conv.weight").mul(factor.view(-1, 1, 1, 1));
            folded[0] = TensorScope.detached(onDevice(weight, dtype));
            folded[1] = TensorScope.detached(onDevice(shift, dtype));
        }
        conv.weight = folded[0];
        conv.bias = folded[1];
    }

    private static Tensor doubled(Map<String, Tensor> weights, String name) {
        return weights.get(name).detach().to(ScalarType.Double);
    }

    private Tensor onDevice(Tensor tensor, ScalarType type) {
        return tensor.to(device, type, false, true, null).contiguous();
    }

    // ---- forward

    @Override
    public FeatureSpace space() {
        return space;
    }

    /** {@inheritDoc} 2048 features, 2023 spatial ones, 1008 logits. */
    @Override
    public Map<Tap, Tensor> features(Tensor pictures) {
        PictureBatch.require(pictures);
        Tensor[] taps = lifetime.use(() -> TensorScope.localAll(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                return forward(pictures);
            }
        }));
        Map<Tap, Tensor> features = new EnumMap<>(Tap.class);
        features.put(Tap.FEATURES, taps[0]);
        features.put(Tap.SPATIAL, taps[1]);
        features.put(Tap.LOGITS, taps[2]);
        return features;
    }

    /** What the first convolution takes: (N, 3, 299, 299), about [−1, 1]. */
    Tensor prepared(Tensor pictures) {
        Tensor levels = pictures.to(device, ScalarType.Float, false, false, null);
        if (profile != Profile.PYTORCH_FID)
            return TensorFlowResize.apply(levels, SIZE).sub(new Scalar(128.0)).div_(new Scalar(128.0));
        Tensor unit = levels.div(new Scalar(255.0));
        boolean sized = unit.size(2) == SIZE && unit.size(3) == SIZE;
        Tensor resized = sized
                ? unit
                : torch.upsample_bilinear2d(
                        unit, new long[] {SIZE, SIZE}, false, new DoubleOptional(), new DoubleOptional());
        return resized.mul(new Scalar(2.0)).sub_(new Scalar(1.0));
    }

    private Tensor[] forward(Tensor pictures) {
        Tensor x = TensorScope.local(() -> prepared(pictures).to(dtype));
        x = pass(x, at -> conv("Conv2d_1a_3x3", at)); // (N, 32, 149, 149)
        x = pass(x, at -> conv("Conv2d_2a_3x3", at)); // (N, 32, 147, 147)
        x = pass(x, at -> conv("Conv2d_2b_3x3", at)); // (N, 64, 147, 147)
        x = pass(x, at -> halved(at)); // (N, 64, 73, 73)
        x = pass(x, at -> conv("Conv2d_3b_1x1", at)); // (N, 80, 73, 73)
        x = pass(x, at -> conv("Conv2d_4a_3x3", at)); // (N, 192, 71, 71)
        x = pass(x, at -> halved(at)); // (N, 192, 35, 35)
        for (String name : List.of("Mixed_5b", "Mixed_5c", "Mixed_5d")) x = pass(x, at -> blockA(name, at));
        x = pass(x, this::block6a); // (N, 768, 17, 17)
        for (String name : List.of("Mixed_6b", "Mixed_6c")) x = pass(x, at -> blockC(name, at, branch1x1(name, at)));
        Tensor grid = branch1x1("Mixed_6d", x); // (N, 192, 17, 17)
        // channels last, as TensorFlow lays them out
        Tensor spatial = TensorScope.local(() -> grid.narrow(1, 0, SPATIAL_CHANNELS)
                .permute(0, 2, 3, 1)
                .to(ScalarType.Float)
                .reshape(pictures.size(0), -1));
        x = pass(x, at -> blockC("Mixed_6d", at, grid));
        x = pass(x, at -> blockC("Mixed_6e", at, branch1x1("Mixed_6e", at)));
        x = pass(x, this::block7a); // (N, 1280, 8, 8)
        x = pass(x, at -> blockE("Mixed_7b", at, averaged(at)));
        x = pass(x, at -> blockE("Mixed_7c", at, max_pool2d(at, THREE, ONE, ONE, ONE, false))); // (N, 2048, 8, 8)
        Tensor features = x.to(ScalarType.Float).mean(2, 3);
        return new Tensor[] {features, spatial, features.matmul(classes.t())};
    }

    /** {@code layer(x)}, after which nobody needs {@code x}: activations are large. */
    private static Tensor pass(Tensor x, UnaryOperator<Tensor> layer) {
        Tensor y = TensorScope.local(() -> layer.apply(x));
        x.close();
        return y;
    }

    private Tensor conv(String name, Tensor x) {
        Conv conv = layers.get(name);
        return torch.conv2d(x, conv.weight, new TensorOptional(conv.bias), conv.stride, conv.padding, ONE, 1)
                .relu_();
    }

    private static Tensor halved(Tensor x) {
        return max_pool2d(x, THREE, TWO, NONE, ONE, false);
    }

    /** 3 × 3, of the neighbours that are there: padding does not count. */
    private static Tensor averaged(Tensor x) {
        return avg_pool2d(x, THREE, ONE, ONE, false, false, new LongOptional());
    }

    private Tensor branch1x1(String name, Tensor x) {
        return conv(name + ".branch1x1", x);
    }

    private Tensor chain(String name, Tensor x, String... parts) {
        for (String part : parts) x = conv(name + "." + part, x);
        return x;
    }

    private Tensor blockA(String name, Tensor x) {
        return Tensors.cat(
                1,
                branch1x1(name, x),
                chain(name, x, "branch5x5_1", "branch5x5_2"),
                chain(name, x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                chain(name, averaged(x), "branch_pool"));
    }

    private Tensor block6a(Tensor x) {
        return Tensors.cat(
                1,
                chain("Mixed_6a", x, "branch3x3"),
                chain("Mixed_6a", x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                halved(x));
    }

    private Tensor blockC(String name, Tensor x, Tensor branch1x1) {
        return Tensors.cat(
                1,
                branch1x1,
                chain(name, x, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
                chain(
                        name,
                        x,
                        "branch7x7dbl_1",
                        "branch7x7dbl_2",
                        "branch7x7dbl_3",
                        "branch7x7dbl_4",
                        "branch7x7dbl_5"),
                chain(name, averaged(x), "branch_pool"));
    }

    private Tensor block7a(Tensor x) {
        return Tensors.cat(
                1,
                chain("Mixed_7a", x, "branch3x3_1", "branch3x3_2"),
                chain("Mixed_7a", x, "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"),
                halved(x));
    }

    private Tensor blockE(String name, Tensor x, Tensor pooled) {
        Tensor wide = chain(name, x, "branch3x3_1");
        Tensor twice = chain(name, x, "branch3x3dbl_1", "branch3x3dbl_2");
        return Tensors.cat(
                1,
                branch1x1(name, x),
                conv(name + ".branch3x3_2a", wide),
                conv(name + ".branch3x3_2b", wide),
                conv(name + ".branch3x3dbl_3a", twice),
                conv(name + ".branch3x3dbl_3b", twice),
                chain(name, pooled, "branch_pool"));
    }

    @Override
    public void close() {
        lifetime.close();
    }

    private void free() {
        List<Tensor> tensors = new ArrayList<>(List.of(classes));
        layers.values().forEach(conv -> tensors.addAll(List.of(conv.weight, conv.bias)));
        tensors.forEach(Tensor::close);
    }
}
