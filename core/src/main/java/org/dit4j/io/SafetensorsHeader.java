package org.dit4j.io;

import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What a safetensors file holds, in the order of its data, which begins at byte {@code dataOffset}.
 *
 * @param unread the tensors that cannot be read here, with dtype and shape: {@code F4 [2, 8]}
 */
public record SafetensorsHeader(
        Map<String, Entry> entries, Map<String, String> unread, Map<String, String> metadata, long dataOffset) {
    /** A tensor of a file: its dtype, shape and place among the data, begin inclusive, end exclusive. */
    public record Entry(ScalarType dtype, List<Long> shape, long begin, long end) {}
}
