package org.dit4j.cuda;

import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.dit4j.torch.TensorScope;

/** Times what the card does on the current stream, without the time that starting it takes. */
final class Stopwatch {
    private static final long DELAY_CYCLES = 2_000_000;
    private static final int WARM_UP = 2;

    private final CudaModule clock;

    /** @param clock with the kernel "delay" */
    Stopwatch(CudaModule clock) {
        this.clock = clock;
    }

    /** Of one run, the mean of so many. */
    double milliseconds(Runnable work, int runs) {
        for (int i = 0; i < WARM_UP; i++) work.run();
        try (TensorScope scope = new TensorScope()) {
            CUstream_st stream = Cuda.stream();
            CUevent_st begin = new CUevent_st(), end = new CUevent_st();
            Cuda.check(cudart.cudaEventCreate(begin), "an event");
            Cuda.check(cudart.cudaEventCreate(end), "an event");
            // small work takes less time than its start from Java: the card is kept busy until all is given to it
            clock.launch("delay", 1, 1, 1, 1, DELAY_CYCLES);
            Cuda.check(cudart.cudaEventRecord(begin, stream), "an event");
            for (int i = 0; i < runs; i++) work.run();
            Cuda.check(cudart.cudaEventRecord(end, stream), "an event");
            Cuda.check(cudart.cudaEventSynchronize(end), "timing");
            float[] elapsed = new float[1];
            Cuda.check(cudart.cudaEventElapsedTime(elapsed, begin, end), "timing");
            cudart.cudaEventDestroy(begin);
            cudart.cudaEventDestroy(end);
            return elapsed[0] / runs;
        }
    }
}
