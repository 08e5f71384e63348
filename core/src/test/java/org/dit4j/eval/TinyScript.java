package org.dit4j.eval;

import java.nio.file.Path;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.QualifiedName;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;

/** Networks as {@code torch.jit.save} writes them. */
public final class TinyScript {
    private TinyScript() {}

    /** Mean and square mean of each channel: six features. */
    public static Path moments(Path file) {
        return write(file, "return torch.cat([x.mean([2, 3]), (x * x).mean([2, 3])], 1)");
    }

    /** A module of one function of {@code x}. */
    static Path write(Path file, String body) {
        return write(file, "x: Tensor", body);
    }

    static Path write(Path file, String arguments, String body) {
        Backend.load();
        try (TensorScope scope = new TensorScope()) {
            JitModule module = new JitModule(new QualifiedName("Tiny"));
            module.define("def forward(self, " + arguments + "):\n    " + body + "\n");
            module.save(file.toString());
        }
        return file;
    }
}
