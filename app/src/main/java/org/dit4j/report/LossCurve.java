package org.dit4j.report;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.dit4j.io.Images;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The loss of a run over its steps, as a chart. */
public final class LossCurve {
    private final List<Long> steps = new ArrayList<>();
    private final List<Double> losses = new ArrayList<>();

    /** The mean loss of the steps up to this one. */
    public void add(long step, double loss) {
        steps.add(step);
        losses.add(loss);
    }

    /** Writes the chart as a PNG, on a logarithmic axis. Writes none where there are no fonts, or fewer than two points. */
    public void write(Path file) throws IOException {
        if (steps.size() < 2 || !Fonts.available()) return;
        XYChart chart = new XYChartBuilder()
                .width(900)
                .height(500)
                .xAxisTitle("step")
                .yAxisTitle("training loss")
                .build();
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setChartBackgroundColor(Color.WHITE);
        chart.addSeries("loss", steps, losses).setMarker(SeriesMarkers.NONE);
        Images.writePng(file, BitmapEncoder.getBufferedImage(chart), Map.of());
    }
}
