package org.dit4j.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.dit4j.Golden;
import org.dit4j.RealData;
import org.dit4j.data.Dataset;
import org.dit4j.data.IdxDataset;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.io.Images;
import org.dit4j.model.DiTBlock;
import org.dit4j.model.DiTConfig;
import org.dit4j.torch.Precision;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * The published code's loss on Fashion-MNIST, learned again: 3,000 steps by the recipe of {@code golden/training/fashion_mnist_curve.json};
 * half an hour on two cores, minutes on a GPU. {@code DIT_GOLDEN=GOLDEN DIT_DATA=DATA mvn test -pl core -Dtest=FashionCurveTest
 * -Ddit.excludedTags= -DargLine=-Ddit.device=cuda}. Draws both curves to
 * {@code target/fashion-curve.png}.
 */
@Tag("slow")
class FashionCurveTest {
    private static final int MEAN_OF = 100, SEED = Integer.getInteger("dit.seed", 0);

    @Test
    void theSameDataTeachTheSame() throws IOException {
        JsonNode golden = Golden.json("training/fashion_mnist_curve.json");
        double[] reference = numbers(golden.get("loss"));
        double[] ours = train(reference.length);
        System.out.println("loss " + java.util.Arrays.toString(ours));
        draw(reference, ours);
        int last = reference.length;
        for (int from = 5; from < last; from += 5)
            assertEquals(
                    1,
                    mean(ours, from, from + 5) / mean(reference, from, from + 5),
                    0.04,
                    "from step " + from * MEAN_OF);
        assertEquals(1, mean(ours, 10, last) / mean(reference, 10, last), 0.02, "from step 1000 on");
    }

    private static double[] train(int points) throws IOException {
        DiTConfig model = new DiTConfig(28, 28, 4, 1, 192, 6, 6, 4, 10, 0.1, true, DiTBlock.Kind.ADALN_ZERO);
        String device = System.getProperty("dit.device", "cpu");
        TrainConfig config = new TrainConfig(
                model,
                DiffusionConfig.PUBLISHED,
                SEED,
                64,
                new LearningRate(3e-4, 0),
                0,
                0,
                new EmaSchedule(0.9999, 0),
                true);
        double[] losses = new double[points];
        try (Dataset data = IdxDataset.open(RealData.path("fashion_mnist"));
                Trainer trainer = new Trainer(config, new Execution(device, Precision.FP32, 64, false, 2), data)) {
            for (int point = 0; point < points; point++) {
                for (int step = 0; step < MEAN_OF; step++) trainer.step();
                losses[point] = trainer.drainMeanLoss();
            }
        }
        return losses;
    }

    private static void draw(double[] reference, double[] ours) throws IOException {
        XYChart chart = new XYChartBuilder()
                .width(900)
                .height(500)
                .xAxisTitle("step")
                .yAxisTitle("training loss, mean of 100 steps")
                .build();
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setChartBackgroundColor(Color.WHITE);
        chart.getStyler().setLegendPosition(LegendPosition.InsideNE);
        List<Integer> steps =
                IntStream.rangeClosed(1, ours.length).mapToObj(i -> i * MEAN_OF).toList();
        chart.addSeries("published code", steps, list(reference)).setMarker(SeriesMarkers.NONE);
        chart.addSeries("dit4j", steps, list(ours)).setMarker(SeriesMarkers.NONE);
        Path target = Files.createDirectories(Path.of("target"));
        Images.writePng(target.resolve("fashion-curve.png"), BitmapEncoder.getBufferedImage(chart), Map.of());
    }

    private static List<Double> list(double[] values) {
        return java.util.Arrays.stream(values).boxed().toList();
    }

    private static double[] numbers(JsonNode array) {
        double[] values = new double[array.size()];
        for (int i = 0; i < values.length; i++) values[i] = array.get(i).asDouble();
        return values;
    }

    private static double mean(double[] values, int from, int to) {
        return IntStream.range(from, to).mapToDouble(i -> values[i]).average().orElseThrow();
    }
}
