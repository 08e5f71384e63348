package org.dit4j.checkpoint;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.dit4j.io.FormatException;
import org.dit4j.io.RegularFile;

/**
 * Hugging Face's cache on the local disk: {@code models--owner--name/refs/main} names a commit, {@code snapshots/COMMIT} holds its files.
 * What is not there is not fetched: the error says what to fetch.
 *
 * @param folder the cache
 */
public record HubCache(Path folder) {
    private static final String VAE_CONFIG =
            "config.json (547 bytes, SHA-256" + " 92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e)";

    /** What to fetch of the repositories that belong to DiT, in lines; an error is to have at most five. */
    private static final Map<String, List<String>> KNOWN = Map.of(
            "facebook/DiT-XL-2-256",
            pipeline("or, instead of all this, DiT-XL-2-256x256.pt from https://dl.fbaipublicfiles.com/DiT/models/"
                    + " (2,700,611,775 bytes, SHA-256"
                    + " 9ec1876e4c03471bca126663a30e2d1b20610b6d2f87850a39a36f25cc685521), with an autoencoder"),
            "facebook/DiT-XL-2-512",
            pipeline("or, instead of all this, DiT-XL-2-512x512.pt from https://dl.fbaipublicfiles.com/DiT/models/"
                    + " (about 2.7 GB), with an autoencoder"),
            "stabilityai/sd-vae-ft-mse",
            List.of(
                    VAE_CONFIG,
                    "diffusion_pytorch_model.safetensors (334,643,276 bytes, SHA-256"
                            + " a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815), or"
                            + " diffusion_pytorch_model.bin (334,707,217 bytes, SHA-256"
                            + " 1b4889b6b1d4ce7ae320a02dedaeff1780ad77d415ea0d744b476155c6377ddc)"),
            "stabilityai/sd-vae-ft-ema",
            List.of(VAE_CONFIG, "diffusion_pytorch_model.safetensors or .bin (about 335 MB)"));

    private static List<String> pipeline(String instead) {
        return List.of(
                "model_index.json, scheduler/scheduler_config.json, transformer/config.json,"
                        + " transformer/diffusion_pytorch_model.safetensors or .bin (about 3.0 GB),",
                "vae/config.json, vae/diffusion_pytorch_model.safetensors or .bin (about 335 MB);",
                instead);
    }

    /** The cache of this machine: {@code $HF_HUB_CACHE}, {@code $HF_HOME/hub}, or {@code ~/.cache/huggingface/hub}. */
    public static HubCache ofEnvironment() {
        return of(System::getenv, Path.of(System.getProperty("user.home")));
    }

    static HubCache of(UnaryOperator<String> environment, Path home) {
        String hub = environment.apply("HF_HUB_CACHE"), base = environment.apply("HF_HOME");
        String general = environment.apply("XDG_CACHE_HOME");
        if (hub != null && !hub.isBlank()) return new HubCache(Path.of(hub));
        if (base != null && !base.isBlank()) return new HubCache(Path.of(base, "hub"));
        Path cache = general != null && !general.isBlank() ? Path.of(general) : home.resolve(".cache");
        return new HubCache(cache.resolve("huggingface").resolve("hub"));
    }

    /**
     * The path itself if it exists; else, if it reads like a name on the hub, its snapshot in the cache.
     *
     * @throws NoSuchFileException if there is neither, saying what to fetch
     */
    public Path resolve(Path path) throws IOException {
        if (Files.exists(path)) return path;
        // a path whose folder is there, as in results/007, is a mistyped path and no name
        boolean mistyped = isName(path) && Files.isDirectory(path.getParent()) && !Files.exists(repository(name(path)));
        if (!isName(path) || mistyped)
            throw new NoSuchFileException(
                    path.toString(),
                    null,
                    "no such file or folder; give a run folder, a checkpoint, a .pt or .safetensors file, a diffusers"
                            + " folder, or a name as on Hugging Face's hub, such as facebook/DiT-XL-2-256");
        return snapshot(name(path));
    }

    /** Whether a path reads like a name on the hub. */
    static boolean isName(Path path) {
        String name = name(path);
        return name.matches("[A-Za-z0-9][\\w.-]*/[A-Za-z0-9][\\w.-]*")
                && !name.matches(".*\\.(pt|pth|bin|ckpt|safetensors|json)");
    }

    private static String name(Path path) {
        return path.toString().replace('\\', '/');
    }

    private Path repository(String name) {
        return folder.resolve("models--" + name.replace("/", "--"));
    }

    private Path snapshot(String name) throws IOException {
        Path repository = repository(name);
        Path head = repository.resolve("refs").resolve("main");
        if (!Files.exists(head))
            throw absent(name, "there is no such file or folder, and nothing of that name in " + folder);
        byte[] text = RegularFile.readSmall(head, 1000, "the name of a commit");
        String commit = new String(text, StandardCharsets.UTF_8).trim();
        if (!commit.matches("[0-9a-zA-Z]{1,64}")) throw new FormatException(head, "is not the name of a commit");
        Path snapshot = repository.resolve("snapshots").resolve(commit);
        if (!Files.isDirectory(snapshot)) throw absent(name, "is named by " + head + ", but not in the cache");
        List<Path> missing = missing(snapshot);
        if (!missing.isEmpty()) throw absent(name, "is in " + snapshot + ", but not whole: no " + missing.get(0));
        return snapshot;
    }

    /** What every known repository needs and this snapshot lacks; a fetch that was interrupted leaves the small files. */
    private static List<Path> missing(Path snapshot) {
        boolean pipeline = Files.exists(snapshot.resolve("model_index.json"));
        return (pipeline ? List.of("transformer", "vae") : List.of(""))
                .stream()
                        .map(snapshot::resolve)
                        .filter(part -> {
                            String[] files = part.toFile()
                                    .list((where, file) -> file.matches(".*\\.(safetensors|bin|pt|pth)")
                                            && Files.exists(part.resolve(file)));
                            return files == null || files.length == 0;
                        })
                        .map(part -> part.resolve("diffusion_pytorch_model.safetensors"))
                        .toList();
    }

    private static NoSuchFileException absent(String name, String where) {
        List<String> files = KNOWN.getOrDefault(name, List.of());
        String what = files.isEmpty() ? "" : "\nit needs " + String.join("\n  ", files);
        return new NoSuchFileException(
                name,
                null,
                String.format(
                        Locale.ROOT,
                        "%s; dit downloads nothing: fetch it with \"hf download %s\"%s",
                        where,
                        name,
                        what));
    }
}
