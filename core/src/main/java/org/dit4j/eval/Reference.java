package org.dit4j.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.FormatException;
import org.dit4j.io.Npz;
import org.dit4j.io.NumpyPickle;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/**
 * What a set of samples is compared with.
 *
 * @param gaussians statistics by tap: the features', and the spatial ones where there are any
 * @param features of its pictures, where they are at hand: precision, recall and KID need them
 * @param origin what the statistics were made of; empty in files of others, which do not say
 */
public record Reference(
        Map<Tap, Gaussian> gaussians, Optional<FeatureSet> features, Optional<FeatureSet.Origin> origin) {
    private static final String ORIGIN = "dit4j";
    private static final ObjectMapper JSON = new ObjectMapper();

    public Reference {
        gaussians = Map.copyOf(gaussians);
    }

    /** Of pictures whose features are at hand. */
    public static Reference of(FeatureSet features) throws IOException {
        return new Reference(features.gaussians(), Optional.of(features), Optional.of(features.origin()));
    }

    /** These statistics, and features of some of the pictures. */
    public Reference with(FeatureSet some) {
        return new Reference(gaussians, Optional.of(some), origin);
    }

    /** Whether a file's name is one of statistics or of packed pictures: {@code .npz} or {@code .pkl}. */
    public static boolean isFile(Path path) {
        return path.toString().toLowerCase(Locale.ROOT).matches(".*\\.(npz|pkl)");
    }

    /** Whether an .npz has statistics; it may hold pictures too. */
    public static boolean isIn(Path npz) throws IOException {
        return Npz.headers(npz).keySet().containsAll(List.of("mu", "sigma"));
    }

    /**
     * Reads statistics: an .npz with {@code mu} and {@code sigma}, and perhaps {@code mu_s} and {@code sigma_s}, as guided diffusion, pytorch-fid and
     * {@link #write} have them; or a .pkl of dictionaries and arrays, of which that of this network is taken ({@code fid}, {@code fd_dinov2}) or
     * the only one.
     *
     * @param network its name, as {@link FeatureSpace#network} has it
     * @throws FormatException if the file is damaged, or holds something else
     */
    public static Reference read(Path file, String network) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            return file.toString().toLowerCase(Locale.ROOT).endsWith(".pkl") ? ofPickle(file, network) : ofNpz(file);
        }
    }

    private static Reference ofNpz(Path file) throws IOException {
        List<String> there = new ArrayList<>(Npz.headers(file).keySet());
        List<String> wanted = new ArrayList<>(List.of("mu", "sigma", "mu_s", "sigma_s", ORIGIN));
        wanted.retainAll(there);
        if (!there.containsAll(List.of("mu", "sigma")))
            throw new FormatException(file, "holds " + there + ", no mu and sigma; dit stats writes them");
        Map<String, Tensor> arrays = Npz.read(file, wanted);
        Optional<FeatureSet.Origin> origin = Optional.empty();
        if (arrays.containsKey(ORIGIN)) origin = Optional.of(origin(file, arrays.get(ORIGIN)));
        long count = origin.map(FeatureSet.Origin::count).orElse(0L);
        Map<Tap, Gaussian> gaussians = new EnumMap<>(Tap.class);
        gaussians.put(Tap.FEATURES, gaussian(file, count, arrays.get("mu"), arrays.get("sigma")));
        if (arrays.containsKey("mu_s") && arrays.containsKey("sigma_s"))
            gaussians.put(Tap.SPATIAL, gaussian(file, count, arrays.get("mu_s"), arrays.get("sigma_s")));
        return new Reference(gaussians, Optional.empty(), origin);
    }

    private static FeatureSet.Origin origin(Path file, Tensor json) throws IOException {
        try {
            return JSON.readValue(new String(Tensors.toBytes(json), StandardCharsets.UTF_8), FeatureSet.Origin.class);
        } catch (JsonProcessingException e) {
            throw new FormatException(file, "its note of where the statistics are from is damaged", e);
        }
    }

    private static Gaussian gaussian(Path file, long count, Object mean, Object covariance) throws FormatException {
        if (!(mean instanceof Tensor mu) || !(covariance instanceof Tensor sigma))
            throw new FormatException(file, "mu or sigma is no array");
        if (!mu.is_floating_point() || !sigma.is_floating_point() || mu.dim() != 1 || sigma.dim() != 2)
            throw new FormatException(
                    file,
                    "mu is " + Tensors.shape(mu) + " and sigma " + Tensors.shape(sigma) + "; they are (D) and (D, D)");
        try {
            return new Gaussian(count, Tensors.toDoubles(mu), Tensors.toDoubles(sigma));
        } catch (IllegalArgumentException e) {
            throw new FormatException(file, e.getMessage(), e);
        }
    }

    private static Reference ofPickle(Path file, String network) throws IOException {
        Map<String, Object> root = NumpyPickle.read(file);
        Map<String, Map<?, ?>> found = new LinkedHashMap<>();
        if (root.containsKey("mu")) found.put("", root);
        root.forEach((name, value) -> {
            if (value instanceof Map<?, ?> map && map.containsKey("mu")) found.put(name, map);
        });
        String own = network.startsWith("dinov2") ? "fd_dinov2" : "fid";
        Map<?, ?> chosen = found.containsKey(own)
                ? found.get(own)
                : found.size() == 1 ? found.values().iterator().next() : null;
        if (chosen == null)
            throw new FormatException(
                    file,
                    "holds statistics called " + found.keySet() + ", none of them \"" + own + "\" for " + network);
        Gaussian gaussian = gaussian(file, 0, chosen.get("mu"), chosen.get("sigma"));
        return new Reference(Map.of(Tap.FEATURES, gaussian), Optional.empty(), Optional.empty());
    }

    /** Writes the statistics of features as an .npz that guided diffusion's and pytorch-fid's scripts read too. */
    public static void write(Path npz, FeatureSet features) throws IOException {
        Map<Tap, Gaussian> gaussians = features.gaussians();
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> arrays = new LinkedHashMap<>();
            arrays.put("mu", gaussians.get(Tap.FEATURES).mean());
            arrays.put("sigma", gaussians.get(Tap.FEATURES).covariance());
            if (gaussians.containsKey(Tap.SPATIAL)) {
                arrays.put("mu_s", gaussians.get(Tap.SPATIAL).mean());
                arrays.put("sigma_s", gaussians.get(Tap.SPATIAL).covariance());
            }
            byte[] origin = JSON.writeValueAsBytes(features.origin());
            arrays.put(ORIGIN, Tensors.of(origin, origin.length));
            Npz.write(npz, arrays, false);
        }
    }
}
