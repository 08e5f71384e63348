package org.dit4j.report;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import org.dit4j.io.Images;
import org.dit4j.run.TrainingLog;
import org.dit4j.train.ValidationLosses;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** How a run went, as one picture: losses, gradient norm, learning rate and speed over its steps. */
public final class Curves {
    private static final int WIDTH = 1100, TITLE = 34, LARGE = 380, MIDDLE = 300, SMALL = 260;
    /** More points than this are not seen. */
    private static final int POINTS = 1500;
    // Okabe and Ito (2008), told apart by the colour-blind too
    private static final Color BLUE = new Color(0x0072b2),
            VERMILION = new Color(0xd55e00),
            GREEN = new Color(0x009e73),
            PURPLE = new Color(0xcc79a7),
            FAINT_BLUE = new Color(0x8fc1dd),
            GRID = new Color(0xe4e4e4),
            TEXT = new Color(0x303030);

    /** The largest value over the smallest. */
    private static final double LOGARITHMIC_FROM = 4;

    /** Beyond it, as where a run diverged, XChart looks for ticks without end. */
    private static final double LARGEST = 1e12;

    private static final List<Integer> LABELLED = List.of(1, 2, 3, 5);

    private Curves() {}

    /** Writes the picture as a PNG. Writes none where there are no fonts, or fewer than two logs. */
    public static void write(Path file, String title, RunHistory history) throws IOException {
        if (history.logs().size() < 2 || !Fonts.available()) return;
        Images.writePng(file, draw(title, history), Map.of());
    }

    static BufferedImage draw(String title, RunHistory history) {
        List<TrainingLog> logs = history.logs();
        int validation = history.validations().isEmpty() ? 0 : MIDDLE;
        BufferedImage picture =
                new BufferedImage(WIDTH, TITLE + LARGE + validation + SMALL, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = picture.createGraphics();
        graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
        graphics.setColor(Color.WHITE);
        graphics.fillRect(0, 0, WIDTH, picture.getHeight());
        graphics.setColor(TEXT);
        graphics.setFont(font(Font.BOLD, 15));
        graphics.drawString(title, 12, 24);
        paint(graphics, loss(logs), 0, TITLE, WIDTH, LARGE);
        if (validation > 0) paint(graphics, validation(history.validations()), 0, TITLE + LARGE, WIDTH, MIDDLE);
        XYChart learningRate = single(logs, "learning rate", true, GREEN, TrainingLog::learningRate);
        learningRate.getStyler().setYAxisTickLabelsFormattingFunction(Numbers::scientific);
        List<XYChart> small = List.of(
                single(logs, "gradient norm", false, VERMILION, TrainingLog::gradientNorm),
                learningRate,
                single(
                        logs,
                        "images per second",
                        true,
                        PURPLE,
                        log -> log.time().imagesPerSecond()));
        int width = WIDTH / small.size();
        for (int i = 0; i < small.size(); i++)
            paint(graphics, small.get(i), i * width, TITLE + LARGE + validation, width, SMALL);
        graphics.dispose();
        return picture;
    }

    private static void paint(Graphics2D graphics, XYChart chart, int x, int y, int width, int height) {
        Graphics2D part = (Graphics2D) graphics.create(x, y, width, height);
        chart.paint(part, width, height);
        part.dispose();
    }

    private static XYChart loss(List<TrainingLog> logs) {
        XYChart chart = chart("training loss");
        Line raw = Line.of(logs, TrainingLog::step, TrainingLog::loss, true).thinned();
        raw.addTo(chart, "as logged", FAINT_BLUE, 1);
        raw.smoothed().addTo(chart, "smoothed", BLUE, 2);
        chart.getStyler().setLegendVisible(true).setLegendPosition(Styler.LegendPosition.InsideNE);
        return scaled(chart);
    }

    /** Buckets from light, with little noise, to dark, with much. */
    private static XYChart validation(List<ValidationLosses> validations) {
        XYChart chart = chart("validation loss, by timestep");
        ValidationLosses last = validations.get(validations.size() - 1);
        int buckets = last.buckets().size();
        for (int i = 0; i < buckets; i++) {
            int bucket = i;
            float dark = buckets == 1 ? 1 : (float) i / (buckets - 1);
            Line.of(
                            validations,
                            ValidationLosses::step,
                            losses -> bucket < losses.buckets().size()
                                    ? losses.buckets().get(bucket)
                                    : Double.NaN,
                            true)
                    .thinned()
                    .addTo(
                            chart,
                            "t " + last.firstTimestep(i) + " to " + (last.firstTimestep(i + 1) - 1),
                            Color.getHSBColor(0.56f, 0.2f + 0.6f * dark, 0.95f - 0.5f * dark),
                            1);
        }
        Line.of(validations, ValidationLosses::step, ValidationLosses::loss, true)
                .thinned()
                .addTo(chart, "mean", VERMILION, 2.5f);
        chart.getSeriesCollection().forEach(series -> series.setMarker(SeriesMarkers.CIRCLE));
        chart.getStyler().setMarkerSize(4).setLegendVisible(true).setLegendPosition(Styler.LegendPosition.OutsideE);
        return scaled(chart);
    }

    /** @param fromZero whether the axis begins there; else it is {@link #scaled} */
    private static XYChart single(
            List<TrainingLog> logs, String title, boolean fromZero, Color color, ToDoubleFunction<TrainingLog> value) {
        XYChart chart = chart(title);
        Line.of(logs, TrainingLog::step, value, !fromZero).thinned().addTo(chart, title, color, 1.4f);
        if (!fromZero) return scaled(chart);
        chart.getStyler().setYAxisMin(0.0);
        return chart;
    }

    /** Logarithms where values differ by much; else a logarithmic axis would have hardly a line with a number. */
    private static XYChart scaled(XYChart chart) {
        double min = Double.POSITIVE_INFINITY, max = 0;
        for (XYSeries series : chart.getSeriesCollection()) {
            min = Math.min(min, series.getYMin());
            max = Math.max(max, series.getYMax());
        }
        if (max / min < LOGARITHMIC_FROM) return chart;
        chart.getStyler().setYAxisLogarithmic(true);
        chart.getStyler().setYAxisTickLabelsFormattingFunction(Curves::label);
        return chart;
    }

    private static XYChart chart(String title) {
        XYChart chart = new XYChartBuilder().title(title).xAxisTitle("step").build();
        XYStyler styler = chart.getStyler();
        styler.setYAxisLogarithmicDecadeOnly(false);
        styler.setXAxisMin(0.0);
        styler.setXAxisTickMarkSpacingHint(90);
        styler.setXAxisTickLabelsFormattingFunction(step -> String.format(Locale.ROOT, "%,.0f", step));
        styler.setYAxisTickLabelsFormattingFunction(Numbers::real);
        styler.setLegendVisible(false);
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setPlotGridLinesColor(GRID);
        styler.setPlotBorderVisible(false);
        styler.setChartTitleBoxVisible(false);
        styler.setChartTitleFont(font(Font.BOLD, 13));
        styler.setAxisTitleFont(font(Font.PLAIN, 12));
        styler.setAxisTickLabelsFont(font(Font.PLAIN, 12));
        styler.setLegendFont(font(Font.PLAIN, 12));
        return chart;
    }

    /** Of the nine lines of a decade, those at 1, 2, 3 and 5 have room for a label. */
    private static String label(double value) {
        double mantissa = value / Math.pow(10, Math.floor(Math.log10(value) + 1e-9));
        boolean labelled = LABELLED.stream().anyMatch(round -> Math.abs(mantissa - round) < 1e-6);
        return labelled ? Numbers.real(value) : "";
    }

    private static Font font(int style, int size) {
        return new Font(Font.SANS_SERIF, style, size);
    }

    /** Points from left to right. */
    private record Line(List<Double> steps, List<Double> values) {
        /** @param positive whether values of 0 and less are left out, which a logarithmic axis has no place for */
        static <T> Line of(List<T> logs, ToLongFunction<T> step, ToDoubleFunction<T> value, boolean positive) {
            Line line = new Line(new ArrayList<>(), new ArrayList<>());
            for (T log : logs) {
                double y = value.applyAsDouble(log);
                if (Math.abs(y) <= LARGEST && (y > 0 || !positive)) line.add(step.applyAsLong(log), y);
            }
            return line;
        }

        private void add(double step, double value) {
            steps.add(step);
            values.add(value);
        }

        Line thinned() {
            int together = (steps.size() + POINTS - 1) / POINTS;
            if (together <= 1) return this;
            Line thin = new Line(new ArrayList<>(), new ArrayList<>());
            for (int i = 0; i < steps.size(); i += together) {
                int to = Math.min(steps.size(), i + together);
                thin.add(mean(steps, i, to), mean(values, i, to));
            }
            return thin;
        }

        /** Geometric means of a twentieth of the points, around each as many before as after it. */
        Line smoothed() {
            List<Double> logarithms = values.stream().map(Math::log).toList();
            int reach = Math.max(1, steps.size() / 40);
            Line smooth = new Line(steps, new ArrayList<>());
            for (int i = 0; i < steps.size(); i++) {
                int side = Math.min(reach, Math.min(i, steps.size() - 1 - i));
                smooth.values.add(Math.exp(mean(logarithms, i - side, i + side + 1)));
            }
            return smooth;
        }

        private static double mean(List<Double> values, int from, int to) {
            double sum = 0;
            for (int i = from; i < to; i++) sum += values.get(i);
            return sum / (to - from);
        }

        void addTo(XYChart chart, String name, Color color, float width) {
            if (steps.isEmpty()) return;
            double[] x = steps.stream().mapToDouble(Double::doubleValue).toArray();
            x[x.length - 1] +=
                    1e-3; // XChart takes equally spaced numbers for ticks, where round ones are easier to read
            XYSeries series = chart.addSeries(
                    name, x, values.stream().mapToDouble(Double::doubleValue).toArray());
            series.setMarker(SeriesMarkers.NONE);
            series.setLineColor(color);
            series.setMarkerColor(color);
            series.setLineWidth(width);
        }
    }
}
