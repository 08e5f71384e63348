package org.dit4j.eval;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.StringIValueMap;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.io.Sha256;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Lifetime;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * Any network that {@code torch.jit} wrote, as a feature network: it takes (N, 3, H, W) and gives (N, D), or (N, D, h, w), of which the mean over h and
 * w is taken. Where its {@code forward} has an argument {@code return_features}, as NVIDIA's copies of Inception and VGG16 have, that is set. The file is a
 * program of tensor operations: take it from where you would take weights.
 */
public final class TorchScriptNetwork implements FeatureNetwork {
    /**
     * How pictures come to the network.
     *
     * @param size height and width that they are resized to, bilinearly with antialiasing; 0: they stay as they are
     * @param mean of each channel of pixels in [0, 1], subtracted
     * @param deviation of each channel, divided by; with mean 0 and deviation 1/255 the network gets levels of 0 to 255
     */
    public record Input(int size, List<Double> mean, List<Double> deviation) {
        /** Pixels in [0, 1] of the pictures' own size. */
        public static final Input UNIT = new Input(0, List.of(0.0, 0.0, 0.0), List.of(1.0, 1.0, 1.0));

        public Input {
            mean = List.copyOf(mean);
            deviation = List.copyOf(deviation);
            if (size < 0 || size > 8192) throw new IllegalArgumentException("size " + size + " is outside 0 … 8192");
            if (mean.size() != 3 || deviation.size() != 3 || deviation.stream().anyMatch(d -> !(d > 0)))
                throw new IllegalArgumentException("mean " + mean + " and deviation " + deviation
                        + "; each is three numbers, one a channel, and deviations are positive");
        }

        String text() {
            return String.format(
                    Locale.ROOT, "%s, (x - %s) / %s", size == 0 ? "own size" : "bilinear " + size, mean, deviation);
        }
    }

    private static final String RETURN_FEATURES = "return_features";

    static {
        Backend.configure();
    }

    private final Path file;
    private final JitModule module;
    private final Device device;
    private final Input input;
    private final FeatureSpace space;
    private final boolean asksForFeatures;
    private final Lifetime lifetime;

    private TorchScriptNetwork(Path file, JitModule module, Device device, Input input, FeatureSpace space) {
        this.file = file;
        this.module = module;
        this.device = device;
        this.input = input;
        this.space = space;
        try (TensorScope scope = new TensorScope()) {
            asksForFeatures = module.get_method("forward")
                    .function()
                    .getSchema()
                    .argumentIndexWithName(RETURN_FEATURES)
                    .has_value();
        }
        lifetime = new Lifetime("this feature network", module::close);
    }

    /** @throws org.dit4j.io.FormatException if LibTorch cannot load the file */
    public static TorchScriptNetwork open(Path file, Input input, String device) throws IOException {
        Device chosen = Backend.device(device);
        FeatureSpace space = new FeatureSpace(file.getFileName().toString(), input.text(), Sha256.hex(file), "fp32");
        JitModule module = TensorScope.detached(TorchScript.load(file));
        try (TensorScope scope = new TensorScope()) {
            module.to(chosen);
        }
        return new TorchScriptNetwork(file, module, chosen, input, space);
    }

    @Override
    public FeatureSpace space() {
        return space;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException also if the network does not take pictures of this size, or gives something else than features
     */
    @Override
    public Map<Tap, Tensor> features(Tensor pictures) {
        PictureBatch.require(pictures);
        Tensor features = lifetime.use(() -> TensorScope.local(() -> {
            try (NoGradGuard noGrad = new NoGradGuard()) {
                return result(module, prepared(pictures)).to(ScalarType.Float);
            }
        }));
        return Map.of(Tap.FEATURES, features);
    }

    private Tensor prepared(Tensor pictures) {
        Tensor unit = pictures.to(device, ScalarType.Float, false, false, null).div_(new Scalar(255.0));
        boolean sized = input.size == 0 || unit.size(2) == input.size && unit.size(3) == input.size;
        if (!sized) unit = AntialiasedResize.bilinear(unit, input.size, input.size);
        return unit.sub(channels(input.mean)).div_(channels(input.deviation));
    }

    private Tensor channels(List<Double> values) {
        float[] floats = new float[3];
        for (int i = 0; i < 3; i++) floats[i] = values.get(i).floatValue();
        return Tensors.to(Tensors.of(floats, 1, 3, 1, 1), device);
    }

    private Tensor result(JitModule network, Tensor x) {
        IValue given;
        try {
            if (asksForFeatures) {
                StringIValueMap named = new StringIValueMap();
                named.put(new BytePointer(RETURN_FEATURES), new IValue(true));
                given = network.forward(new IValueVector(new IValue(x)), named);
            } else given = network.forward(new IValueVector(new IValue(x)));
        } catch (RuntimeException e) {
            String reason = e.getMessage()
                    .lines()
                    .filter(line -> !line.isBlank())
                    .reduce((a, b) -> b)
                    .orElse("");
            throw new IllegalArgumentException(
                    file + ": the network does not take pictures of " + Tensors.shape(x) + ": " + reason, e);
        }
        if (!given.isTensor())
            throw new IllegalArgumentException(file + ": the network gives no tensor; trace one that gives features");
        Tensor features = given.toTensor();
        if (features.dim() == 4) features = features.mean(2, 3);
        if (features.dim() != 2 || features.size(0) != x.size(0))
            throw new IllegalArgumentException(file + ": the network gives " + Arrays.toString(features.shape())
                    + " of " + x.size(0) + " pictures; features are (N, D) or (N, D, h, w)");
        return features;
    }

    @Override
    public void close() {
        lifetime.close();
    }
}
