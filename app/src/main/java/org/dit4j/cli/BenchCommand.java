package org.dit4j.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.data.Dataset;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.model.Trunk;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.dit4j.train.Execution;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        customSynopsis = "dit bench [forward|train] [FLAG]...",
        optionListHeading = "%nFlags:%n",
        description = {
            "Times a published model on latents of 32x32x4: its forward pass, or a whole step of training (noise, forward and"
                    + " backward pass, AdamW, average) on made-up latents. Prints the median of the repeats in milliseconds, and"
                    + " their spread, (slowest - fastest) / median."
        })
final class BenchCommand implements Callable<Integer> {
    private enum Mode {
        FORWARD,
        TRAIN
    }

    static final class Modes extends Names<Mode> {
        Modes() {
            super(List.of(Mode.values()), Names::flag);
        }
    }

    @Parameters(
            arity = "0..1",
            paramLabel = "MODE",
            converter = Modes.class,
            completionCandidates = Modes.class,
            description = "One of ${COMPLETION-CANDIDATES}. Default: forward.")
    private Mode mode = Mode.FORWARD;

    @Option(
            names = "--precision",
            converter = Names.Precisions.class,
            completionCandidates = Names.Precisions.class,
            paramLabel = "NAME",
            description = "One of ${COMPLETION-CANDIDATES}, as in dit train and dit sample. Default: fp32.")
    private Precision precision = Precision.FP32;

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
        double[] milliseconds = mode == Mode.TRAIN ? training(chosen) : passes(chosen);
        Arrays.sort(milliseconds);
        double median = milliseconds[repeats / 2];
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("mode", Names.flag(mode));
        result.put("model", model);
        result.put("batch", batch);
        result.put("precision", Names.flag(precision));
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

    private double[] passes(Device chosen) throws IOException {
        try (DiT network = DiTConfig.of(model).network()) {
            try (TensorScope scope = new TensorScope()) {
                network.to(chosen, false);
                if (precision.weights() != ScalarType.Float) network.to(precision.weights(), false);
            }
            try (Trunk trunk = Trunk.toPredict(network, precision, chosen);
                    TensorScope scope = new TensorScope();
                    NoGradGuard noGrad = new NoGradGuard()) {
                Tensor x = Tensors.to(torch.randn(batch, 4, 32, 32), chosen);
                long[] zeros = new long[batch];
                Tensor t = Tensors.to(Tensors.of(zeros, batch), chosen),
                        y = Tensors.to(Tensors.of(zeros, batch), chosen);
                return times(chosen, () -> {
                    try (TensorScope pass = new TensorScope()) {
                        trunk.predict(x, t, y);
                    }
                });
            }
        }
    }

    private double[] training(Device chosen) throws IOException {
        TrainConfig config = TrainConfig.published(DiTConfig.of(model)).withGlobalBatchSize(batch);
        Execution execution = Execution.DEFAULT.withDevice(device).withPrecision(precision);
        try (Trainer trainer = Failure.as(ExitCode.USAGE, () -> new Trainer(config, execution, new MadeUpLatents()))) {
            return times(chosen, trainer::step);
        }
    }

    private interface Work {
        void run() throws IOException;
    }

    /** Milliseconds of one run, the mean of each repeat. */
    private double[] times(Device chosen, Work work) throws IOException {
        double[] milliseconds = new double[repeats];
        for (int repeat = -2; repeat < repeats; repeat++) {
            long start = System.nanoTime();
            for (int i = 0; i < iters; i++) work.run();
            if (chosen.is_cuda()) torch.cuda_synchronize();
            if (repeat >= 0) milliseconds[repeat] = (System.nanoTime() - start) / 1e6 / iters;
        }
        return milliseconds;
    }

    /** Latents of 32x32x4 that cost nothing to read, of the thousand classes of the published models. */
    private static final class MadeUpLatents implements Dataset {
        private static final int CLASSES = 1000;

        @Override
        public long size() {
            return 1 << 20;
        }

        @Override
        public int channels() {
            return 4;
        }

        @Override
        public int height() {
            return 32;
        }

        @Override
        public int width() {
            return 32;
        }

        @Override
        public List<String> classNames() {
            return IntStream.range(0, CLASSES).mapToObj(Integer::toString).toList();
        }

        @Override
        public int label(long index) {
            return (int) (index % CLASSES);
        }

        @Override
        public void pixels(long index, float[] out, int offset) {
            for (int i = 0; i < 4 * 32 * 32; i++) out[offset + i] = (index + 31L * i) % 255 / 127.5f - 1;
        }

        @Override
        public String describe() {
            return "made-up latents";
        }

        @Override
        public void close() {}
    }
}
