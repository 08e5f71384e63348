package org.dit4j.io;

import java.util.Collections;
import java.util.List;
import java.util.Map;

/** Values of a {@link TorchFile} for which Java has no type of its own. */
public final class TorchValues {
    private TorchValues() {}

    /** A Python tuple. */
    public record Tuple(List<Object> items) {
        /** Keeps an unmodifiable view. */
        public Tuple {
            items = Collections.unmodifiableList(items);
        }
    }

    /** An argparse.Namespace: the options of a training script, by name, in order. */
    public record Namespace(Map<String, Object> fields) {}

    /** A torch.device, for example {@code cuda:0}. */
    public record TorchDevice(String name) {}
}
