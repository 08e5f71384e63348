package org.dit4j.report;

import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.time.Duration;
import java.util.Locale;

/** Numbers as people read them. */
public final class Numbers {
    private Numbers() {}

    /** {@code 1,234,567}. */
    public static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    /** Some four digits: {@code 0.0123}, {@code 12.34}, {@code 1,234}, {@code 1.5e-5}; {@code -} where there is no number. */
    public static String real(double value) {
        if (!Double.isFinite(value)) return "-";
        double size = Math.abs(value);
        if (size < 0.001) return scientific(value);
        String pattern = size < 1 ? "0.####" : size < 100 ? "0.##" : "#,##0";
        return new DecimalFormat(pattern, DecimalFormatSymbols.getInstance(Locale.ROOT)).format(value);
    }

    /** Always four significant digits, as for values that stand below each other: {@code 0.9928}, {@code 1.040}; {@code -} where there is no number. */
    public static String fourDigits(double value) {
        return Double.isFinite(value) ? String.format(Locale.ROOT, "%.4g", value) : "-";
    }

    /** {@code 1e-4}, {@code 2.5e-3}, as learning rates are written. */
    public static String scientific(double value) {
        return value == 0
                ? "0"
                : new DecimalFormat("0.##E0", DecimalFormatSymbols.getInstance(Locale.ROOT))
                        .format(value)
                        .replace('E', 'e');
    }

    /** {@code 12 B}, {@code 3.4 kB}, {@code 560 MB}. */
    public static String bytes(long bytes) {
        double value = bytes;
        int unit = 0;
        for (; value >= 999.5 && unit < 4; unit++) value /= 1000;
        String digits = unit == 0 || value >= 9.95 ? "%.0f" : "%.1f";
        return String.format(Locale.ROOT, digits + " %s", value, new String[] {"B", "kB", "MB", "GB", "TB"}[unit]);
    }

    /** {@code now}, {@code 5 min ago}, {@code 3 h ago}, {@code 12 d ago}. */
    public static String ago(Duration age) {
        long minutes = age.toMinutes();
        if (minutes < 1) return "now";
        if (minutes < 120) return minutes + " min ago";
        return minutes < 48 * 60 ? minutes / 60 + " h ago" : minutes / (24 * 60) + " d ago";
    }
}
