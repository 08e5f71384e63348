package org.dit4j.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.dit4j.io.Safetensors;
import org.dit4j.io.TorchFile;
import org.dit4j.model.DiT;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Backend;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * How long the 2.7 GB of a DiT-XL/2 take to read, each time in a new process with a heap of at most 200 MB, so that all land in fresh
 * memory; the file is in the system's cache. No test: surefire leaves it out unless it is named, and CONTRIBUTING.md says how.
 */
class ReadBenchmark {
    private static final int ROUNDS = 5;

    /** What is timed. */
    enum What {
        /** The bytes of the safetensors file, a mebibyte at a time. */
        RAW,
        SAFETENSORS,
        PT,
        /** A network that is ready to be used. */
        NETWORK
    }

    @TempDir
    private Path folder;

    @Test
    void readingTakesLittleLongerThanTheBytes() throws Exception {
        Path safetensors = folder.resolve("xl.safetensors"), pt = folder.resolve("xl.pt");
        try (TensorScope scope = new TensorScope();
                DiT network = DiTConfig.of("DiT-XL/2").network()) {
            DiTWeights weights = DiTWeights.of(network, List.of(), "random");
            DiTCheckpoint.write(safetensors, weights);
            OfficialCheckpoint.write(pt, weights);
        }
        Map<What, double[]> seconds = new EnumMap<>(What.class);
        for (int round = 0; round <= ROUNDS; round++) // the first brings the files into the cache
        for (What what : What.values()) {
                double[] all = seconds.computeIfAbsent(what, key -> new double[ROUNDS]);
                double taken = inNewProcess(what, what == What.PT ? pt : safetensors);
                if (round > 0) all[round - 1] = taken;
            }
        seconds.forEach((what, all) -> System.out.printf(
                Locale.ROOT,
                "%-12s median %.2f s of %s: %.2f times the raw bytes%n",
                what,
                median(all),
                Arrays.toString(all),
                median(all) / median(seconds.get(What.RAW))));
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static double inNewProcess(What what, Path file) throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx200m",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Reading.class.getName(),
                        what.name(),
                        file.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String printed = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor());
        return Double.parseDouble(printed.strip());
    }

    /** The process. */
    static final class Reading {
        private static final int CHUNK = 1 << 20;

        private Reading() {}

        public static void main(String[] args) throws IOException {
            Backend.load();
            Path file = Path.of(args[1]);
            long start = System.nanoTime();
            try (TensorScope scope = new TensorScope()) {
                switch (What.valueOf(args[0])) {
                    case RAW -> readRaw(file);
                    case SAFETENSORS -> Safetensors.read(file);
                    case PT -> TorchFile.read(file);
                    case NETWORK ->
                        Checkpoints.open(file, OpenOptions.DEFAULT).open().close();
                }
                System.out.printf(Locale.ROOT, "%.3f%n", (System.nanoTime() - start) / 1e9);
            }
        }

        private static void readRaw(Path file) throws IOException {
            try (FileChannel channel = FileChannel.open(file);
                    BytePointer memory = new BytePointer(channel.size())) {
                for (long at = 0; at < channel.size(); ) {
                    long length = Math.min(CHUNK, channel.size() - at);
                    at += channel.read(memory.getPointer(at).capacity(length).asBuffer());
                }
            }
        }
    }
}
