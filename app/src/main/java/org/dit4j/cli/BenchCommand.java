package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit bench [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Times the forward pass of a published model in float32 on latents of 32x32x4: the median of the"
                    + " repeats in milliseconds, and their spread, (slowest - fastest) / median."
        })
final class BenchCommand implements Callable<Integer> {
    @Option(
            names = "--model",
            converter = Names.Models.class,
            completionCandidates = Names.Models.class,
            paramLabel = "NAME",
            description = "One of ${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}.")
    private String model = "DiT-S/2";

    @Option(
            names = "--batch",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Images at once. Default: ${DEFAULT-VALUE}.")
    private int batch = 4;

    @Option(
            names = "--iters",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Passes to a repeat. Default: ${DEFAULT-VALUE}.")
    private int iters = 10;

    @Option(
            names = "--repeats",
            converter = Ranges.Count.class,
            paramLabel = "N",
            description = "Repeats, after two that do not count. Default: ${DEFAULT-VALUE}.")
    private int repeats = 5;

    @Option(
            names = "--device",
            completionCandidates = Names.Devices.class,
            paramLabel = "NAME",
            description = "cpu, cuda, cuda:N, or auto: the GPU if there is one. Default: ${DEFAULT-VALUE}.")
    private String device = "auto";

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() throws IOException {
        Device chosen = Failure.as(ExitCode.DEVICE, () -> Backend.device(device));
        double[] milliseconds = new double[repeats];
        try (DiT network = DiTConfig.of(model).network()) {
            try (TensorScope scope = new TensorScope()) {
                network.to(chosen, false);
            }
            for (int repeat = -2; repeat < repeats; repeat++) {
                double time = time(network, chosen);
                if (repeat >= 0) milliseconds[repeat] = time;
            }
        }
        Arrays.sort(milliseconds);
        double median = milliseconds[repeats / 2];
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("mode", "forward");
        result.put("model", model);
        result.put("batch", batch);
        result.put("precision", "fp32");
        result.put(
                "device",
                chosen.is_cuda() ? device : "cpu x" + Runtime.getRuntime().availableProcessors());
        result.put("ms", Math.round(median * 1e3) / 1e3);
        result.put("spread", Math.round((milliseconds[repeats - 1] - milliseconds[0]) / median * 1e3) / 1e3);
        result.put("images_per_s", Math.round(batch / median * 1e5) / 1e2);
        PrintWriter out = spec.commandLine().getOut();
        if (json) out.println(new ObjectMapper().writeValueAsString(result));
        else result.forEach((key, value) -> out.println(key + ": " + value));
        out.flush();
        return ExitCode.DONE.code;
    }

    /** Milliseconds of one pass, the mean of a repeat. */
    private double time(DiT network, Device chosen) {
        try (TensorScope scope = new TensorScope();
                NoGradGuard noGrad = new NoGradGuard()) {
            Tensor x = Tensors.to(torch.randn(batch, 4, 32, 32), chosen);
            long[] zeros = new long[batch];
            Tensor t = Tensors.to(Tensors.of(zeros, batch), chosen), y = Tensors.to(Tensors.of(zeros, batch), chosen);
            long start = System.nanoTime();
            for (int i = 0; i < iters; i++)
                try (TensorScope pass = new TensorScope()) {
                    network.forward(x, t, y);
                }
            if (chosen.is_cuda()) torch.cuda_synchronize();
            return (System.nanoTime() - start) / 1e6 / iters;
        }
    }
}
