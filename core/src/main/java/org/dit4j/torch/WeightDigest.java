package org.dit4j.torch;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.function.Predicate;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Tells networks apart by their weights. */
public final class WeightDigest {
    static {
        Backend.configure();
    }

    private WeightDigest() {}

    /**
     * SHA-256, in hex, of the chosen parameters in state-dict order: name, shape, and values, little endian.
     *
     * @param dtype what values are converted to first
     */
    public static String of(Module module, ScalarType dtype, Predicate<String> names) {
        MessageDigest digest = sha256();
        try (TensorScope scope = new TensorScope()) {
            StateDict.of(module).forEach((name, tensor) -> {
                if (names.test(name)) update(digest, name, tensor, dtype);
            });
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static void update(MessageDigest digest, String name, Tensor tensor, ScalarType dtype) {
        digest.update((name + Tensors.shape(tensor)).getBytes(StandardCharsets.UTF_8));
        try (TensorScope scope = new TensorScope()) {
            Tensor converted = tensor.detach()
                    .to(Backend.device("cpu"), dtype, false, false, null)
                    .contiguous();
            digest.update(new BytePointer(converted.data_ptr())
                    .limit(converted.nbytes())
                    .asBuffer());
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
