package org.dit4j.report;

import java.util.Locale;
import java.util.stream.Stream;
import org.dit4j.run.TrainingLog;

/** What the line of progress says of a training, the most important first. */
public final class Figures {
    private Figures() {}

    /** "loss 0.1234", "310 images/s", "grad 0.52", "lr 1e-4", "41% of peak", "1.2 GiB"; none of what is not known. */
    public static String[] of(TrainingLog log) {
        TrainingLog.Time time = log.time();
        return Stream.of(
                        figure("loss %.4f", log.loss()),
                        figure(time.imagesPerSecond() < 10 ? "%.1f images/s" : "%.0f images/s", time.imagesPerSecond()),
                        figure("grad %.3g", log.gradientNorm()),
                        "lr " + rate(log.learningRate()),
                        figure("%.0f%% of peak", time.percentOfPeak()),
                        time.memoryBytes() == 0 ? "" : memory(time.memoryBytes()))
                .filter(figure -> !figure.isEmpty())
                .toArray(String[]::new);
    }

    private static String figure(String format, double value) {
        return Double.isFinite(value) ? String.format(Locale.ROOT, format, value) : "";
    }

    /** {@code 1e-4}, {@code 2.5e-3}. */
    private static String rate(double rate) {
        return String.format(Locale.ROOT, "%.1e", rate).replace(".0e", "e").replaceFirst("e([+-])0*(\\d)", "e$1$2");
    }

    /** {@code 310 MiB}, {@code 1.2 GiB}. */
    static String memory(long bytes) {
        double mib = bytes / (double) (1 << 20);
        return mib < 1000
                ? String.format(Locale.ROOT, "%.0f MiB", mib)
                : String.format(Locale.ROOT, "%.1f GiB", mib / 1024);
    }
}
