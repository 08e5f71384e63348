package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.RecipeWeights;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Profile;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** safetensors → .pt → diffusers folder → safetensors → .pt: nothing is lost but what a format has no place for. */
class RoundTripTest {
    @TempDir
    Path folder;

    static Stream<String> names() {
        return DiTConfig.names().stream();
    }

    /** One block, in bfloat16 to spare the disk; every kind of weight in its full size. */
    @ParameterizedTest
    @MethodSource("names")
    void everyConfigurationComesBackToTheByte(String name) throws IOException {
        DiTConfig config = DiTConfig.of(name);
        roundTrip(config.withTrunk(config.hiddenSize(), 1, config.numHeads()), Optional.of(ScalarType.BFloat16));
    }

    @Tag("slow")
    @ParameterizedTest
    @MethodSource("names")
    void everyFullConfigurationComesBackToTheByte(String name) throws IOException {
        roundTrip(DiTConfig.of(name), Optional.empty());
    }

    private void roundTrip(DiTConfig config, Optional<ScalarType> dtype) throws IOException {
        Path first = folder.resolve("first.safetensors"), pt = folder.resolve("first.pt");
        List<String> classes = IntStream.range(0, config.numClasses())
                .mapToObj(label -> "class " + label)
                .toList();
        DiT network = config.network();
        try (TensorScope scope = new TensorScope()) {
            RecipeWeights.fill(StateDict.of(network), 5);
        }
        DiTWeights weights = DiTWeights.of(network, classes, "");
        DiTCheckpoint.write(first, dtype.map(weights::to).orElse(weights));
        network.close();

        convert(first, pt, OpenOptions.DEFAULT);
        convert(pt, folder.resolve("from-pt"), OpenOptions.DEFAULT);
        convert(first, folder.resolve("from-first"), OpenOptions.DEFAULT);
        assertSameFile(
                folder.resolve("from-first/transformer/diffusion_pytorch_model.safetensors"),
                folder.resolve("from-pt/transformer/diffusion_pytorch_model.safetensors"));
        OpenOptions official = OpenOptions.DEFAULT.withProfile(Profile.OFFICIAL);
        convert(folder.resolve("from-first"), folder.resolve("last.safetensors"), official);
        assertSameFile(first, folder.resolve("last.safetensors"));
        assertEquals(
                classes,
                DiTCheckpoint.describe(folder.resolve("last.safetensors")).classNames());
        convert(folder.resolve("from-pt"), folder.resolve("last.pt"), official);
        assertSameFile(pt, folder.resolve("last.pt"));
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> written = Safetensors.read(first);
            assertEquals(
                    DiTShapes.of(config).keySet().stream().toList(),
                    written.keySet().stream().toList());
        }
    }

    private static void convert(Path from, Path to, OpenOptions options) throws IOException {
        Conversion.convert(from, to, options, WriteOptions.DEFAULT);
    }

    private static void assertSameFile(Path expected, Path actual) throws IOException {
        assertEquals(-1, Files.mismatch(expected, actual), actual + " differs from " + expected);
    }
}
