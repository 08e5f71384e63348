package org.dit4j.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.dit4j.DiTPipeline;
import org.dit4j.PictureDecoder;
import org.dit4j.SampleRequest;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * Resident memory and open files over 20,000 training steps of a tiny run, with its logs, 40 checkpoints and 2,000 samplings. With the
 * Java heap touched beforehand and of a fixed size, what grows is native:
 *
 * <pre>
 * mvn test -pl core -Dtest=MemorySlopeTest -Ddit.excludedTags= \
 *     -DargLine="-Xms256m -Xmx256m -XX:+AlwaysPreTouch"
 * </pre>
 */
@Tag("slow")
@EnabledOnOs(OS.LINUX)
class MemorySlopeTest {
    private static final int NUM_STEPS = 20_000, STEPS_PER_SAMPLING = 10, STEPS_PER_READING = 50, PAGE_KIB = 4;
    private static final double LIMIT_KIB_PER_STEP = 1;

    private static final DiTConfig TINY =
            new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    @TempDir
    private Path temporary;

    private static TrainConfig config() {
        return new TrainConfig(
                TINY,
                DiffusionConfig.PUBLISHED,
                1,
                8,
                new LearningRate(1e-3, 10),
                0,
                1,
                new EmaSchedule(0.999, 0.05),
                true);
    }

    @Test
    void trainingAndSamplingLeaveMemoryAndFilesAsTheyAre() throws IOException {
        Glyphs data = new Glyphs(1, 8);
        RunFolder folder = RunFolder.create(temporary, "tiny", RunIdentity.of(config(), Precision.FP32, data));
        Cadence cadence = new Cadence(NUM_STEPS, 50, 500, STEPS_PER_SAMPLING, 0, 0);
        Execution execution = new Execution("cpu", Precision.FP32, 4, false, 1);
        List<double[]> kib = new ArrayList<>(), files = new ArrayList<>(); // (step, reading)
        AtomicInteger samplings = new AtomicInteger();
        try (TrainingRun run =
                        TrainingRun.open(folder, new RunPlan(config(), execution, cadence, Safety.DEFAULT), data);
                DiTPipeline pipeline = DiTPipeline.of(
                        run.trainer().state().averagedNetwork(),
                        DiffusionConfig.PUBLISHED,
                        data.classNames(),
                        "cpu",
                        PictureDecoder.PIXELS)) {
            SampleRequest request = SampleRequest.of("0", "1", "2", "3").withSteps(5);
            run.run(new TrainingListener() {
                @Override
                public boolean onStep(Trainer trainer) throws IOException {
                    if (trainer.steps() % STEPS_PER_READING == 0) {
                        kib.add(new double[] {trainer.steps(), residentKib()});
                        files.add(new double[] {trainer.steps(), openFiles()});
                    }
                    return true;
                }

                @Override
                public void onSamples(Trainer trainer) {
                    assertEquals(
                            4,
                            pipeline.sample(request.withSeed(trainer.steps())).size());
                    samplings.incrementAndGet();
                }
            });
        }
        assertEquals(NUM_STEPS / STEPS_PER_SAMPLING, samplings.get());
        double kibPerStep = slope(settled(kib)), filesPerStep = slope(settled(files));
        System.out.printf(
                "%d steps, %d samplings: resident memory %+.3f KiB per step (%.1f MiB after %.0f steps, %.1f MiB at the end),"
                        + " open files %+.2g per step (%.0f, %.0f)%n",
                NUM_STEPS,
                samplings.get(),
                kibPerStep,
                settled(kib).get(0)[1] / 1024,
                settled(kib).get(0)[0],
                last(kib) / 1024,
                filesPerStep,
                settled(files).get(0)[1],
                last(files));
        assertTrue(kibPerStep < LIMIT_KIB_PER_STEP, "resident memory grows by " + kibPerStep + " KiB per step");
        assertTrue(Math.abs(filesPerStep) * NUM_STEPS < 2, "open files grow by " + filesPerStep + " per step");
    }

    /** Without the first fifth. */
    private static List<double[]> settled(List<double[]> readings) {
        return readings.subList(readings.size() / 5, readings.size());
    }

    private static double last(List<double[]> readings) {
        return readings.get(readings.size() - 1)[1];
    }

    private static double openFiles() throws IOException {
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
            return descriptors.count();
        }
    }

    private static double residentKib() throws IOException {
        String[] pages = Files.readString(Path.of("/proc/self/statm")).split(" ");
        return Double.parseDouble(pages[1]) * PAGE_KIB;
    }

    /** Of the straight line through (x, y) with the least squares. */
    private static double slope(List<double[]> points) {
        double meanX = points.stream().mapToDouble(p -> p[0]).average().orElseThrow();
        double meanY = points.stream().mapToDouble(p -> p[1]).average().orElseThrow();
        double covariance = 0, variance = 0;
        for (double[] point : points) {
            covariance += (point[0] - meanX) * (point[1] - meanY);
            variance += (point[0] - meanX) * (point[0] - meanX);
        }
        return covariance / variance;
    }
}
