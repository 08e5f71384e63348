package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.checkpoint.DiTDescription;
import org.dit4j.checkpoint.Retention;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.torch.StateDict;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class MemoryNeedTest {
    private static final double TOLERANCE = 0.15;
    private static final int FEW = 2, MANY = 26;

    private static TrainConfig config(DiTConfig model, int images) {
        return new TrainConfig(
                model,
                DiffusionConfig.PUBLISHED,
                1,
                images,
                new LearningRate(1e-3, 0),
                0,
                0,
                new EmaSchedule(0.999, 0),
                false);
    }

    private static Execution execution(boolean bf16, boolean recompute) {
        return new Execution("cpu", bf16 ? Precision.AUTOCAST : Precision.FP32, 0, recompute, 0);
    }

    private static Snapshot snapshot(Trainer trainer) {
        TrainConfig config = trainer.config();
        return new Snapshot(trainer.state(), new DiTDescription(config.model(), List.of(), config.diffusion(), ""));
    }

    private static DiTConfig model(DiTBlock.Kind kind) {
        return new DiTConfig(16, 16, 2, 3, 128, 4, 4, 4, 10, 0.1, true, kind);
    }

    @Test
    void stateCopyAndCheckpointAreExact(@TempDir Path folder) throws IOException {
        TrainConfig config = config(new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO), 2);
        MemoryNeed need = MemoryNeed.of(config, execution(false, false));
        try (Trainer trainer = new Trainer(config, execution(false, false), new Glyphs(1, 8));
                Snapshot snapshot = snapshot(trainer);
                TensorScope scope = new TensorScope()) {
            long flat = trainer.state().parameters().values().nbytes(), fixed = 0;
            for (Tensor tensor : StateDict.of(trainer.state().network()).values()) fixed += tensor.nbytes();
            fixed -= flat; // the position table
            assertEquals(5 * flat + 2 * fixed, need.state());
            assertEquals(4 * flat + fixed, need.copy());

            snapshot.take(Map.of());
            long written = 0;
            Path saved = snapshot.save(folder, new Retention(1, 0));
            for (String file : new String[] {CheckpointFolder.MODEL, CheckpointFolder.EMA, CheckpointFolder.OPTIMIZER})
                written += Files.size(saved.resolve(file));
            long headers = written - MemoryNeed.checkpoint(config.model());
            assertTrue(headers > 0 && headers < 20_000, headers + " bytes of headers");
        }
    }

    private record Case(DiTBlock.Kind kind, boolean bf16, boolean recompute) {
        TrainConfig config(int images) {
            return MemoryNeedTest.config(model(kind), images);
        }

        Execution execution() {
            return MemoryNeedTest.execution(bf16, recompute);
        }
    }

    private static final List<Case> CASES = List.of(
            new Case(DiTBlock.Kind.ADALN_ZERO, false, false),
            new Case(DiTBlock.Kind.ADALN, false, false),
            new Case(DiTBlock.Kind.IN_CONTEXT, false, false),
            new Case(DiTBlock.Kind.CROSS_ATTENTION, false, false),
            new Case(DiTBlock.Kind.ADALN_ZERO, true, false),
            new Case(DiTBlock.Kind.ADALN_ZERO, false, true));

    /**
     * In a process that gives memory back when it is freed: by how much the most that it had grows for each image more in a step, and how
     * much more going back to a checkpoint takes.
     */
    @Test
    @EnabledOnOs(OS.LINUX)
    void activationsGrowAsCountedAndGoingBackTakesOneBufferMore() throws Exception {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Xms128m",
                "-Xmx128m",
                "-XX:+AlwaysPreTouch",
                "-cp",
                System.getProperty("java.class.path"),
                MemoryNeedTest.class.getName());
        builder.environment().put("MALLOC_MMAP_THRESHOLD_", "65536");
        Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
        List<String> lines = said.lines().toList();
        for (int i = 0; i < CASES.size(); i++) {
            long counted = MemoryNeed.of(CASES.get(i).config(MANY), CASES.get(i).execution())
                            .activations()
                    - MemoryNeed.of(CASES.get(i).config(FEW), CASES.get(i).execution())
                            .activations();
            double ratio = Double.parseDouble(lines.get(i)) / counted;
            assertEquals(1, ratio, TOLERANCE, CASES.get(i) + " of " + counted + " bytes: " + said);
        }
        // of the four that a checkpoint has
        assertEquals(1, Double.parseDouble(lines.get(CASES.size())), 0.5, said);
    }

    /** Prints the growth of each case in bytes, and what going back takes. */
    public static void main(String[] args) throws IOException {
        peak(CASES.get(0), MANY); // fills the pools and caches that stay
        for (Case one : CASES) {
            long few = peak(one, FEW);
            System.out.println(peak(one, MANY) - few);
        }
        System.out.println(buffersToGoBack());
    }

    /** Bytes, of the second of two steps. */
    private static long peak(Case one, int images) throws IOException {
        try (Trainer trainer = new Trainer(one.config(images), one.execution(), new Glyphs(1, 16))) {
            trainer.step();
            Files.writeString(Path.of("/proc/self/clear_refs"), "5"); // forgets the most there was
            trainer.step();
            trainer.drainMeanLoss();
            return status("VmHWM:");
        }
    }

    /** How many times the size of a flat buffer going back to a checkpoint takes for a moment. */
    private static double buffersToGoBack() throws IOException {
        DiTConfig model = model(DiTBlock.Kind.ADALN_ZERO).withTrunk(256, 4, 4);
        Path folder = Files.createTempDirectory("going-back");
        Glyphs data = new Glyphs(1, 16);
        try (Trainer trainer = new Trainer(config(model, 1), execution(false, false), data);
                Snapshot snapshot = snapshot(trainer)) {
            trainer.step();
            snapshot.take(Map.of());
            Path saved = snapshot.save(folder, new Retention(1, 0));
            trainer.rollBack(saved); // fills the pools that stay
            Files.writeString(Path.of("/proc/self/clear_refs"), "5");
            long before = status("VmRSS:");
            trainer.rollBack(saved);
            return (double) (status("VmHWM:") - before)
                    / trainer.state().parameters().values().nbytes();
        } finally {
            try (Stream<Path> all = Files.walk(folder)) {
                for (Path path : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
            }
        }
    }

    private static long status(String key) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith(key)) return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
        throw new IOException("the kernel does not say " + key);
    }
}
