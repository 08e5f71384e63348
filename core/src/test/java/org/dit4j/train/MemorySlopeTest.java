package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.data.Glyphs;
import org.dit4j.diffusion.GaussianDiffusion;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/**
 * Resident memory over 2,000 training steps and 200 samplings of a tiny model, printed as KiB per step. With the Java heap touched
 * beforehand and of a fixed size, what grows is native:
 *
 * <pre>
 * mvn test -pl core -Dtest=MemorySlopeTest -Ddit.excludedTags= \
 *     -DargLine="-Xms256m -Xmx256m -XX:+AlwaysPreTouch"
 * </pre>
 */
@Tag("slow")
@EnabledOnOs(OS.LINUX)
class MemorySlopeTest {
    private static final int NUM_STEPS = 2000, STEPS_PER_SAMPLING = 10, STEPS_PER_READING = 20, PAGE_KIB = 4;
    private static final double LIMIT_KIB_PER_STEP = 1;

    private static final DiTConfig TINY =
            new DiTConfig(8, 8, 2, 3, 24, 2, 3, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);

    private static TrainConfig config() {
        return new TrainConfig(
                TINY,
                1,
                NUM_STEPS,
                8,
                4,
                new LearningRate(1e-3, 10),
                0,
                1,
                new Ema.Schedule(0.999, 0.05),
                true,
                1,
                false,
                false,
                "cpu");
    }

    @Test
    void trainingAndSamplingLeaveMemoryAsItIs() throws IOException {
        Glyphs data = new Glyphs(1, 8);
        List<double[]> readings = new ArrayList<>(); // (step, KiB)
        try (Trainer trainer = new Trainer(config(), GaussianDiffusion.published(), data);
                DiTPipeline pipeline =
                        DiTPipeline.of(trainer.emaNetwork(), trainer.diffusion(), data.classNames(), "cpu")) {
            SampleRequest request = SampleRequest.of("0", "1", "2", "3").withSteps(5);
            for (int step = 1; step <= NUM_STEPS; step++) {
                trainer.step();
                if (step % STEPS_PER_SAMPLING == 0)
                    assertEquals(4, pipeline.sample(request.withSeed(step)).size());
                if (step % STEPS_PER_READING == 0) {
                    trainer.drainMeanLoss();
                    readings.add(new double[] {step, residentKib()});
                }
            }
        }
        List<double[]> settled = readings.subList(readings.size() / 5, readings.size());
        double slope = slope(settled);
        System.out.printf(
                "resident memory over %d steps and %d samplings: %+.3f KiB per step (%.1f MiB after %.0f steps, %.1f MiB at the end)%n",
                NUM_STEPS,
                NUM_STEPS / STEPS_PER_SAMPLING,
                slope,
                settled.get(0)[1] / 1024,
                settled.get(0)[0],
                settled.get(settled.size() - 1)[1] / 1024);
        assertTrue(slope < LIMIT_KIB_PER_STEP, "resident memory grows by " + slope + " KiB per step");
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
