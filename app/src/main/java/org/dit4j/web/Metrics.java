package org.dit4j.web;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.DoubleAdder;
import java.util.function.Supplier;

/** Counters and gauges in Prometheus' text format; {@code docs/studio.md} lists their names. */
final class Metrics {
    private final Map<String, DoubleAdder> counters = new ConcurrentHashMap<>();
    private final Map<String, Supplier<? extends Number>> gauges = new ConcurrentHashMap<>();
    private final Map<String, String> helps = new ConcurrentHashMap<>();

    /** Adds one to a counter. @param labels name and value by turns */
    void count(String name, String help, String... labels) {
        add(name, help, 1, labels);
    }

    void add(String name, String help, double value, String... labels) {
        helps.putIfAbsent(name, help);
        counters.computeIfAbsent(series(name, labels), key -> new DoubleAdder()).add(value);
    }

    void gauge(String name, String help, Supplier<? extends Number> value) {
        helps.putIfAbsent(name, help);
        gauges.put(name, value);
    }

    private static String series(String name, String... labels) {
        if (labels.length == 0) return name;
        StringBuilder series = new StringBuilder(name).append('{');
        for (int i = 0; i < labels.length; i += 2)
            series.append(i == 0 ? "" : ",")
                    .append(labels[i])
                    .append("=\"")
                    .append(labels[i + 1])
                    .append('"');
        return series.append('}').toString();
    }

    String text() {
        Map<String, StringBuilder> families = new TreeMap<>();
        counters.forEach((series, value) -> line(families, series, "counter", value.sum()));
        gauges.forEach(
                (series, value) -> line(families, series, "gauge", value.get().doubleValue()));
        StringBuilder text = new StringBuilder();
        families.values().forEach(text::append);
        return text.toString();
    }

    private void line(Map<String, StringBuilder> families, String series, String type, double value) {
        String name = series.replaceFirst("\\{.*", "");
        String number = value == Math.rint(value) && Math.abs(value) < 1e15
                ? Long.toString((long) value)
                : String.format(Locale.ROOT, "%.9g", value);
        families.computeIfAbsent(
                        name,
                        key -> new StringBuilder(
                                "# HELP " + name + " " + helps.get(name) + "\n# TYPE " + name + " " + type + "\n"))
                .append(series)
                .append(' ')
                .append(number)
                .append('\n');
    }
}
