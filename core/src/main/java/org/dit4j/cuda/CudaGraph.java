package org.dit4j.cuda;

import org.bytedeco.cuda.cudart.CUgraphExec_st;
import org.bytedeco.cuda.cudart.CUgraph_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch_cuda;
import org.dit4j.kernels.FusedKernels.Replay;
import org.dit4j.torch.TensorScope;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Work that is captured in a CUDA graph after a few runs. These and the capture are on a stream that is used for nothing else: LibTorch's
 * allocator keeps freed memory by stream, so that what the graph uses between its kernels is given to nobody else.
 */
final class CudaGraph implements Replay {
    private static final Logger LOGGER = LoggerFactory.getLogger(CudaGraph.class);
    private static final int WARM_UP = 2;

    private final Runnable body;
    private final CUDAStream stream = TensorScope.keeping(() -> torch_cuda.getStreamFromPool());
    private CUgraph_st graph;
    private CUgraphExec_st executable;
    private int runs;
    private boolean plain;

    CudaGraph(Runnable body) {
        this.body = body;
    }

    @Override
    public void run() {
        if (plain) {
            body.run();
            return;
        }
        if (runs++ < WARM_UP) {
            onOwnStream(body);
            return;
        }
        if (executable == null)
            try {
                onOwnStream(this::capture);
            } catch (RuntimeException e) {
                plain = true;
                LOGGER.warn("work on the card is started kernel by kernel, which is slower: {}", e.getMessage());
                body.run();
                return;
            }
        try (TensorScope scope = new TensorScope()) {
            Cuda.check(cudart.cudaGraphLaunch(executable, Cuda.stream()), "starting a graph");
        }
    }

    private void onOwnStream(Runnable work) {
        try (TensorScope scope = new TensorScope()) {
            CUDAStream before = torch_cuda.getCurrentCUDAStream();
            torch.cuda_synchronize();
            torch_cuda.setCurrentCUDAStream(stream);
            try {
                work.run();
                torch.cuda_synchronize();
            } finally {
                torch_cuda.setCurrentCUDAStream(before);
            }
        }
    }

    private void capture() {
        Cuda.check(
                cudart.cudaStreamBeginCapture(stream.stream(), cudart.cudaStreamCaptureModeThreadLocal),
                "beginning a capture");
        CUgraph_st captured = TensorScope.keeping(CUgraph_st::new);
        RuntimeException failed = null;
        try {
            body.run();
        } catch (RuntimeException e) {
            failed = e;
        }
        int status = cudart.cudaStreamEndCapture(stream.stream(), captured);
        if (failed != null) throw failed;
        Cuda.check(status, "ending a capture");
        CUgraphExec_st made = TensorScope.keeping(CUgraphExec_st::new);
        Cuda.check(cudart.cudaGraphInstantiate(made, captured, 0), "making a graph");
        graph = captured;
        executable = made;
    }

    @Override
    public void close() {
        torch.cuda_synchronize();
        if (executable != null) {
            cudart.cudaGraphExecDestroy(executable);
            cudart.cudaGraphDestroy(graph);
            executable.close();
            graph.close();
        }
        stream.close();
    }
}
