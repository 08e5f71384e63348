package org.dit4j.torch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.SizeTPair;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;

/** What a device can do, and what of its memory is taken. */
public final class DeviceLoad {
    static {
        Backend.configure();
    }

    /** Seconds that {@link #peak} takes at most on a device that is free, but for the first use of the device. */
    public static final double PEAK_SECONDS = 0.15;

    private static final int CPU_SIZE = 1024, CUDA_SIZE = 4096, FEWEST = 3;
    private static final Path STATUS = Path.of("/proc/self/status");

    private DeviceLoad() {}

    /**
     * The floating-point operations per second of the fastest of a few products of two large square matrices, counted as 2 n³ each: what
     * this machine reaches with this LibTorch, not what a data sheet says.
     *
     * @param bf16 in bfloat16 instead of float32
     */
    public static double peak(Device device, boolean bf16) {
        boolean cuda = device.is_cuda();
        int size = cuda ? CUDA_SIZE : CPU_SIZE;
        double fastest = Double.POSITIVE_INFINITY;
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            // no random numbers, which would move LibTorch's generator under its user
            Tensor matrix = Tensors.to(torch.ones(size, size), device);
            if (bf16) matrix = matrix.to(ScalarType.BFloat16);
            long end = System.nanoTime() + (long) (PEAK_SECONDS * 1e9);
            // a CUDA device must be given work ahead, or the time is that of the launch
            int ahead = cuda ? 8 : 1;
            for (int i = 0; i < FEWEST || System.nanoTime() < end && i < 20; i++)
                try (TensorScope product = new TensorScope()) {
                    long start = System.nanoTime();
                    for (int j = 0; j < ahead; j++) torch.matmul(matrix, matrix);
                    if (cuda) torch.cuda_synchronize();
                    fastest = Math.min(fastest, (System.nanoTime() - start) / 1e9 / ahead);
                }
        }
        return 2.0 * size * size * size / fastest;
    }

    /**
     * Bytes in use: of a CUDA device, by whatever process; on the CPU what of this process is in the machine's memory. 0 where the system
     * does not say.
     */
    public static long memoryInUse(Device device) {
        if (!device.is_cuda()) return resident();
        try (TensorScope scope = new TensorScope()) {
            SizeTPair freeAndTotal = freeAndTotal(device);
            return freeAndTotal.second() - freeAndTotal.first();
        }
    }

    /**
     * Bytes of a CUDA device that no process has, after this one has begun to use it. Counted as LibTorch counts devices, which is not how
     * the driver does where some are hidden (CUDA_VISIBLE_DEVICES).
     */
    public static long cudaMemoryFree(Device device) {
        try (TensorScope scope = new TensorScope()) {
            Tensors.to(torch.ones(1), device); // some hundred MB go to the first use
            return freeAndTotal(device).first();
        }
    }

    private static SizeTPair freeAndTotal(Device device) {
        return torch_cuda.getAllocator().getMemoryInfo((byte) Math.max(device.index(), 0));
    }

    private static long resident() {
        try {
            for (String line : Files.readAllLines(STATUS))
                if (line.startsWith("VmRSS:")) return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
            return 0;
        } catch (IOException | NumberFormatException e) {
            return 0; // not Linux
        }
    }
}
