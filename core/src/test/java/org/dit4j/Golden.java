package org.dit4j;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.Safetensors;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * The numbers of the reference implementation: the folder that the system property {@code dit.golden} or the environment variable
 * {@code DIT_GOLDEN} names, else the small set among the test resources. Test classes that use it are called {@code …GoldenTest} and
 * extended with {@link Cases}.
 */
public final class Golden {
    private static final Path NAMED = named();
    private static final Map<String, Integer> CASES = new TreeMap<>();
    private static String currentClass = "";

    private Golden() {}

    private static Path named() {
        String folder = System.getProperty("dit.golden", System.getenv().getOrDefault("DIT_GOLDEN", ""));
        if (folder.isBlank()) return null;
        Path path = Path.of(folder);
        if (!Files.isDirectory(path))
            throw new IllegalStateException("DIT_GOLDEN names " + folder + ", which is not a folder");
        return path;
    }

    /** Whether a folder was named, so that an absent file is a failure. */
    public static boolean isNamed() {
        return NAMED != null;
    }

    private static Path root() {
        if (NAMED != null) return NAMED;
        try {
            return Path.of(Golden.class.getResource("/golden").toURI());
        } catch (java.net.URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A file or folder of the set; absent, the test is skipped on the small set and fails on a named one. */
    public static Path path(String name) {
        Path path = root().resolve(name);
        if (!Files.exists(path)) {
            if (isNamed()) fail(path + " is absent from the golden set that was named");
            abort(name + " is not in the small golden set; set DIT_GOLDEN to a whole one");
        }
        return path;
    }

    /** The names in a folder of the set that end so, sorted, without the ending. */
    public static List<String> list(String folder, String ending) {
        Path path = root().resolve(folder);
        if (!Files.isDirectory(path)) {
            if (isNamed()) fail(path + " is absent from the golden set that was named");
            return List.of();
        }
        try (Stream<Path> files = Files.list(path)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(ending))
                    .map(name -> name.substring(0, name.length() - ending.length()))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The tensors of a safetensors file of the set. */
    public static Map<String, Tensor> tensors(String name) {
        try {
            return Safetensors.read(path(name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** As {@link #tensors}, on the device that the system property {@code dit.device} names; without it the CPU. */
    public static Map<String, Tensor> onDevice(String name) {
        Map<String, Tensor> tensors = tensors(name);
        tensors.replaceAll((key, tensor) -> Tensors.to(tensor, device()));
        return tensors;
    }

    /** Where golden tests run networks: the system property {@code dit.device}, or the CPU. */
    public static org.bytedeco.pytorch.Device device() {
        return org.dit4j.torch.Backend.device(System.getProperty("dit.device", "cpu"));
    }

    /** The metadata of a safetensors file of the set. */
    public static Map<String, String> metadata(String name) {
        try {
            return Safetensors.header(path(name)).metadata();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A JSON file of the set. */
    public static JsonNode json(String name) {
        try {
            return new ObjectMapper().readTree(path(name).toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The model of a {@code config.json} of the set, which has the published names. */
    public static DiTConfig model(String file) {
        JsonNode json = json(file);
        int size = json.get("input_size").asInt();
        return new DiTConfig(
                size,
                size,
                json.get("patch_size").asInt(),
                json.get("in_channels").asInt(),
                json.get("hidden_size").asInt(),
                json.get("depth").asInt(),
                json.get("num_heads").asInt(),
                json.path("mlp_ratio").asDouble(4),
                json.get("num_classes").asInt(),
                json.path("class_dropout_prob").asDouble(0.1),
                json.get("learn_sigma").asBoolean(),
                DiTBlock.Kind.ADALN_ZERO);
    }

    /** ‖actual − expected‖ / ‖expected‖ in float64. */
    public static double relativeError(Tensor expected, Tensor actual) {
        double[] e = Tensors.toDoubles(expected), a = Tensors.toDoubles(actual);
        assertTrue(
                java.util.Arrays.equals(expected.shape(), actual.shape()),
                "shape " + Tensors.shape(actual) + ", expected " + Tensors.shape(expected));
        return relativeError(e, a);
    }

    /** ‖actual − expected‖ / ‖expected‖. */
    public static double relativeError(double[] expected, double[] actual) {
        double difference = 0, norm = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            norm += expected[i] * expected[i];
        }
        return norm == 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
    }

    /** One compared case: the relative error is at most {@code tolerance}. Counts the case. */
    public static void assertClose(String what, Tensor expected, Tensor actual, double tolerance) {
        ran();
        double error = relativeError(expected, actual);
        assertTrue(error <= tolerance, () -> what + ": relative error " + error + " is above " + tolerance);
    }

    /** A wrong variant must not pass: its relative error is above {@code tolerance}. */
    public static void assertRejected(String what, Tensor expected, Tensor wrong, double tolerance) {
        double error = relativeError(expected, wrong);
        assertTrue(
                error > tolerance,
                () -> what + " should be rejected, but its relative error is " + error + ", within " + tolerance);
    }

    /** Counts a case that was compared by other means. */
    public static void ran() {
        CASES.merge(currentClass, 1, Integer::sum);
    }

    /** Prints how many cases each golden class ran; with a named folder, a class that ran none fails. */
    public static final class Cases implements AfterAllCallback, org.junit.jupiter.api.extension.BeforeAllCallback {
        @Override
        public void beforeAll(ExtensionContext context) {
            currentClass = context.getRequiredTestClass().getSimpleName();
        }

        @Override
        public void afterAll(ExtensionContext context) {
            String name = context.getRequiredTestClass().getSimpleName();
            int cases = CASES.getOrDefault(name, 0);
            System.out.println("golden: " + name + " ran " + cases + " cases on " + root());
            if (isNamed() && cases == 0) fail(name + " ran no case on the golden set that was named");
        }
    }
}
