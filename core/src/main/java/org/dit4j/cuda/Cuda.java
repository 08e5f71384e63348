package org.dit4j.cuda;

import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch_cuda;
import org.dit4j.torch.TensorScope;

/** The current stream, addresses, and errors that say what failed. */
final class Cuda {
    private Cuda() {}

    /** LibTorch's current stream on the current device, null for the default stream; belongs to the scope around the call. */
    static CUstream_st stream() {
        return TensorScope.local(() -> torch_cuda.getCurrentCUDAStream().stream());
    }

    /** 0 for the default stream. */
    static long streamAddress() {
        try (TensorScope scope = new TensorScope()) {
            CUstream_st stream = torch_cuda.getCurrentCUDAStream().stream();
            return stream == null ? 0 : stream.address();
        }
    }

    static long address(Tensor tensor) {
        return tensor == null ? 0 : tensor.data_ptr().address();
    }

    /** @throws IllegalStateException naming {@code what} and the driver's error, if there was one */
    static void check(int status, String what) {
        if (status == 0) return;
        try (BytePointer text = new BytePointer((org.bytedeco.javacpp.Pointer) null)) {
            String name = cudart.cuGetErrorString(status, text) == 0 && !text.isNull() ? text.getString() : "";
            throw new IllegalStateException(what + ": CUDA error " + status + (name.isEmpty() ? "" : ", " + name));
        }
    }
}
