package org.dit4j.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.io.FormatException;
import org.dit4j.io.Safetensors;
import org.dit4j.io.Sha256;
import org.dit4j.io.TorchFile;

/**
 * The file of Inception's weights, which nobody may ship with a library: found, checked, read. The same file has a name of pytorch-fid and one
 * of torch-fidelity.
 *
 * @param tensors by the PyTorch port's names, in the scope around the call
 * @param digest SHA-256 of the file, in hex
 */
public record InceptionWeights(Map<String, Tensor> tensors, String digest) {
    /** SHA-256 of the published file. */
    public static final String PUBLISHED = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

    private static final long PUBLISHED_BYTES = 95_628_359;
    private static final List<String> NAMES =
            List.of("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth");

    /**
     * The published file where PyTorch's programs and ours keep it, if it is there: {@code ~/.cache/dit4j} and the checkpoints of
     * {@code torch.hub} ({@code $TORCH_HOME/hub/checkpoints}, by default in {@code ~/.cache/torch}).
     */
    public static Optional<Path> find() {
        for (Path folder : folders())
            for (String name : NAMES)
                if (Files.isRegularFile(folder.resolve(name))) return Optional.of(folder.resolve(name));
        return Optional.empty();
    }

    private static List<Path> folders() {
        Path cache = Path.of(System.getProperty("user.home"), ".cache");
        String torch = System.getenv("TORCH_HOME");
        return List.of(
                cache.resolve("dit4j"),
                (torch == null || torch.isBlank() ? cache.resolve("torch") : Path.of(torch))
                        .resolve("hub")
                        .resolve("checkpoints"));
    }

    /** What to do where the file is not there. */
    public static String advice() {
        return "get " + NAMES.get(0) + " (" + PUBLISHED_BYTES + " bytes, SHA-256 " + PUBLISHED
                + "; from github.com/mseitzer/pytorch-fid/releases, or as " + NAMES.get(1)
                + " from github.com/toshas/torch-fidelity/releases) and put it into "
                + folders().get(0) + ", or name it";
    }

    /**
     * Reads a file of torch.save, of either format, a TorchScript archive with the same names of parameters, or a safetensors file.
     *
     * @param any whether others than the published weights are taken
     * @throws NoSuchFileException if it is not there, saying what to get and where to put it
     * @throws FormatException if it is another file, with what its digest should be
     */
    public static InceptionWeights read(Path file, boolean any) throws IOException {
        if (!Files.exists(file)) throw new NoSuchFileException(file.toString(), null, "no such file; " + advice());
        String digest = Sha256.hex(file);
        if (!any && !digest.equals(PUBLISHED))
            throw new FormatException(
                    file,
                    "is not the published Inception network: SHA-256 " + digest + ", " + Files.size(file)
                            + " bytes; figures by other weights compare with nobody's; " + advice());
        return new InceptionWeights(tensors(file), digest);
    }

    private static Map<String, Tensor> tensors(Path file) throws IOException {
        if (file.toString().endsWith(".safetensors")) return Safetensors.read(file);
        if (TorchFile.isScript(file)) return TorchScript.tensors(file);
        if (!(TorchFile.read(file) instanceof Map<?, ?> state))
            throw new FormatException(file, "holds no state dict; give one with Inception's weights by name");
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : state.entrySet()) {
            if (!(entry.getKey() instanceof String name) || !(entry.getValue() instanceof Tensor tensor))
                throw new FormatException(file, "holds more than tensors by name: " + entry.getKey());
            tensors.put(name, tensor);
        }
        return tensors;
    }
}
