package org.dit4j.report;

import java.time.Duration;
import java.util.Locale;

/** Numbers as people read them. */
public final class Figures {
    private Figures() {}

    /** {@code 1,234,567}. */
    public static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    /** Four digits, as {@code 0.01234}, {@code 12.34}, {@code 1.2e-05}; {@code -} where there is no number. */
    public static String real(double value) {
        if (!Double.isFinite(value)) return "-";
        double size = Math.abs(value);
        if (size != 0 && size < 1e-3) return String.format(Locale.ROOT, "%.2g", value);
        return String.format(Locale.ROOT, size < 1 ? "%.4f" : size < 100 ? "%.2f" : "%,.0f", value);
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
