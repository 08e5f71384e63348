package org.dit4j.torch;

import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** While open, LibTorch runs this thread's matrix products in bfloat16 and keeps the rest in float32. */
public final class Autocast implements AutoCloseable {
    private final DeviceType device;
    private final boolean before;
    private final ScalarType dtypeBefore;

    /** Turns bfloat16 autocast on for this thread and this kind of device. */
    public Autocast(DeviceType device) {
        this.device = device;
        before = torch.is_autocast_enabled(device);
        dtypeBefore = torch.get_autocast_dtype(device);
        torch.set_autocast_dtype(device, ScalarType.BFloat16);
        torch.set_autocast_enabled(device, true);
    }

    @Override
    public void close() {
        torch.clear_cache(); // the bfloat16 copies of the weights, which are stale after the next optimiser step
        torch.set_autocast_dtype(device, dtypeBefore);
        torch.set_autocast_enabled(device, before);
    }
}
