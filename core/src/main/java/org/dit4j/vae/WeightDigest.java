package org.dit4j.vae;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.function.Predicate;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.torch.Backend;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;

/** Tells networks apart by their weights. */
final class WeightDigest {
    private WeightDigest() {}

    /** SHA-256, in hex, of the chosen parameters in state-dict order: name, shape, and values rounded to bfloat16, little endian. */
    static String of(Module module, Predicate<String> names) {
        MessageDigest digest = sha256();
        try (TensorScope scope = new TensorScope()) {
            StateDict.of(module).forEach((name, tensor) -> {
                if (names.test(name)) update(digest, name, tensor);
            });
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static void update(MessageDigest digest, String name, Tensor tensor) {
        digest.update((name + Tensors.shape(tensor)).getBytes(StandardCharsets.UTF_8));
        try (TensorScope scope = new TensorScope()) {
            Tensor rounded = tensor.detach()
                    .to(Backend.device("cpu"), ScalarType.BFloat16, false, false, null)
                    .contiguous();
            digest.update(
                    new BytePointer(rounded.data_ptr()).limit(rounded.nbytes()).asBuffer());
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
